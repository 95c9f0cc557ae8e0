//! The listening end: who calls is heard out, and what it says goes to the node.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrod_proto::peer::parcel::Content;
use ferrod_proto::peer::{
    Answer, Hello, Messages, Parcel, Ping, Question, Refusal, Reply, StateChunk, Welcome,
    peer_server, refusal::Reason, reply,
};
use futures_util::Stream;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status, Streaming};

use super::ask::{Asked, content_for};
use super::context::Context;
use super::directory::Peer;
use super::inbox::{ParcelError, Taken};
use super::lane::Lane;
use super::protocol::{self, PROTOCOL};
use super::state::{self, StateReplies};
use super::wire;
use crate::version::ETCD_VERSION;

/// To say who it is, a caller has this long.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Replies that may wait for a caller that does not read them.
const REPLIES_MAX: usize = 16;

/// Answers the calls of other members.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) context: Arc<Context>,
    /// Who calls.
    pub(super) remote: SocketAddr,
}

/// What a caller hears.
pub(super) type Replies = Pin<Box<dyn Stream<Item = Result<Reply, Status>> + Send>>;

#[tonic::async_trait]
impl peer_server::Peer for Host {
    type TalkStream = Replies;

    async fn talk(&self, request: Request<Streaming<Parcel>>) -> Result<Response<Replies>, Status> {
        let (replies, outgoing) = mpsc::channel(REPLIES_MAX);
        let ear = Ear {
            context: self.context.clone(),
            incoming: request.into_inner(),
            replies,
            remote: self.remote,
        };
        tokio::spawn(ear.listen());
        let outgoing = futures_util::stream::unfold(outgoing, |mut outgoing| async move {
            let reply = outgoing.recv().await?;
            Some((Ok(reply), outgoing))
        });
        Ok(Response::new(Box::pin(outgoing)))
    }

    async fn ask(&self, request: Request<Question>) -> Result<Response<Answer>, Status> {
        let (cluster, local) = (self.context.cluster_id.0, self.context.local.0);
        let content = content_for(request.into_inner(), cluster, local)?;
        let content = content.ok_or_else(|| Status::invalid_argument("no question"))?;
        let (reply, receiver) = oneshot::channel();
        let stopping = |_| Status::unavailable("the member is stopping");
        // Who asks too much is told so, and asks again.
        let asked = self
            .context
            .questions
            .try_send(Asked::Question { content, reply });
        asked.map_err(|_| Status::resource_exhausted("too many questions wait"))?;
        receiver.await.map_err(stopping)?.map(Response::new)
    }

    type StreamStateStream = StateReplies;

    async fn stream_state(
        &self,
        request: Request<Streaming<StateChunk>>,
    ) -> Result<Response<StateReplies>, Status> {
        let replies = state::receive(&self.context, request.into_inner()).await?;
        Ok(Response::new(replies))
    }
}

/// One connection from a peer.
struct Ear {
    context: Arc<Context>,
    incoming: Streaming<Parcel>,
    replies: mpsc::Sender<Reply>,
    remote: SocketAddr,
}

