//! The watch stream: requests in, messages out, both paced by the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::watch_create_request::FilterType;
use ferrod_proto::etcdserverpb::watch_request::RequestUnion;
use ferrod_proto::etcdserverpb::{WatchCreateRequest, WatchRequest};
use ferrod_watch::{Create, KeyRange, Message, Options, Sender, StreamId, WatchId};
use futures_util::Stream;
use http::Response;
use hyper::body::Incoming;
use tokio::time::Interval;
use tonic::Status;
use tonic::codec::Streaming;

use super::dispatch::Caller;
use super::leader_check::LeaderCheck;
use super::pieces::Pieces;
use super::reply::{self, FramePoll, PREFIX_BYTES, ReplyBody};
use super::status;
use crate::watching::Ask;
use crate::worker::Worker;

/// Messages are sent together up to about so many bytes.
const RUN_BYTES: usize = 64 << 10;
/// Events of so many bytes are passed on as they are; fewer are copied behind their prefix, which costs less than a piece
/// of its own.
const SHARED_BYTES_MIN: usize = 1 << 10;

pub(super) async fn watch(caller: Caller, body: Incoming) -> Result<Response<ReplyBody>, Status> {
    let Caller { worker, call } = caller;
    let decoder = tonic_prost::ProstDecoder::<WatchRequest>::default();
    let limit = worker.engine.limits.message_bytes_max();
    let requests = Streaming::new_request(decoder, body, None, Some(limit));
    let stream = worker.watching.open();
    let progress = worker.engine.watch_progress_interval(stream_salt(stream));
    let leader = call
        .has_leader
        .then(|| LeaderCheck::new(worker.engine.election_timeout));
    Ok(reply::stream(Box::pin(WatchStream {
        requests: Some(requests),
        progress: interval(progress),
        leader,
        stream,
        worker,
    })))
}

/// Spreads the timers of streams that open together.
fn stream_salt(stream: StreamId) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(format!("{stream:?}"))
}

fn interval(period: Duration) -> Interval {
    let start = tokio::time::Instant::now() + period;
    tokio::time::interval_at(start, period)
}

/// One watch stream.
struct WatchStream {
    worker: Arc<Worker>,
    stream: StreamId,
    /// `None` once the client has closed its side: it still listens.
    requests: Option<Streaming<WatchRequest>>,
    progress: Interval,
    leader: Option<LeaderCheck>,
}

impl FramePoll for WatchStream {
    fn poll_frames(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Pieces, Status>>> {
        let this = self.get_mut();
        if this.leader_lost(cx) {
            return Poll::Ready(Some(Err(status::of(ApiError::NoLeader))));
        }
        if let Err(error) = this.take_requests(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        while this.progress.poll_tick(cx).is_ready() {
            this.worker.watching.ask(this.stream, Ask::Tick);
        }
        match this.collect(cx) {
            Some(run) => Poll::Ready(Some(Ok(run))),
            None => Poll::Pending,
        }
    }
}

impl WatchStream {
    fn leader_lost(&mut self, cx: &mut Context<'_>) -> bool {
        let engine = &self.worker.engine;
        let check = self.leader.as_mut();
        check.is_some_and(|check| check.is_lost(engine, cx))
    }

    fn take_requests(&mut self, cx: &mut Context<'_>) -> Result<(), Status> {
        while let Some(requests) = &mut self.requests
            && self.worker.watching.accepts_requests(self.stream)
        {
            match Pin::new(requests).poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.requests = None,
                Poll::Ready(Some(Err(error))) if error.code() == tonic::Code::Cancelled => {
                    return Err(status::of(ApiError::WatchCanceled));
                }
                Poll::Ready(Some(Err(error))) => return Err(error),
                Poll::Ready(Some(Ok(request))) => self.take(request),
            }
        }
        Ok(())
    }

    fn take(&self, request: WatchRequest) {
        let ask = match request.request_union {
            Some(RequestUnion::CreateRequest(request)) => Ask::Create(create(request)),
            Some(RequestUnion::CancelRequest(request)) => Ask::Cancel(WatchId(request.watch_id)),
            Some(RequestUnion::ProgressRequest(_)) => Ask::Progress,
            None => return,
        };
        // "Now" must not be before anything that this client has seen.
        self.worker.hand_out_mail();
        self.worker.watching.ask(self.stream, ask);
    }

    /// What waits for the client, up to a good size for one run.
    fn collect(&self, cx: &mut Context<'_>) -> Option<Pieces> {
        let engine = &self.worker.engine;
        let sender = Sender {
            cluster_id: engine.cluster_id.0,
            member_id: engine.member.0,
            raft_term: engine.node.status().soft.term.0,
        };
        let limit = engine.limits.message_bytes_max();
        let run = self.worker.watching.poll(
            self.stream,
            cx.waker(),
            |queued_bytes| Run::new(sender, queued_bytes),
            |run, response| {
                fail::fail_point!("beforeSendWatchResponse");
                for message in response.messages(&sender, limit) {
                    run.add(&message);
                }
                run.len() < RUN_BYTES
            },
        );
        run.and_then(Run::finish)
    }
}

/// Messages one behind the other.
struct Run {
    pieces: Pieces,
    /// The piece that is being written.
    open: BytesMut,
    sender: Sender,
    /// About what `open` will take at most.
    expected_bytes: usize,
}

impl Run {
    /// Begins a run, of which about `queued_bytes` wait.
    fn new(sender: Sender, queued_bytes: usize) -> Run {
        Run {
            pieces: Pieces::default(),
            open: BytesMut::new(),
            sender,
            expected_bytes: queued_bytes.min(RUN_BYTES),
        }
    }

    fn len(&self) -> usize {
        self.pieces.remaining() + self.open.len()
    }

    fn add(&mut self, message: &Message<'_>) {
        let (len, events_len) = (message.encoded_len(&self.sender), message.events_len());
        if events_len < SHARED_BYTES_MIN
            && self.open.capacity() - self.open.len() < PREFIX_BYTES + len
        {
            // Once for all that follow, instead of growing step by step.
            let left = self.expected_bytes.saturating_sub(self.len());
            self.open.reserve(left.max(PREFIX_BYTES + len));
        }
        reply::put_prefix(&mut self.open, len);
        message.write_prefix(&self.sender, &mut self.open);
        if events_len < SHARED_BYTES_MIN {
            self.open.put_slice(&message.events());
        } else {
            self.pieces.push(self.open.split().freeze());
            self.pieces.push(message.events());
        }
    }

    fn finish(mut self) -> Option<Pieces> {
        if !self.open.is_empty() {
            self.pieces.push(self.open.freeze());
        }
        self.pieces.has_remaining().then_some(self.pieces)
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.worker.watching.close(self.stream);
    }
}

/// An empty key stands for the least key there is.
fn create(request: WatchCreateRequest) -> Create {
    let key = if request.key.is_empty() {
        Bytes::from_static(b"\0")
    } else {
        request.key
    };
    let filtered = |filter: FilterType| request.filters.contains(&(filter as i32));
    Create {
        range: KeyRange::from_request(key, request.range_end),
        start_revision: request.start_revision,
        watch_id: request.watch_id,
        options: Options {
            no_put: filtered(FilterType::Noput),
            no_delete: filtered(FilterType::Nodelete),
            prev_kv: request.prev_kv,
            progress_notify: request.progress_notify,
            fragment: request.fragment,
        },
        denied: None,
    }
}
