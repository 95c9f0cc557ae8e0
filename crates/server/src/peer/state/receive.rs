//! The side that lags: one copy at a time comes in, and the node hears of it when it is whole and durable.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrod_node::{ConfState, LogIndex, MemberId, PeerBody, PeerMessage, StateMeta, Term};
use ferrod_proto::peer::{
    Hello, Lane, StateChunk, StateGo, StateHeader, StateReceipt, StateReply, state_chunk,
    state_reply,
};
use ferrod_snapshot::{Error, Receiver};
use futures_util::Stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::background;
use crate::config::GoDuration;
use crate::logging::error_chain;
use crate::peer::context::Context;
use crate::peer::host::HELLO_TIMEOUT;

/// Pieces that wait for the disk.
const PIECES_WAITING: usize = 8;
/// How long what has come of a copy is kept when its connection breaks.
const PARKED_TIMEOUT: Duration = Duration::from_secs(60);

pub(in crate::peer) type StateReplies =
    Pin<Box<dyn Stream<Item = Result<StateReply, Status>> + Send>>;

/// The copies that this member receives.
#[derive(Default)]
pub(in crate::peer) struct Receptions {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    slot: Slot,
    /// The copy that came last as a whole.
    complete: Option<(Copy, u64)>,
    parked: u64,
}

#[derive(Default)]
enum Slot {
    #[default]
    Free,
    Busy,
    /// Its connection broke.
    Parked {
        copy: Copy,
        receiver: Box<Receiver>,
        number: u64,
    },
}

/// Which copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Copy {
    from: u64,
    index: u64,
    index_term: u64,
}

/// What to do about a copy that is announced.
enum Begun {
    Receive(Box<Receiver>),
    /// It has come before; so many bytes.
    Complete(u64),
}

impl Receptions {
    /// Forgets which copy came last: it is deleted, and may come again.
    pub(super) fn forget(&self) {
        self.inner.lock().complete = None;
    }

    fn begin(&self, copy: Copy, new: impl FnOnce() -> Receiver) -> Result<Begun, Status> {
        let mut inner = self.inner.lock();
        if let Some((_, bytes)) = inner.complete.filter(|(complete, _)| *complete == copy) {
            return Ok(Begun::Complete(bytes));
        }
        let receiver = match std::mem::replace(&mut inner.slot, Slot::Busy) {
            Slot::Busy => {
                return Err(Status::resource_exhausted("another copy is on its way"));
            }
            Slot::Parked {
                copy: parked,
                receiver,
                ..
            } if parked == copy => receiver,
            Slot::Parked { receiver, .. } => {
                // Removing it takes long, and the new one cannot begin before.
                drop(receiver);
                Box::new(new())
            }
            Slot::Free => Box::new(new()),
        };
        Ok(Begun::Receive(receiver))
    }

    fn end(&self, complete: Option<(Copy, u64)>) {
        let mut inner = self.inner.lock();
        inner.slot = Slot::Free;
        inner.complete = complete.or(inner.complete);
    }

    /// Keeps what has come; returns the number to forget it by.
    fn park(&self, copy: Copy, receiver: Box<Receiver>) -> u64 {
        let mut inner = self.inner.lock();
        inner.parked += 1;
        let number = inner.parked;
        inner.slot = Slot::Parked {
            copy,
            receiver,
            number,
        };
        number
    }

    /// Takes what was parked under this number, if it still is.
    fn unpark(&self, forget: u64) -> Option<Box<Receiver>> {
        let mut inner = self.inner.lock();
        match std::mem::take(&mut inner.slot) {
            Slot::Parked {
                receiver, number, ..
            } if number == forget => Some(receiver),
            other => {
                inner.slot = other;
                None
            }
        }
    }
}

