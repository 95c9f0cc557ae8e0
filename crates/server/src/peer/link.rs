//! One connection to a peer: dialed, introduced, kept full, and dialed again when it ends.

use std::sync::Arc;
use std::time::Duration;

use ferrod_node::MemberId;
use ferrod_proto::peer::outgoing_parcel::Content;
use ferrod_proto::peer::{Messages, OutgoingParcel, Ping, Refusal, Reply, refusal::Reason, reply};
use futures_util::Stream;
use http::uri::PathAndQuery;
use parking_lot::Mutex;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::backoff::Backoff;
use super::context::{Context, PARCEL_BYTES};
use super::directory::Peer;
use super::lane::Lane;
use super::recognize::Unmet;
use super::{newcomer, protocol, wire};

/// [`OutgoingParcel`] and the parcel of that call are the same bytes.
const TALK: &str = "/ferrod.peer.v1.Peer/Talk";
/// What the other end may have in flight: more than a fast network holds.
const WINDOW_BYTES: u32 = 16 << 20;
/// A member that refuses does so for a reason that takes a person to change.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// Between two samples of a round trip.
const SAMPLE_PERIOD: Duration = Duration::from_secs(30);

/// One connection to a peer.
pub(super) struct Link {
    context: Arc<Context>,
    peer: Arc<Peer>,
    lane: Lane,
    pings: Arc<Mutex<Pings>>,
    sampled: Option<Duration>,
    /// What was logged last, so that it is not logged again and again.
    complaint: String,
}

/// The ping that waits for its answer.
#[derive(Default)]
struct Pings {
    number: u64,
    sent: Duration,
}

/// Why a connection ended, or did not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("no URL is known")]
    NoUrl,
    #[error("connect to {0}")]
    Connect(String, #[source] tonic::transport::Error),
    #[error("{0}")]
    Uri(String),
    #[error("{}: {}", .0.code(), .0.message())]
    Status(Box<Status>),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("the other end closed the connection")]
    Closed,
    #[error("{}", .0.text)]
    Refused(Box<Refusal>),
    #[error("{0}")]
    Version(String),
    #[error("{0}")]
    Unmet(Unmet),
    #[error("answer that makes no sense")]
    Malformed,
}

impl Link {
    pub(super) fn new(context: Arc<Context>, peer: Arc<Peer>, lane: Lane) -> Link {
        Link {
            context,
            peer,
            lane,
            pings: Arc::default(),
            sampled: None,
            complaint: String::new(),
        }
    }

    /// Keeps the connection for as long as the peer is a member.
    pub(super) async fn keep(mut self) {
        let peer = self.peer.clone();
        tokio::select! {
            () = peer.gone() => {}
            () = self.dial_again_and_again() => {}
        }
        peer.outbox(self.lane).close();
    }

