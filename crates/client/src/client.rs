//! The handle that callers hold, and the one path that every call takes.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use parking_lot::Mutex;
use prost::Message;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::method::{Method, Repeat};
use crate::pool::Pool;
use crate::retry::{ATTEMPTS_MAX, Rounds, Verdict};
use crate::{Config, Error};

/// Sent with every call; servers count callers by it.
const CLIENT_API_VERSION: &str = "3.7";

/// A handle on a cluster. Clones share connections and token.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    call_timeout: Option<Duration>,
    require_leader: bool,
}

pub(crate) struct Shared {
    pub(crate) config: Config,
    pool: Pool,
    pub(crate) token: Mutex<Option<MetadataValue<Ascii>>>,
}

impl Client {
    /// Prepares connections to all endpoints; they are made when they are needed.
    ///
    /// With a name and password a token is asked for, within the dial timeout. A cluster without authentication refuses
    /// to give one; that is not an error. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error::NoEndpoint`], [`Error::Endpoint`] and [`Error::MessageLimits`] for a configuration that cannot work, and
    /// whatever refused the token.
    pub async fn connect(config: Config) -> Result<Client, Error> {
        if config.send_bytes_max > config.recv_bytes_max {
            let (recv, send) = (config.recv_bytes_max, config.send_bytes_max);
            return Err(Error::MessageLimits { recv, send });
        }
        let pool = Pool::new(&config)?;
        let (call_timeout, require_leader) = (config.call_timeout, config.require_leader);
        let shared = Arc::new(Shared {
            config,
            pool,
            token: Mutex::new(None),
        });
        let client = Client {
            shared,
            call_timeout,
            require_leader,
        };
        client.log_in().await?;
        Ok(client)
    }

    /// The same connections with another limit for whole calls.
    pub fn with_call_timeout(&self, call_timeout: Option<Duration>) -> Client {
        Client {
            call_timeout,
            ..self.clone()
        }
    }

    /// The same connections, with or without the wish that members without a leader refuse at once.
    pub fn with_require_leader(&self, require_leader: bool) -> Client {
        Client {
            require_leader,
            ..self.clone()
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Calls a unary method, as often as its kind allows, within the call timeout.
    pub(crate) async fn unary<Q, R>(&self, method: Method<Q, R>, message: Q) -> Result<R, Error>
    where
        Q: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        self.check_size(&message)?;
        let deadline = self.call_timeout.map(|timeout| Instant::now() + timeout);
        let mut last = None;
        let attempts = self.attempts(method.repeat, &mut last, |channel| {
            let request = self.request(message.clone(), deadline);
            let grpc = self.grpc(channel);
            async move {
                let path = PathAndQuery::from_static(method.path);
                let codec = ProstCodec::<Q, R>::default();
                Ok(grpc.await?.unary(request, path, codec).await?.into_inner())
            }
        });
        let Some(deadline) = deadline else {
            return attempts.await;
        };
        match tokio::time::timeout_at(deadline, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::DeadlineExceeded {
                last: last.map(Box::new),
            }),
        }
    }

    /// Runs attempts until one succeeds or the failure is final. The latest failure stays in `last`.
    pub(crate) async fn attempts<T, F>(
        &self,
        repeat: Repeat,
        last: &mut Option<Status>,
        attempt: impl Fn(Channel) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let pool = &self.shared.pool;
        let mut rounds = Rounds::new(pool.len());
        let mut refused = 0;
        loop {
            let picked = pool.pick();
            let status = match attempt(picked.channel.clone()).await {
                Ok(answer) => {
                    pool.reachable(&picked);
                    return Ok(answer);
                }
                Err(status) => status,
            };
            let verdict = Verdict::of(&status, repeat, pool.len());
            match verdict {
                Verdict::Unsent => pool.unreachable(&picked),
                Verdict::Again | Verdict::NewToken => refused += 1,
                Verdict::Final => return Err(status.into()),
            }
            if refused >= ATTEMPTS_MAX
                || (verdict == Verdict::NewToken && !self.renew_token(refused).await?)
            {
                return Err(status.into());
            }
            *last = Some(status);
            tokio::time::sleep(rounds.pause(verdict)).await;
        }
    }

    /// The message with the metadata that every call carries.
    pub(crate) fn request<Q>(&self, message: Q, deadline: Option<Instant>) -> Request<Q> {
        let mut request = Request::new(message);
        if let Some(deadline) = deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        let metadata = request.metadata_mut();
        metadata.insert(
            "client-api-version",
            MetadataValue::from_static(CLIENT_API_VERSION),
        );
        if self.require_leader {
            metadata.insert("hasleader", MetadataValue::from_static("true"));
        }
        if let Some(token) = self.shared.token.lock().clone() {
            metadata.insert("token", token);
        }
        request
    }

    /// A connection that is ready for one call.
    pub(crate) fn grpc(
        &self,
        channel: Channel,
    ) -> impl Future<Output = Result<Grpc<Channel>, Status>> + use<> {
        let recv_bytes_max = self.shared.config.recv_bytes_max;
        async move {
            let mut grpc = Grpc::new(channel).max_decoding_message_size(recv_bytes_max);
            let ready = grpc.ready().await;
            ready.map_err(|error| Status::from_error(Box::new(error)))?;
            Ok(grpc)
        }
    }

    /// Refuses what is too large to send, in the words of Go's gRPC library.
    pub(crate) fn check_size(&self, message: &impl Message) -> Result<(), Error> {
        let (bytes, max) = (message.encoded_len(), self.shared.config.send_bytes_max);
        if bytes <= max {
            return Ok(());
        }
        let text = format!("trying to send message larger than max ({bytes} vs. {max})");
        Err(Error::Status {
            code: tonic::Code::ResourceExhausted,
            text,
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let endpoints = &self.shared.config.endpoints;
        f.debug_struct("Client")
            .field("endpoints", endpoints)
            .finish_non_exhaustive()
    }
}
