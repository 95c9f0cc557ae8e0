//! One copy on its way out, over as many connections as it takes.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrod_mvcc::Views;
use ferrod_node::{LogIndex, MemberId, PeerMessage, StateMeta};
use ferrod_proto::peer::peer_client::PeerClient;
use ferrod_proto::peer::{StateChunk, StateHeader, StateReply, state_chunk, state_reply};
use ferrod_snapshot::{Position, Sender};
use futures_util::Stream;
use tokio::sync::mpsc;
use tonic::Status;

use super::pace::{Pace, Work};
use crate::background;
use crate::config::GoDuration;
use crate::logging::error_chain;
use crate::peer::context::Context;
use crate::peer::directory::Peer;
use crate::peer::link::{self, LinkError};

/// How much leaves for each processor of this machine while clients write, unless the log grows faster. A copy takes about
/// 9 ms of processor time for each MiB, 3.5 ms of them at this end: where both ends share one machine, that is 5 % of it.
const BYTES_PER_SECOND_AND_CORE: u64 = 5 << 20;
/// No less and no more than that in all. 8 GiB leave in 14 minutes at the lower one; the upper one takes a third of a network
/// of 1 Gbit/s, and the disk at the other end.
const BYTES_PER_SECOND: RangeInclusive<u64> = 10 << 20..=40 << 20;
/// Bytes of one message: what a slow connection has in flight should not hold much memory.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that are read ahead.
const PIECES_AHEAD: usize = 2;
/// Connections in a row that bring nothing across, after which the copy is given up; the leader will make another.
const ATTEMPTS_MAX: u32 = 5;
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);
/// The other end verifies and syncs everything before it answers.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(600);
const PROGRESS_PERIOD: Duration = Duration::from_secs(10);

fn bytes_per_second() -> u64 {
    // A system that does not tell has one.
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let (least, most) = (*BYTES_PER_SECOND.start(), *BYTES_PER_SECOND.end());
    (BYTES_PER_SECOND_AND_CORE * cores).clamp(least, most)
}

/// Why a copy did not arrive.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("connect")]
    Link(#[from] LinkError),
    #[error("{}: {}", .0.code(), .0.message())]
    Status(Box<Status>),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("the other end closed the connection")]
    Closed,
    #[error("read the state")]
    Export(#[from] ferrod_snapshot::Error),
    #[error("a thread is gone")]
    Thread,
}

impl SendError {
    /// Whether another connection may bring more across.
    fn may_pass(&self) -> bool {
        !matches!(self, SendError::Export(_) | SendError::Thread)
    }
}

/// One copy on its way out. Whatever happens to it, the node hears how it ended.
pub(super) struct Delivery {
    context: Arc<Context>,
    peer: Arc<Peer>,
    header: StateHeader,
    /// Bytes that the other end has said it has.
    reached: u64,
    outcome: Outcome,
}

/// Tells the node when it is dropped.
struct Outcome {
    context: Arc<Context>,
    to: MemberId,
    index: LogIndex,
    arrived: bool,
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let network = &self.context.meters.network;
        let label = self.to.to_string();
        network.snapshot_send_inflights_total.get(&label).dec();
        let ended = if self.arrived {
            &network.snapshot_send_success
        } else {
            &network.snapshot_send_failures
        };
        ended.get(&label).inc();
        self.context
            .node
            .state_sent(self.to, self.index, self.arrived);
    }
}

impl Delivery {
    pub(super) fn new(
        context: Arc<Context>,
        peer: Arc<Peer>,
        message: &PeerMessage,
        state: &StateMeta,
    ) -> Delivery {
        let ids = |members: &[MemberId]| members.iter().map(|m| m.0).collect();
        let header = StateHeader {
            cluster: context.cluster_id.0,
            from: context.local.0,
            to: message.to.0,
            term: message.term.0,
            index: state.index.0,
            index_term: state.term.0,
            voters: ids(&state.conf.voters),
            learners: ids(&state.conf.learners),
        };
        let inflights = &context.meters.network.snapshot_send_inflights_total;
        inflights.get(&message.to.to_string()).inc();
        let outcome = Outcome {
            context: context.clone(),
            to: message.to,
            index: state.index,
            arrived: false,
        };
        Delivery {
            context,
            peer,
            header,
            reached: 0,
            outcome,
        }
    }