    async fn dial_again_and_again(&mut self) {
        let seed = self.context.local.0 ^ self.peer.id.0.rotate_left(self.lane as u32 + 1);
        let mut backoff = Backoff::new(seed);
        loop {
            let mut welcomed = false;
            let ended = self.talk(&mut welcomed).await;
            self.peer.outbox(self.lane).close();
            if welcomed {
                backoff.reset();
                self.lost();
            }
            let pause = match ended {
                LinkError::Refused(refusal) => {
                    self.refused(&refusal).await;
                    REFUSED_PAUSE
                }
                LinkError::Version(text) => {
                    self.refused(&self.context.refusal(Reason::Version, text))
                        .await;
                    REFUSED_PAUSE
                }
                error @ LinkError::Unmet(_) => {
                    self.complain(&error.to_string());
                    REFUSED_PAUSE
                }
                error => {
                    self.complain(&crate::logging::error_chain(&error));
                    backoff.next()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.peer.kicked(self.lane) => {}
            }
        }
    }

    /// Everything from the first attempt to the end.
    async fn talk(&mut self, welcomed: &mut bool) -> LinkError {
        let mut replies = match self.introduce().await {
            Ok(replies) => replies,
            Err(error) => return error,
        };
        *welcomed = true;
        self.context.newcomer.believed_by(self.peer.id);
        self.complaint.clear();
        let connected = self.context.contact(&self.peer);
        tracing::info!(
            "stream-writer-type" = self.lane.etcd_name(),
            "local-member-id" = %self.context.local,
            "remote-peer-id" = %self.peer.id,
            "established TCP streaming connection with remote peer"
        );
        self.peer.outbox(self.lane).open();
        let silence = self.context.pace.silence(self.lane);
        let ended = loop {
            match next(&mut replies, silence).await {
                Ok(reply::Content::Pong(pong)) => self.answered(pong),
                Ok(reply::Content::Refusal(refusal)) => {
                    break LinkError::Refused(Box::new(refusal));
                }
                Ok(reply::Content::Welcome(_)) => break LinkError::Malformed,
                Err(error) => break error,
            }
        };
        drop(connected);
        ended
    }

    /// Connects and says who we are, and hears that this is fine.
    async fn introduce(&mut self) -> Result<Streaming<Reply>, LinkError> {
        let patience = self.context.pace.read_timeout;
        let channel = dial(&self.context, &self.peer).await?;
        let call = tokio::time::timeout(patience, self.call(channel)).await;
        let reply = call.map_err(|_| LinkError::Silent(patience))?;
        let mut replies = reply
            .map_err(|status| LinkError::Status(Box::new(status)))?
            .into_inner();
        match next(&mut replies, patience).await? {
            reply::Content::Welcome(welcome) => {
                protocol::check_welcome(&welcome).map_err(LinkError::Version)?;
                // It is told when it calls.
                let meeting = self.context.meet(self.peer.id, welcome.life.as_ref()).await;
                meeting.map_err(LinkError::Unmet)?;
                Ok(replies)
            }
            reply::Content::Refusal(refusal) => Err(LinkError::Refused(Box::new(refusal))),
            reply::Content::Pong(_) => Err(LinkError::Malformed),
        }
    }

    async fn call(&self, channel: Channel) -> Result<Response<Streaming<Reply>>, Status> {
        let mut grpc = Grpc::new(channel);
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<OutgoingParcel, Reply>::default();
        let request = Request::new(self.outgoing());
        let path = PathAndQuery::from_static(TALK);
        grpc.streaming(request, path, codec).await
    }

    /// What is sent: the hello, then messages as they come, and a ping now and then.
    fn outgoing(&self) -> impl Stream<Item = OutgoingParcel> + Send + use<> {
        let writer = Writer {
            context: self.context.clone(),
            peer: self.peer.clone(),
            lane: self.lane,
            pings: self.pings.clone(),
            ticks: tokio::time::interval(self.context.pace.ping()),
            sent: self
                .context
                .meters
                .network
                .peer_sent_bytes_total
                .get(&self.peer.id.to_string()),
            greeted: false,
        };
        futures_util::stream::unfold(writer, |mut writer| async move {
            let content = writer.next().await;
            let parcel = OutgoingParcel {
                content: Some(content),
            };
            writer
                .sent
                .inc_by(prost::Message::encoded_len(&parcel) as u64);
            Some((parcel, writer))
        })
    }

    fn answered(&mut self, pong: Ping) {
        let now = self.context.clock.now();
        let pings = self.pings.lock();
        if pong.number != pings.number || self.lane != Lane::Urgent {
            return;
        }
        let due = self.sampled.is_none_or(|at| now >= at + SAMPLE_PERIOD);
        if due {
            self.sampled = Some(now);
            let round_trip = now.saturating_sub(pings.sent);
            let times = &self.context.meters.network.peer_round_trip_time_seconds;
            times
                .get(&self.peer.id.to_string())
                .observe(round_trip.as_secs_f64());
        }
    }

    /// The connection is gone: raft should probe, and if the leader was at the other end, elect.
    fn lost(&self) {
        tracing::warn!(
            "stream-writer-type" = self.lane.etcd_name(),
            "local-member-id" = %self.context.local,
            "remote-peer-id" = %self.peer.id,
            "lost TCP streaming connection with remote peer"
        );
        self.context.node.unreachable(self.peer.id);
        self.context.node.leader_gone(self.peer.id);
    }

    async fn refused(&mut self, refusal: &Refusal) {
        if refusal.reason() == Reason::Removed && refusal.cluster == self.context.cluster_id.0 {
            self.context.removed.send_replace(true);
            return;
        }
        let is_own = refusal.cluster == self.context.cluster_id.0;
        if refusal.reason() == Reason::Lived && is_own && self.context.newcomer.is_newcomer() {
            let text = newcomer::has_lived(self.context.local);
            self.context.fatal.send_replace(Some(text));
        }
        if refusal.reason() == Reason::PutBack && is_own {
            self.context.was_put_back(self.peer.id, refusal).await;
        }
        if self.complaint == refusal.text {
            return;
        }
        refusal.text.clone_into(&mut self.complaint);
        tracing::error!(
            "remote-peer-id" = %self.peer.id,
            "remote-peer-cluster-id" = %format!("{:x}", refusal.cluster),
            "remote-peer-answers-as" = %MemberId(refusal.member),
            "local-member-id" = %self.context.local,
            "local-member-cluster-id" = %self.context.cluster_id,
            error = refusal.text,
            "{}",
            complaint(refusal.reason())
        );
    }

    fn complain(&mut self, error: &str) {
        if self.complaint == error {
            return;
        }
        error.clone_into(&mut self.complaint);
        tracing::warn!(
            "round-tripper-name" = self.lane.etcd_name(),
            "remote-peer-id" = %self.peer.id,
            rtt = "0s",
            error,
            "prober detected unhealthy status"
        );
    }
}

/// The next reply, if it comes in time.
async fn next(
    replies: &mut Streaming<Reply>,
    silence: Duration,
) -> Result<reply::Content, LinkError> {
    let reply = tokio::time::timeout(silence, replies.message()).await;
    let reply = reply.map_err(|_| LinkError::Silent(silence))?;
    let reply = reply.map_err(|status| LinkError::Status(Box::new(status)))?;
    let reply = reply.ok_or(LinkError::Closed)?;
    reply.content.ok_or(LinkError::Malformed)
}

/// Connects to a peer, at one of its URLs after the other.
pub(super) async fn dial(context: &Context, peer: &Peer) -> Result<Channel, LinkError> {
    let url = peer.next_url().ok_or(LinkError::NoUrl)?;
    let endpoint = Endpoint::from_shared(url.clone())
        .map_err(|error| LinkError::Uri(format!("{url}: {error}")))?
        .connect_timeout(context.pace.dial)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(context.pace.read_timeout)
        .keep_alive_timeout(context.pace.read_timeout)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    // The seam for TLS: an endpoint may be given another connector.
    let channel = endpoint.connect().await;
    channel.map_err(|error| LinkError::Connect(url, error))
}

fn complaint(reason: Reason) -> &'static str {
    match reason {
        Reason::Cluster => "request sent was ignored by remote peer due to cluster ID mismatch",
        Reason::Target => "request sent was ignored by remote peer due to member ID mismatch",
        Reason::Version => {
            "request sent was ignored by remote peer due to server version incompatibility"
        }
        Reason::Removed => "request sent was ignored by remote peer since this member was removed",
        Reason::Lived | Reason::PutBack | Reason::Malformed | Reason::Unknown => {
            "request sent was ignored by remote peer"
        }
    }
}

/// The sending half of a link.
struct Writer {
    context: Arc<Context>,
    peer: Arc<Peer>,
    lane: Lane,
    pings: Arc<Mutex<Pings>>,
    ticks: tokio::time::Interval,
    sent: ferrod_metrics::IntCounter,
    greeted: bool,
}

impl Writer {
    async fn next(&mut self) -> Content {
        if !std::mem::replace(&mut self.greeted, true) {
            return Content::Hello(self.context.hello(self.peer.id, self.lane));
        }
        tokio::select! {
            biased;
            _ = self.ticks.tick() => {
                let mut pings = self.pings.lock();
                pings.number += 1;
                pings.sent = self.context.clock.now();
                Content::Ping(Ping { number: pings.number })
            }
            messages = self.peer.outbox(self.lane).take(PARCEL_BYTES) => {
                let messages = messages.into_iter().filter_map(wire::encode).collect();
                Content::Messages(Messages { messages })
            }
        }
    }
}
