//! Questions to one member, mostly what only the leader can answer: asked over the peer port, one call each. A member that has
//! lost its log asks everybody.
//!
//! A question is not a message of raft: it may be asked again, and who asks waits for the answer.

use std::sync::Arc;
use std::time::Duration;

use ferrod_node::MemberId;
use ferrod_proto::peer::peer_client::PeerClient;
use ferrod_proto::peer::{Answer, Question, question};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::directory::Directory;
use crate::ids::ClusterId;

/// Questions that may wait for the thread that answers them.
pub(crate) const QUESTIONS_MAX: usize = 1024;

/// What came in for the thread that has the answers, and where the answer goes.
pub(crate) enum Asked {
    /// A question of another member, for the leader.
    Question {
        content: question::Content,
        reply: oneshot::Sender<Result<Answer, Status>>,
    },
    /// A learner is to get a vote, by way of whoever leads.
    Promote {
        member: MemberId,
        reply: oneshot::Sender<Result<(), Status>>,
    },
    /// A read is to see all that was acknowledged before.
    Barrier {
        reply: oneshot::Sender<Result<(), Status>>,
    },
}

/// Where questions that come in wait.
pub(crate) type Questions = mpsc::Sender<Asked>;

/// What is asked of this member.
///
/// # Errors
/// If another one is meant.
pub(super) fn content_for(
    question: Question,
    cluster: u64,
    member: u64,
) -> Result<Option<question::Content>, Status> {
    if question.cluster != cluster || question.to != member {
        return Err(Status::failed_precondition("another member is meant"));
    }
    Ok(question.content)
}

/// How long one URL may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// To connect.
    pub(crate) connect: Duration,
    /// To answer, connecting included.
    pub(crate) answer: Duration,
}

/// Asks one member, at each of its URLs until one answers; no URL takes longer than `patience`.
///
/// # Errors
/// The refusal as it came, or what went wrong on the way.
pub(crate) async fn ask(
    cluster: ClusterId,
    to: MemberId,
    urls: &[String],
    content: question::Content,
    patience: Duration,
) -> Result<Answer, Status> {
    let patience = Patience {
        connect: patience,
        answer: patience,
    };
    ask_patiently(cluster, to, urls, content, patience).await
}

/// As [`ask`], for an answer that may take far longer than a connection.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn ask_patiently(
    cluster: ClusterId,
    to: MemberId,
    urls: &[String],
    content: question::Content,
    patience: Patience,
) -> Result<Answer, Status> {
    let mut last = Status::unavailable("no URL is known");
    for url in urls {
        let question = Question {
            cluster: cluster.0,
            to: to.0,
            content: Some(content.clone()),
        };
        let asking = async {
            let mut client =
                PeerClient::new(endpoint(url.clone(), patience.connect)?.connect().await?);
            client.ask(question).await.map_err(AskError::Status)
        };
        match tokio::time::timeout(patience.answer, asking).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(AskError::Status(status))) => last = status,
            Ok(Err(AskError::Way(error))) => {
                last = Status::unavailable(crate::logging::error_chain(&error));
            }
            Err(_) => last = Status::unavailable(format!("{url} does not answer")),
        }
    }
    Err(last)
}

enum AskError {
    Way(tonic::transport::Error),
    Status(Status),
}

impl From<tonic::transport::Error> for AskError {
    fn from(error: tonic::transport::Error) -> AskError {
        AskError::Way(error)
    }
}

fn endpoint(url: String, patience: Duration) -> Result<Endpoint, tonic::transport::Error> {
    // The seam for TLS: an endpoint may be given another connector.
    Ok(Endpoint::from_shared(url)?
        .connect_timeout(patience)
        .tcp_nodelay(true))
}

/// The way to whoever leads.
pub(crate) struct LeaderLine {
    cluster: ClusterId,
    directory: Arc<Directory>,
    /// To connect, and to answer.
    patience: Duration,
    line: Mutex<Option<(MemberId, PeerClient<Channel>)>>,
}

impl LeaderLine {
    /// A way that is not used yet; no question takes longer than `patience`.
    pub(crate) fn new(
        cluster: ClusterId,
        directory: Arc<Directory>,
        patience: Duration,
    ) -> LeaderLine {
        LeaderLine {
            cluster,
            directory,
            patience,
            line: Mutex::new(None),
        }
    }

    /// Asks the member that is taken for the leader.
    ///
    /// # Errors
    /// The leader's refusal as it came, or what went wrong on the way.
    pub(crate) async fn ask(
        &self,
        leader: MemberId,
        content: question::Content,
    ) -> Result<Answer, Status> {
        let mut client = self.client(leader)?;
        let question = Question {
            cluster: self.cluster.0,
            to: leader.0,
            content: Some(content),
        };
        let asking = tokio::time::timeout(self.patience, client.ask(question)).await;
        let answer = asking
            .unwrap_or_else(|_| Err(Status::unavailable("the leader does not answer")))
            .map(tonic::Response::into_inner);
        if answer.is_err() {
            self.hang_up(leader);
        }
        answer
    }

    fn client(&self, leader: MemberId) -> Result<PeerClient<Channel>, Status> {
        let mut line = self.line.lock();
        if let Some((to, client)) = &*line
            && *to == leader
        {
            return Ok(client.clone());
        }
        let url = self.directory.get(leader).and_then(|peer| peer.next_url());
        let url = url.ok_or_else(|| Status::unavailable("the leader's URL is not known"))?;
        let endpoint =
            endpoint(url, self.patience).map_err(|error| Status::unavailable(error.to_string()))?;
        let client = PeerClient::new(endpoint.connect_lazy());
        *line = Some((leader, client.clone()));
        Ok(client)
    }

    /// The next question tries the leader's next URL.
    fn hang_up(&self, leader: MemberId) {
        self.line.lock().take_if(|(to, _)| *to == leader);
    }
}
