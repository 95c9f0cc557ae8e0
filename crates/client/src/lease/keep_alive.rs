//! The loop that keeps a lease alive.

use std::time::Duration;

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{LeaseKeepAliveRequest, LeaseKeepAliveResponse};
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::method::Method;
use crate::{Client, Error};

const KEEP_ALIVE: Method<LeaseKeepAliveRequest, LeaseKeepAliveResponse> =
    Method::repeatable("/etcdserverpb.Lease/LeaseKeepAlive");

/// Pause before a broken stream is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Renews one lease every third of its time to live.
///
/// Nothing runs behind the caller's back: the lease is renewed only while [`KeepAlive::next`] is awaited, so run it in a
/// task of its own.
pub struct KeepAlive {
    client: Client,
    id: i64,
    stream: Option<Open>,
    /// When to ask next.
    due: Instant,
    /// Until when the lease lives if nothing more is heard; none before the first answer.
    lives_until: Option<Instant>,
    ended: bool,
}

struct Open {
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    responses: Streaming<LeaseKeepAliveResponse>,
}

impl KeepAlive {
    pub(crate) fn new(client: Client, id: i64) -> KeepAlive {
        let client = client.with_require_leader(true);
        KeepAlive {
            client,
            id,
            stream: None,
            due: Instant::now(),
            lives_until: None,
            ended: false,
        }
    }

    /// Waits until a renewal is due, asks for it, and returns the answer; none when the lease is gone.
    ///
    /// Broken streams are opened again. May be dropped at any await and called again.
    ///
    /// # Errors
    /// What the server refused for good, for instance a permission. After an error there is nothing more to come.
    pub async fn next(&mut self) -> Result<Option<LeaseKeepAliveResponse>, Error> {
        loop {
            if self.ended || self.lives_until.is_some_and(|end| end <= Instant::now()) {
                return Ok(None);
            }
            tokio::time::sleep_until(self.due).await;
            match self.renew_while_alive().await {
                Ok(response) if response.ttl <= 0 => self.ended = true,
                Ok(response) => return Ok(Some(self.renewed(response))),
                Err(error) if is_final(&error) => {
                    self.ended = true;
                    return Err(error);
                }
                Err(_) => {
                    self.stream = None;
                    self.due = Instant::now() + RECONNECT_PAUSE;
                }
            }
        }
    }

    /// Renews once, at once.
    ///
    /// # Errors
    /// [`ApiError::LeaseNotFound`] if the lease is gone; otherwise as [`KeepAlive::next`].
    pub async fn once(mut self) -> Result<LeaseKeepAliveResponse, Error> {
        match self.next().await? {
            Some(response) => Ok(response),
            None => Err(Error::Api(ApiError::LeaseNotFound)),
        }
    }

    fn renewed(&mut self, response: LeaseKeepAliveResponse) -> LeaseKeepAliveResponse {
        let ttl = Duration::from_secs(response.ttl.unsigned_abs());
        let now = Instant::now();
        self.due = now + ttl / 3;
        self.lives_until = Some(now + ttl);
        response
    }

    /// A server that stays silent until the lease must have ended is not waited for any longer.
    async fn renew_while_alive(&mut self) -> Result<LeaseKeepAliveResponse, Error> {
        match self.lives_until {
            None => self.renew().await,
            Some(end) => match tokio::time::timeout_at(end, self.renew()).await {
                Ok(outcome) => outcome,
                Err(_) => Ok(LeaseKeepAliveResponse {
                    id: self.id,
                    ..Default::default()
                }),
            },
        }
    }

    async fn renew(&mut self) -> Result<LeaseKeepAliveResponse, Error> {
        let request = LeaseKeepAliveRequest { id: self.id };
        // Taken out so that a call that is dropped half way does not leave an answer for the next one to find.
        let mut open = match self.stream.take() {
            Some(open) => {
                open.requests.send(request).await.map_err(|_| closed())?;
                open
            }
            None => self.open(request).await?,
        };
        let response = open.responses.message().await?.ok_or_else(closed)?;
        self.stream = Some(open);
        Ok(response)
    }

    /// Opens the stream with its first request, because servers answer nothing before it.
    async fn open(&self, first: LeaseKeepAliveRequest) -> Result<Open, Error> {
        let client = &self.client;
        client.renew_token(0).await?;
        let attempt = |channel| {
            let (requests, outgoing) = mpsc::channel(1);
            // The channel has room for one, and this is the first.
            let _ = requests.try_send(first);
            let request = client.request(ReceiverStream::new(outgoing), None);
            let grpc = client.grpc(channel);
            async move {
                let path = PathAndQuery::from_static(KEEP_ALIVE.path);
                let codec = ProstCodec::<LeaseKeepAliveRequest, LeaseKeepAliveResponse>::default();
                let responses = grpc
                    .await?
                    .streaming(request, path, codec)
                    .await?
                    .into_inner();
                Ok(Open {
                    requests,
                    responses,
                })
            }
        };
        client.attempts(KEEP_ALIVE.repeat, &mut None, attempt).await
    }
}

fn closed() -> Status {
    Status::unavailable("keep-alive stream closed")
}

/// Whether opening the stream again would not help.
fn is_final(error: &Error) -> bool {
    !matches!(
        error.code(),
        Some(Code::Unavailable | Code::Internal | Code::Unknown)
    )
}