/// Answers a call that brings a copy.
///
/// # Errors
/// If it is not for this member, or if another is on its way.
pub(in crate::peer) async fn receive(
    context: &Arc<Context>,
    mut incoming: Streaming<StateChunk>,
) -> Result<StateReplies, Status> {
    let first = tokio::time::timeout(HELLO_TIMEOUT, incoming.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no header"))??;
    let Some(state_chunk::Content::Header(header)) = first.and_then(|chunk| chunk.content) else {
        return Err(Status::invalid_argument("a copy begins with its header"));
    };
    admit(context, &header)?;
    let copy = Copy {
        from: header.from,
        index: header.index,
        index_term: header.index_term,
    };
    let (replies, outgoing) = mpsc::channel(2);
    // Both fit.
    let reply = |content| drop(replies.try_send(Ok(answer(content))));
    let states = &context.states;
    let new = || Receiver::new(states.backend.clone(), states.chunk_bytes_max);
    match states.receptions.begin(copy, new)? {
        Begun::Complete(bytes) => reply(state_reply::Content::Receipt(StateReceipt { bytes })),
        Begun::Receive(mut receiver) => {
            let position = receiver.restart();
            let position = position
                .map(|position| position.encode())
                .unwrap_or_default();
            reply(state_reply::Content::Go(StateGo { position }));
            let reception = Reception {
                context: context.clone(),
                header,
                copy,
                replies: replies.clone(),
            };
            tokio::spawn(reception.run(incoming, receiver));
        }
    }
    let outgoing = futures_util::stream::unfold(outgoing, |mut outgoing| async move {
        let reply = outgoing.recv().await?;
        Some((reply, outgoing))
    });
    Ok(Box::pin(outgoing))
}

fn answer(content: state_reply::Content) -> StateReply {
    StateReply {
        content: Some(content),
    }
}

fn admit(context: &Context, header: &StateHeader) -> Result<(), Status> {
    let hello = Hello {
        cluster: header.cluster,
        from: header.from,
        to: header.to,
        lane: Lane::Bulk as i32,
        ..Hello::default()
    };
    match context.admit(&hello) {
        Ok(_) => Ok(()),
        Err(refusal) => Err(Status::permission_denied(refusal.text)),
    }
}

/// A copy that comes in over one connection.
struct Reception {
    context: Arc<Context>,
    header: StateHeader,
    copy: Copy,
    replies: mpsc::Sender<Result<StateReply, Status>>,
}

impl Reception {
    async fn run(self, incoming: Streaming<StateChunk>, receiver: Box<Receiver>) {
        let network = &self.context.meters.network;
        let label = MemberId(self.copy.from).to_string();
        let inflights = network.snapshot_receive_inflights_total.get(&label);
        inflights.inc();
        let began = self.context.clock.now();
        tracing::info!(
            "local-member-id" = %self.context.local,
            "remote-snapshot-sender-id" = label,
            "incoming-snapshot-index" = self.copy.index,
            "bytes-received-before" = receiver.come().bytes,
            "receiving database snapshot"
        );
        let came = self.take_in(incoming, receiver).await;
        inflights.dec();
        let took = self.context.clock.now().saturating_sub(began);
        match came {
            Ok(bytes) => {
                network.snapshot_receive_success.get(&label).inc();
                let times = &network.snapshot_receive_total_duration_seconds;
                times.get(&label).observe(took.as_secs_f64());
                tracing::info!(
                    "remote-snapshot-sender-id" = label,
                    "incoming-snapshot-index" = self.copy.index,
                    bytes,
                    took = %GoDuration::from(took),
                    "received and saved database snapshot"
                );
                let receipt = state_reply::Content::Receipt(StateReceipt { bytes });
                self.reply(Ok(answer(receipt))).await;
            }
            Err(reason) => {
                network.snapshot_receive_failures.get(&label).inc();
                tracing::warn!(
                    "remote-snapshot-sender-id" = label,
                    "incoming-snapshot-index" = self.copy.index,
                    error = reason,
                    "failed to receive database snapshot"
                );
                self.reply(Err(Status::aborted(reason))).await;
            }
        }
    }

    async fn reply(&self, reply: Result<StateReply, Status>) {
        // The caller may be gone; it asks again then.
        let _gone = self.replies.send(reply).await;
    }

    async fn take_in(
        &self,
        incoming: Streaming<StateChunk>,
        receiver: Box<Receiver>,
    ) -> Result<u64, String> {
        let (pieces, to_disk) = mpsc::channel(PIECES_WAITING);
        let writing = background::run("state-write", move || write(receiver, to_disk));
        let broken = self.carry(incoming, pieces).await;
        let Some((receiver, written)) = writing.await else {
            self.context.states.receptions.end(None);
            return Err("a thread is gone".to_owned());
        };
        if let Err(error) = written {
            self.give_up(receiver).await;
            return Err(error_chain(&error));
        }
        if receiver.is_complete() {
            return self.finish(receiver).await;
        }
        self.park(receiver);
        Err(broken.unwrap_or_else(|| "the copy ended too early".to_owned()))
    }

    /// Hands the pieces on until there are no more; says why, unless that is the copy's end.
    async fn carry(
        &self,
        mut incoming: Streaming<StateChunk>,
        pieces: mpsc::Sender<Bytes>,
    ) -> Option<String> {
        let label = MemberId(self.copy.from).to_string();
        let network = &self.context.meters.network;
        let received = network.peer_received_bytes_total.get(&label);
        let silence = self.context.pace.read_timeout.max(HELLO_TIMEOUT);
        loop {
            let piece = match tokio::time::timeout(silence, incoming.message()).await {
                Ok(Ok(Some(StateChunk {
                    content: Some(state_chunk::Content::Data(piece)),
                }))) => piece,
                Ok(Ok(Some(_))) => return Some("a piece without data".to_owned()),
                Ok(Ok(None)) => return None,
                Ok(Err(status)) => return Some(status.message().to_owned()),
                Err(_) => return Some(format!("nothing came for {silence:?}")),
            };
            received.inc_by(piece.len() as u64);
            // The thread says itself why it takes no more.
            if pieces.send(piece).await.is_err() {
                return None;
            }
        }
    }

    /// Verifies the copy and makes it durable, then tells the node.
    async fn finish(&self, receiver: Box<Receiver>) -> Result<u64, String> {
        let bytes = receiver.come().bytes;
        let (index, term) = (self.copy.index, self.copy.index_term);
        let finished = background::run("state-finish", move || {
            let header = receiver.header();
            let announced =
                |h: &ferrod_snapshot::Header| (h.applied_index, h.applied_term) == (index, term);
            if !header.is_some_and(announced) {
                return Err("the copy is not the announced one".to_owned());
            }
            fail::fail_point!("stateBeforeFinish");
            receiver
                .finish()
                .map(drop)
                .map_err(|error| error_chain(&error))
        });
        let finished = finished
            .await
            .unwrap_or_else(|| Err("a thread is gone".to_owned()));
        let complete = finished.is_ok().then_some((self.copy, bytes));
        self.context.states.receptions.end(complete);
        finished?;
        fail::fail_point!("stateAfterFinish");
        self.context.node.receive(self.message());
        Ok(bytes)
    }

    fn message(&self) -> PeerMessage {
        let ids = |members: &[u64]| members.iter().copied().map(MemberId).collect();
        PeerMessage {
            from: MemberId(self.header.from),
            to: MemberId(self.header.to),
            term: Term(self.header.term),
            body: PeerBody::State(StateMeta {
                index: LogIndex(self.header.index),
                term: Term(self.header.index_term),
                conf: ConfState::new(ids(&self.header.voters), ids(&self.header.learners)),
            }),
        }
    }

    async fn give_up(&self, receiver: Box<Receiver>) {
        // Removing what has come may take long.
        let _gone = background::run("state-drop", move || drop(receiver)).await;
        self.context.states.receptions.end(None);
    }

    fn park(&self, receiver: Box<Receiver>) {
        let context = self.context.clone();
        let number = context.states.receptions.park(self.copy, receiver);
        tokio::spawn(async move {
            tokio::time::sleep(PARKED_TIMEOUT).await;
            let forgotten = context.states.receptions.unpark(number);
            let _gone = background::run("state-drop", move || drop(forgotten)).await;
        });
    }
}

/// Takes pieces in until there are no more, on a thread that may wait for the disk.
fn write(
    mut receiver: Box<Receiver>,
    mut pieces: mpsc::Receiver<Bytes>,
) -> (Box<Receiver>, Result<(), Error>) {
    while let Some(piece) = pieces.blocking_recv() {
        if let Err(error) = receiver.feed(&piece) {
            return (receiver, Err(error));
        }
    }
    (receiver, Ok(()))
}