impl Ear {
    async fn listen(mut self) {
        let Some(hello) = self.hello().await else {
            return;
        };
        if hello.newcomer {
            self.context.remembers().await;
        }
        let (peer, lane) = match self.admit(&hello) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.refuse(&hello, refusal).await,
        };
        if let Err(refusal) = self.context.recognize(&hello).await {
            return self.refuse(&hello, refusal).await;
        }
        let welcome = reply::Content::Welcome(Welcome {
            version: ETCD_VERSION.to_owned(),
            protocol: PROTOCOL,
            life: Some(self.context.life.current().to_wire()),
        });
        self.reply(welcome);
        // It is up, so it can be called too.
        if peer.active_since().is_none() {
            peer.kick();
        }
        let arrival = peer.arrived(lane);
        let connected = self.context.contact(&peer);
        let refusal = self.hear(&peer, lane, arrival).await;
        drop(connected);
        if let Some(refusal) = refusal {
            return self.refuse(&hello, refusal).await;
        }
        if peer.is_newest(lane, arrival) {
            self.lost(&peer, lane);
        }
    }

    fn admit(&self, hello: &Hello) -> Result<(Arc<Peer>, Lane), Refusal> {
        protocol::check_hello(hello).map_err(|text| self.context.refusal(Reason::Version, text))?;
        self.context.admit(hello)
    }

    async fn hello(&mut self) -> Option<Hello> {
        let parcel = tokio::time::timeout(HELLO_TIMEOUT, self.incoming.message()).await;
        let hello = match parcel {
            Ok(Ok(Some(Parcel {
                content: Some(Content::Hello(hello)),
            }))) => protocol::read_hello(hello),
            Ok(Ok(None)) => return None,
            _ => None,
        };
        if hello.is_none() {
            let remote = self.remote.to_string();
            let failures = &self.context.meters.network.peer_received_failures_total;
            failures.get(&remote).inc();
            tracing::warn!(
                "remote-addr" = remote,
                error = "a peer must say first who it is",
                "rejected connection on peer endpoint"
            );
        }
        hello
    }

    /// Hears messages until the connection ends, or a newer one takes its place while there is no room for what it brings.
    /// Returns a refusal if we end it.
    async fn hear(&mut self, peer: &Peer, lane: Lane, arrival: u64) -> Option<Refusal> {
        let network = &self.context.meters.network;
        let label = peer.id.to_string();
        let received = network.peer_received_bytes_total.get(&label);
        let failures = network.peer_received_failures_total.get(&label);
        let malformed = |text| {
            failures.inc();
            Some(self.context.refusal(Reason::Malformed, text))
        };
        let silence = self.context.pace.read_timeout;
        let mut absurdities = peer.absurdities();
        let mut replied = self.context.clock.now();
        loop {
            let parcel = tokio::time::timeout(silence, self.incoming.message());
            let parcel = tokio::select! {
                biased;
                Ok(()) = absurdities.changed() => {
                    let absurdity = *absurdities.borrow();
                    return malformed(absurdity.map_or_else(String::new, |said| said.to_string()));
                }
                parcel = parcel => parcel,
            };
            let parcel = match parcel {
                Ok(Ok(Some(parcel))) => parcel,
                Ok(Err(_)) => {
                    failures.inc();
                    return None;
                }
                Ok(Ok(None)) | Err(_) => return None,
            };
            received.inc_by(parcel.encoded_len() as u64);
            if self.context.is_removed(peer.id) {
                let text = "removed member".to_owned();
                return Some(self.context.refusal(Reason::Removed, text));
            }
            let judged = match parcel.content {
                Some(Content::Messages(messages)) => tokio::select! {
                    // What there is room for is taken, also from a connection that has a younger sister: the younger may
                    // have ended already, and who has forwarded a proposal would wait for it in vain.
                    biased;
                    delivered = self.deliver(peer, lane, messages) => delivered,
                    () = peer.superseded(lane, arrival) => return None,
                }
                .inspect(|()| self.listens_again(&mut replied)),
                Some(Content::Ping(ping)) => {
                    replied = self.context.clock.now();
                    self.reply(reply::Content::Pong(ping));
                    Ok(())
                }
                Some(Content::Hello(_)) | None => Err("a hello comes once, and first".to_owned()),
            };
            if let Err(text) = judged {
                return malformed(text);
            }
        }
    }

    /// Hands messages to the node as soon as there is room for them; until then the connection is not read.
    async fn deliver(&self, peer: &Peer, lane: Lane, messages: Bytes) -> Result<(), String> {
        let taken = self.admit_parcel(peer, lane, &messages).await;
        let taken = taken.map_err(|error| error.to_string())?;
        let messages = Messages::decode(messages).map_err(|error| error.to_string())?;
        let messages: Result<Vec<_>, _> = messages
            .messages
            .into_iter()
            .map(|message| wire::decode(message, peer.id, self.context.local))
            .collect();
        let messages = messages.map_err(|error| error.to_string())?;
        self.context.node.receive_all(messages, Box::new(taken));
        Ok(())
    }

    async fn admit_parcel(
        &self,
        peer: &Peer,
        lane: Lane,
        messages: &Bytes,
    ) -> Result<Taken, ParcelError> {
        let mut room = std::pin::pin!(peer.inbox(lane).admit(messages));
        loop {
            tokio::select! {
                biased;
                taken = &mut room => return taken,
                () = tokio::time::sleep(self.context.pace.ping()) => self.listens(),
            }
        }
    }

    /// A sign of life for a caller whose ping is stuck behind what takes long.
    fn listens(&self) {
        self.reply(reply::Content::Pong(Ping { number: 0 }));
    }

    /// The same, unless there was one lately.
    fn listens_again(&self, replied: &mut Duration) {
        let now = self.context.clock.now();
        if now >= *replied + self.context.pace.ping() {
            *replied = now;
            self.listens();
        }
    }

    fn reply(&self, content: reply::Content) {
        // A caller that does not read its replies gets no more of them, and will find us silent.
        let _full = self.replies.try_send(Reply {
            content: Some(content),
        });
    }

    async fn refuse(&self, hello: &Hello, refusal: Refusal) {
        tracing::warn!(
            "local-member-id" = %self.context.local,
            "local-member-cluster-id" = %self.context.cluster_id,
            "remote-peer-id" = %format!("{:x}", hello.from),
            "remote-peer-cluster-id" = %format!("{:x}", hello.cluster),
            "remote-addr" = %self.remote,
            error = refusal.text,
            "{}",
            complaint(refusal.reason())
        );
        let content = Some(reply::Content::Refusal(refusal));
        // The caller may be gone already.
        let _gone = self.replies.send(Reply { content }).await;
    }

    fn lost(&self, peer: &Peer, lane: Lane) {
        tracing::warn!(
            "stream-reader-type" = lane.etcd_name(),
            "local-member-id" = %self.context.local,
            "remote-peer-id" = %peer.id,
            "lost TCP streaming connection with remote peer"
        );
        self.context.node.leader_gone(peer.id);
    }
}

fn complaint(reason: Reason) -> &'static str {
    match reason {
        Reason::Cluster => "request cluster ID mismatch",
        Reason::Target => "ignored streaming request; ID mismatch",
        Reason::Removed => "rejected stream from remote peer because it was removed",
        Reason::Version => "request version incompatible with the server",
        Reason::Lived => "rejected stream from remote peer because it has lost its data",
        Reason::PutBack => {
            "rejected stream from remote peer because its data are an older copy of them"
        }
        Reason::Malformed | Reason::Unknown => "rejected message from remote peer",
    }
}
