//! What a member says to the others while it has no log: it is suspect, and waits for their answers as they may wait for
//! its own.
//!
//! It says so to every member that asks how to heal, as often as it is asked. Who wants to talk is sent away, and comes
//! again.

use ferrod_proto::peer::peer_server::{Peer, PeerServer};
use ferrod_proto::peer::{Answer, Parcel, Question, StateChunk, Waiting, answer, question};
use ferrod_wal::Identity;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::{Request, Response, Status, Streaming};

use super::ask::content_for;
use super::host::Replies;
use super::state::StateReplies;
use super::thread;
use crate::http::reply;

const WHY: &str = "this member is suspect and waits for the others";

/// Answers until it is dropped, or the socket fails: who comes then finds nobody.
///
/// Only for a member of which nothing runs that could vote, and whose mark as suspect is durable.
pub(crate) async fn wait(listener: TcpListener, identity: Identity) {
    let calls = PeerServer::new(Host { identity });
    // Dropped with this: what a connection says is not true any more when the member has begun again.
    let mut answering = JoinSet::new();
    while let Ok((stream, _)) = thread::accept(&listener).await {
        while answering.try_join_next().is_some() {}
        let page = |_| async { reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("{WHY}\n")) };
        answering.spawn(thread::converse(stream, calls.clone(), page));
    }
}

#[derive(Debug, Clone)]
struct Host {
    /// Whose log is lost.
    identity: Identity,
}

#[tonic::async_trait]
impl Peer for Host {
    type TalkStream = Replies;
    type StreamStateStream = StateReplies;

    async fn ask(&self, request: Request<Question>) -> Result<Response<Answer>, Status> {
        let Identity { cluster, member } = self.identity;
        let content = content_for(request.into_inner(), cluster, member)?;
        match content {
            Some(question::Content::Suspect(_)) => Ok(Response::new(Answer {
                content: Some(answer::Content::Waiting(Waiting {})),
            })),
            _ => Err(Status::unavailable(WHY)),
        }
    }

    async fn talk(&self, _: Request<Streaming<Parcel>>) -> Result<Response<Replies>, Status> {
        Err(Status::unavailable(WHY))
    }

    async fn stream_state(
        &self,
        _: Request<Streaming<StateChunk>>,
    ) -> Result<Response<StateReplies>, Status> {
        Err(Status::unavailable(WHY))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ferrod_node::MemberId;
    use ferrod_proto::peer::{Comparison, Suspect};

    use super::*;
    use crate::ids::ClusterId;
    use crate::peer::ask::ask;

    const IDENTITY: Identity = Identity {
        cluster: 7,
        member: 2,
    };

    struct Waits {
        url: String,
        _waiting: JoinSet<()>,
    }

    impl Waits {
        async fn begin() -> Waits {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let mut waiting = JoinSet::new();
            waiting.spawn(wait(listener, IDENTITY));
            Waits {
                url,
                _waiting: waiting,
            }
        }

        async fn ask(
            &self,
            cluster: u64,
            member: u64,
            content: question::Content,
        ) -> Result<Answer, Status> {
            let urls = [self.url.clone()];
            let patience = Duration::from_secs(60);
            ask(
                ClusterId(cluster),
                MemberId(member),
                &urls,
                content,
                patience,
            )
            .await
        }
    }

    fn suspect() -> question::Content {
        question::Content::Suspect(Suspect { member: 3, last: 0 })
    }

    /// covers: D-02, P-M-02
    #[tokio::test]
    async fn it_says_so_as_often_as_it_is_asked() {
        let waits = Waits::begin().await;
        for _ in 0..3 {
            let answer = waits.ask(7, 2, suspect()).await.unwrap();
            assert_eq!(answer.content, Some(answer::Content::Waiting(Waiting {})));
        }
    }

    /// covers: D-02, P-M-02
    #[tokio::test]
    async fn it_answers_nothing_else_and_for_nobody_else() {
        let waits = Waits::begin().await;
        let compare = question::Content::Compare(Comparison {});
        let refusals = [
            waits.ask(7, 2, compare).await,
            waits.ask(7, 3, suspect()).await,
            waits.ask(8, 2, suspect()).await,
        ];
        let texts = refusals.map(|refusal| refusal.unwrap_err().message().to_owned());
        let other = "another member is meant";
        assert_eq!(texts, [WHY, other, other]);
    }
}
