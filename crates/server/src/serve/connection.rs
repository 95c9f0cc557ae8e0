//! One connection: HTTP/1 and HTTP/2 told apart by their first bytes, pages and calls by their content type.

use std::convert::Infallible;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::sync::watch;

use super::at_once::AtOnce;
use super::socket::{Connected, Socket};
use crate::grpc::dispatch;
use crate::grpc::reply::{self, ReplyBody};
use crate::http::{Pages, Place};
use crate::probe::MemberProbe;
use crate::worker::Worker;

/// Go clients send up to this many bytes of headers without asking; hyper's default is less.
const HEADER_BYTES_MAX: u32 = 256 << 10;
/// What a client may send ahead of being read. Uploads and large values need room.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// What may wait in one stream for a client that reads slowly.
const SEND_BUFFER_BYTES: usize = 1 << 20;
const HTTP1_HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Calls and pages.
    Clients,
    /// The pages for clients, without calls.
    ClientPages,
    /// Metrics and health, for whoever watches over the member.
    Metrics,
}

/// How connections of one kind of listener are served.
pub(crate) struct Serving {
    http: auto::Builder<AtOnce>,
    pages: Arc<Pages<MemberProbe>>,
    kind: Kind,
    /// How long a stop waits for calls that are running.
    grace: Duration,
}

impl Serving {
    /// For one kind of listener.
    pub(crate) fn new(
        limits: &crate::config::Limits,
        pages: Arc<Pages<MemberProbe>>,
        kind: Kind,
        grace: Duration,
    ) -> Serving {
        let mut http = auto::Builder::new(AtOnce);
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP1_HEADER_TIMEOUT);
        http.http2()
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .max_concurrent_streams(limits.concurrent_streams_max)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(limits.keepalive_interval)
            .keep_alive_timeout(limits.keepalive_timeout);
        Serving {
            http,
            pages,
            kind,
            grace,
        }
    }

    /// Serves a connection to its end.
    pub(crate) async fn connection(
        self: Arc<Serving>,
        worker: Arc<Worker>,
        stream: TcpStream,
        mut stop: watch::Receiver<bool>,
    ) {
        // The other end may be gone already.
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
            return;
        };
        let answer = service_fn(|request| {
            let (serving, worker) = (self.clone(), worker.clone());
            async move { Ok::<_, Infallible>(serving.answer(worker, request).await) }
        });
        let (socket, outbox) = Socket::split(stream);
        let connection = std::pin::pin!(self.http.serve_connection(socket, answer));
        let mut connected = Connected { connection, outbox };
        tokio::select! {
            biased;
            // What goes wrong on a connection is the client's to see: it is closed.
            () = &mut connected => return,
            _ = stop.wait_for(|stop| *stop) => {}
        }
        connected.connection.as_mut().graceful_shutdown();
        // Watches do not end by themselves.
        let _cut_off = tokio::time::timeout(self.grace, connected).await;
    }

    async fn answer(&self, worker: Arc<Worker>, request: Request<Incoming>) -> Response<ReplyBody> {
        if !is_grpc(&request) {
            let place = match self.kind {
                Kind::Clients | Kind::ClientPages => Place::Clients,
                Kind::Metrics => Place::Metrics,
            };
            return reply::page(self.pages.answer(place, &request).await);
        }
        if self.kind == Kind::Clients {
            dispatch::answer(worker, request).await
        } else {
            reply::http_status(StatusCode::NOT_FOUND)
        }
    }
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    request.version() == http::Version::HTTP_2
        && content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