    /// Sends until it has arrived, or cannot.
    pub(super) async fn run(mut self, sender: Box<Sender>) {
        let peer = self.peer.clone();
        let began = self.context.clock.now();
        tracing::info!(
            "snapshot-index" = self.header.index,
            "remote-peer-id" = %peer.id,
            "sending database snapshot"
        );
        let sent = tokio::select! {
            () = peer.gone() => Err(SendError::Closed),
            sent = self.try_again_and_again(sender) => sent,
        };
        let took = self.context.clock.now().saturating_sub(began);
        match sent {
            Ok(bytes) => {
                self.outcome.arrived = true;
                let times = &self
                    .context
                    .meters
                    .network
                    .snapshot_send_total_duration_seconds;
                times.get(&peer.id.to_string()).observe(took.as_secs_f64());
                tracing::info!(
                    "snapshot-index" = self.header.index,
                    "remote-peer-id" = %peer.id,
                    bytes,
                    took = %GoDuration::from(took),
                    "sent database snapshot"
                );
            }
            Err(error) => tracing::warn!(
                "snapshot-index" = self.header.index,
                "remote-peer-id" = %peer.id,
                error = error_chain(&error),
                "failed to send database snapshot"
            ),
        }
    }

    async fn try_again_and_again(&mut self, mut sender: Box<Sender>) -> Result<u64, SendError> {
        let mut attempts = 0;
        loop {
            let before = self.reached;
            let (back, result) = self.attempt(sender).await;
            let error = match result {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            sender = match back {
                Some(sender) if error.may_pass() => sender,
                _ => return Err(error),
            };
            attempts = if self.reached > before {
                0
            } else {
                attempts + 1
            };
            if attempts >= ATTEMPTS_MAX {
                return Err(error);
            }
            tracing::info!(
                "snapshot-index" = self.header.index,
                "remote-peer-id" = %self.peer.id,
                error = error_chain(&error),
                "connection of a database snapshot broke; going on with it"
            );
            tokio::time::sleep(ATTEMPT_PAUSE).await;
        }
    }

    /// One connection. Gives the sender back unless its thread is gone.
    async fn attempt(
        &mut self,
        mut sender: Box<Sender>,
    ) -> (Option<Box<Sender>>, Result<u64, SendError>) {
        let (pieces, outgoing) = mpsc::channel(PIECES_AHEAD);
        let mut replies = match self.introduce(&pieces, outgoing).await {
            Ok(replies) => replies,
            Err(error) => return (Some(sender), Err(error)),
        };
        let position = match next(&mut replies, self.context.pace.read_timeout).await {
            Ok(state_reply::Content::Go(go)) => go.position,
            // It was there already, and only the receipt was lost.
            Ok(state_reply::Content::Receipt(receipt)) => return (Some(sender), Ok(receipt.bytes)),
            Err(error) => return (Some(sender), Err(error)),
        };
        let position = match position.is_empty() {
            true => None,
            false => match Position::decode(&position) {
                Ok(position) => Some(position),
                Err(error) => return (Some(sender), Err(error.into())),
            },
        };
        sender.restart(position);
        self.reached = sender.sent().bytes;
        let mut reading = pin!(background::run("state-read", move || pump(sender, &pieces)));
        let receipt = tokio::select! {
            // An answer before the end is a refusal, or the connection is gone.
            answer = replies.message() => receipt(answer.map_err(|s| SendError::Status(Box::new(s)))),
            read = &mut reading => return self.conclude(read, &mut replies).await,
        };
        // Nobody takes the pieces any more once the call is dropped, so the thread comes to its end.
        drop(replies);
        let ended = tokio::time::timeout(self.context.pace.read_timeout, reading).await;
        let sender = ended.ok().flatten().map(|(sender, _)| sender);
        (sender, receipt)
    }

    /// All was read: what comes of it?
    async fn conclude(
        &self,
        read: Option<(Box<Sender>, Result<(), SendError>)>,
        replies: &mut tonic::Streaming<StateReply>,
    ) -> (Option<Box<Sender>>, Result<u64, SendError>) {
        let Some((sender, read)) = read else {
            return (None, Err(SendError::Thread));
        };
        if let Err(error @ SendError::Export(_)) = read {
            return (Some(sender), Err(error));
        }
        let answer = next(replies, RECEIPT_TIMEOUT).await;
        let answer = answer.and_then(|content| match content {
            state_reply::Content::Receipt(receipt) => Ok(receipt.bytes),
            state_reply::Content::Go(_) => Err(SendError::Closed),
        });
        (Some(sender), answer)
    }

    async fn introduce(
        &self,
        pieces: &mpsc::Sender<StateChunk>,
        outgoing: mpsc::Receiver<StateChunk>,
    ) -> Result<tonic::Streaming<StateReply>, SendError> {
        let silence = self.context.pace.read_timeout;
        let header = state_chunk::Content::Header(self.header.clone());
        let header = StateChunk {
            content: Some(header),
        };
        // The channel is empty, and its other end is here.
        let _fits = pieces.try_send(header);
        let channel = link::dial(&self.context, &self.peer).await?;
        let mut client = PeerClient::new(channel);
        let call = client.stream_state(self.paced(outgoing));
        let answer = tokio::time::timeout(silence, call).await;
        let answer = answer.map_err(|_| SendError::Silent(silence))?;
        let answer = answer.map_err(|status| SendError::Status(Box::new(status)))?;
        Ok(answer.into_inner())
    }

    /// The pieces as they leave, with a line in the log now and then.
    fn paced(
        &self,
        pieces: mpsc::Receiver<StateChunk>,
    ) -> impl Stream<Item = StateChunk> + Send + use<> {
        let bytes_sent = &self.context.meters.network.peer_sent_bytes_total;
        let writer = Writer {
            clock: self.context.clock.clone(),
            views: self.context.states.views.clone(),
            pieces,
            pace: Pace::new(bytes_per_second()),
            bytes_sent: bytes_sent.get(&self.peer.id.to_string()),
            logged: self.context.meters.disk.wal_write_bytes_total.clone(),
            sent: 0,
            said: self.context.clock.now(),
            to: self.peer.id,
        };
        futures_util::stream::unfold(writer, |mut writer| async move {
            let piece = writer.next().await?;
            Some((piece, writer))
        })
    }
}

struct Writer {
    clock: Arc<dyn ferrod_env::Clock>,
    views: Views,
    pieces: mpsc::Receiver<StateChunk>,
    pace: Pace,
    bytes_sent: ferrod_metrics::IntCounter,
    /// Bytes that this member has written to its log.
    logged: ferrod_metrics::IntGauge,
    sent: usize,
    /// When progress was last logged.
    said: Duration,
    to: MemberId,
}

impl Writer {
    async fn next(&mut self) -> Option<StateChunk> {
        let piece = self.pieces.recv().await?;
        let bytes = prost::Message::encoded_len(&piece);
        let now = self.clock.now();
        let work = Work {
            applied: self.views.load().applied_index(),
            logged: self.logged.get().try_into().unwrap_or(0),
        };
        let wait = self.pace.wait(bytes, work, now);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        self.bytes_sent.inc_by(bytes as u64);
        self.sent += bytes;
        if now >= self.said + PROGRESS_PERIOD {
            self.said = now;
            tracing::info!("remote-peer-id" = %self.to, bytes = self.sent, "sending database snapshot");
        }
        Some(piece)
    }
}

/// Reads the state, on a thread that may wait for the disk, as fast as the pieces are taken.
fn pump(
    mut sender: Box<Sender>,
    pieces: &mpsc::Sender<StateChunk>,
) -> (Box<Sender>, Result<(), SendError>) {
    while let Some(chunk) = sender.next() {
        let mut chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => return (sender, Err(error.into())),
        };
        while !chunk.is_empty() {
            let piece = chunk.split_to(chunk.len().min(PIECE_BYTES));
            if pieces.blocking_send(data(piece)).is_err() {
                return (sender, Err(SendError::Closed));
            }
        }
    }
    (sender, Ok(()))
}

fn data(piece: Bytes) -> StateChunk {
    StateChunk {
        content: Some(state_chunk::Content::Data(piece)),
    }
}

async fn next(
    replies: &mut tonic::Streaming<StateReply>,
    patience: Duration,
) -> Result<state_reply::Content, SendError> {
    let reply = tokio::time::timeout(patience, replies.message()).await;
    let reply = reply.map_err(|_| SendError::Silent(patience))?;
    let reply = reply.map_err(|status| SendError::Status(Box::new(status)))?;
    reply
        .and_then(|reply| reply.content)
        .ok_or(SendError::Closed)
}

fn receipt(answer: Result<Option<StateReply>, SendError>) -> Result<u64, SendError> {
    match answer?.and_then(|reply| reply.content) {
        Some(state_reply::Content::Receipt(receipt)) => Ok(receipt.bytes),
        _ => Err(SendError::Closed),
    }
}
