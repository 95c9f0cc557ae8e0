//! One watcher and its stream.

use std::time::Duration;

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    watch_request::RequestUnion,
};
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};
use tonic_prost::ProstCodec;

use super::assembly::Assembly;
use crate::method::Method;
use crate::{Client, Error};

const WATCH: Method<WatchRequest, WatchResponse> = Method::repeatable("/etcdserverpb.Watch/Watch");

/// Pause before a broken stream is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Requests that may wait to be sent, and wishes that may wait for [`Watcher::next`].
const QUEUE_MAX: usize = 8;

/// Hears of every change to a range of keys, in order, each once, across broken connections.
///
/// Nothing runs behind the caller's back: what is not read with [`Watcher::next`] waits at the server.
pub struct Watcher {
    client: Client,
    assembly: Assembly,
    stream: Option<Open>,
    wishes: (mpsc::Sender<Wish>, mpsc::Receiver<Wish>),
    ended: bool,
}

struct Open {
    requests: mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
    watch_id: i64,
}

enum Wish {
    Progress,
    Cancel,
}

/// Asks something of a watcher from elsewhere, while its owner waits for events.
#[derive(Clone)]
pub struct WatchHandle(mpsc::Sender<Wish>);

impl WatchHandle {
    /// Asks for a progress notification. The server may leave it unanswered.
    pub async fn request_progress(&self) {
        let _ = self.0.send(Wish::Progress).await;
    }

    /// Asks for the end. The server's confirmation is the last response.
    pub async fn cancel(&self) {
        let _ = self.0.send(Wish::Cancel).await;
    }
}

/// What happened while waiting.
enum Happened {
    Wish(Option<Wish>),
    Message(Result<Option<WatchResponse>, Error>),
}

impl Watcher {
    pub(crate) fn new(client: Client, request: WatchCreateRequest) -> Watcher {
        let assembly = Assembly::new(request);
        Watcher {
            client,
            assembly,
            stream: None,
            wishes: mpsc::channel(QUEUE_MAX),
            ended: false,
        }
    }

    /// A handle to ask for progress or for the end.
    pub fn handle(&self) -> WatchHandle {
        WatchHandle(self.wishes.0.clone())
    }

    /// The next response: events of one or more revisions, a progress notification, or the end of the watcher
    /// ([`cancel_cause`](crate::cancel_cause) says why). None after the end.
    ///
    /// May be dropped at any await and called again: nothing is lost.
    ///
    /// # Errors
    /// A failure of the stream that a new stream would not mend, for instance [`ApiError::NoLeader`] when a leader is
    /// required. After an error comes none.
    pub async fn next(&mut self) -> Option<Result<WatchResponse, Error>> {
        while !self.ended {
            let happened = match self.wait().await {
                Ok(happened) => happened,
                Err(error) => Happened::Message(Err(error)),
            };
            match happened {
                Happened::Wish(wish) => self.ask(wish).await,
                Happened::Message(Ok(Some(message))) => {
                    if let Some(response) = self.take(message) {
                        return Some(Ok(response));
                    }
                }
                Happened::Message(Ok(None)) => self.reconnect().await,
                Happened::Message(Err(error)) if is_final(&error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Happened::Message(Err(_)) => self.reconnect().await,
            }
        }
        None
    }

    async fn wait(&mut self) -> Result<Happened, Error> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(open(&self.client, self.assembly.restart()).await?),
        };
        Ok(tokio::select! {
            message = stream.responses.message() => Happened::Message(message.map_err(Error::from)),
            wish = self.wishes.1.recv() => Happened::Wish(wish),
        })
    }

    fn take(&mut self, message: WatchResponse) -> Option<WatchResponse> {
        if let Some(stream) = self.stream.as_mut().filter(|_| message.created) {
            stream.watch_id = message.watch_id;
        }
        let response = self.assembly.take(message)?;
        self.ended = response.canceled || response.compact_revision != 0;
        Some(response)
    }

    async fn ask(&mut self, wish: Option<Wish>) {
        let (Some(stream), Some(wish)) = (&self.stream, wish) else {
            return;
        };
        let request = match wish {
            Wish::Progress => RequestUnion::ProgressRequest(WatchProgressRequest {}),
            Wish::Cancel => RequestUnion::CancelRequest(WatchCancelRequest {
                watch_id: stream.watch_id,
            }),
        };
        // A stream that takes nothing any more reports its failure with the next message.
        let _ = stream
            .requests
            .send(WatchRequest {
                request_union: Some(request),
            })
            .await;
    }

    async fn reconnect(&mut self) {
        self.stream = None;
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Opens a stream with its first request, because servers answer nothing before it.
async fn open(client: &Client, create: WatchCreateRequest) -> Result<Open, Error> {
    client.renew_token(0).await?;
    let create = WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(create)),
    };
    let attempt = |channel| {
        let (requests, outgoing) = mpsc::channel(QUEUE_MAX);
        // The channel has room, and this is the first.
        let _ = requests.try_send(create.clone());
        let request = client.request(ReceiverStream::new(outgoing), None);
        let grpc = client.grpc(channel);
        async move {
            let path = PathAndQuery::from_static(WATCH.path);
            let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
            let responses = grpc
                .await?
                .streaming(request, path, codec)
                .await?
                .into_inner();
            Ok(Open {
                requests,
                responses,
                watch_id: 0,
            })
        }
    };
    client.attempts(WATCH.repeat, &mut None, attempt).await
}

/// Whether a new stream would fare no better.
fn is_final(error: &Error) -> bool {
    error.api() == Some(ApiError::NoLeader)
        || !matches!(error.code(), Some(Code::Unavailable | Code::Internal))
}
