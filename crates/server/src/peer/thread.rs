//! The thread of the peers: a runtime of its own, so that what members say to each other never waits for a client.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ferrod_proto::peer::peer_server::{Peer, PeerServer};
use http::{Request, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tonic::body::Body;
use tonic::codegen::Service;

use super::context::Context;
use super::directory::Followed;
use super::host::Host;
use super::lane::Lane;
use super::link::Link;
use super::pages;
use super::state::{Desk, StateOrder};
use crate::http::reply::Reply;
use crate::serve::{BoundListener, is_passing};

const WINDOW_BYTES: u32 = 16 << 20;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The thread that talks to the other members.
pub(crate) struct PeerThread {
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl PeerThread {
    /// Starts to listen and to call.
    ///
    /// # Errors
    /// If the system has no thread or no runtime to give.
    pub(crate) fn start(
        context: Arc<Context>,
        orders: mpsc::UnboundedReceiver<StateOrder>,
        listeners: Vec<BoundListener>,
    ) -> io::Result<PeerThread> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopping) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("peer".to_owned())
            .spawn(move || runtime.block_on(live(context, orders, listeners, stopping)))?;
        Ok(PeerThread { thread, stop })
    }

    /// Hangs up and ends.
    pub(crate) fn stop(self) {
        self.stop.send_replace(true);
        // A thread that panicked has said so.
        let _panicked = self.thread.join();
    }
}

async fn live(
    context: Arc<Context>,
    orders: mpsc::UnboundedReceiver<StateOrder>,
    listeners: Vec<BoundListener>,
    mut stopping: watch::Receiver<bool>,
) {
    for listener in listeners {
        tracing::info!(address = %listener.address, "serving peer traffic");
        tokio::spawn(accept_all(context.clone(), listener));
    }
    tokio::spawn(link_up(context.clone()));
    tokio::spawn(report_losses(context.clone()));
    tokio::spawn(Desk::new(context.clone(), orders).work());
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        () = follow_members(&context) => {}
    }
    // All tasks end with the runtime, and with them the connections.
}

/// Follows the members of the cluster for ever.
async fn follow_members(context: &Arc<Context>) {
    loop {
        let cluster = context.cluster.load();
        let followed = context.directory.follow(context.local, &cluster.members);
        say(context, &followed);
        if cluster.members.removed.contains(&context.local.0) {
            tokio::time::sleep(context.pace.removed()).await;
            context.removed.send_replace(true);
        }
        context.members_changed.notified().await;
    }
}

fn say(context: &Context, followed: &Followed) {
    let local = context.local.to_string();
    let known = &context.meters.network.known_peers;
    known.with_label_values(&[&local, &local]).set(1);
    for id in &followed.added {
        known.with_label_values(&[&local, &id.to_string()]).set(1);
        tracing::info!("local-member-id" = local, "remote-peer-id" = %id, "added remote peer");
    }
    for id in &followed.removed {
        known.with_label_values(&[&local, &id.to_string()]).set(0);
        tracing::info!("local-member-id" = local, "removed-remote-peer-id" = %id, "removed remote peer");
    }
    for id in &followed.moved {
        tracing::info!("local-member-id" = local, "remote-peer-id" = %id, "updated remote peer");
    }
}

/// Calls everyone who comes into the directory.
async fn link_up(context: Arc<Context>) {
    let mut linked: Vec<std::sync::Weak<super::directory::Peer>> = Vec::new();
    loop {
        linked.retain(|peer| peer.strong_count() > 0);
        for peer in context.directory.all() {
            if linked
                .iter()
                .any(|known| known.as_ptr() == Arc::as_ptr(&peer))
            {
                continue;
            }
            tracing::info!("remote-peer-id" = %peer.id, "starting remote peer");
            linked.push(Arc::downgrade(&peer));
            for lane in Lane::ALL {
                let link = Link::new(context.clone(), peer.clone(), lane);
                tokio::spawn(link.keep());
            }
            tracing::info!("remote-peer-id" = %peer.id, "started remote peer");
        }
        context.directory.changed().await;
    }
}

/// Tells raft of lost entries, at most once per heartbeat for each peer: it probes then instead of sending on.
async fn report_losses(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(context.pace.heartbeat);
    loop {
        ticks.tick().await;
        for peer in context.directory.all() {
            if peer.take_lost() {
                context.node.unreachable(peer.id);
            }
            let lost = peer.take_lost_count();
            if lost > 0 {
                let failures = &context.meters.network.peer_sent_failures_total;
                failures.get(&peer.id.to_string()).inc_by(lost);
            }
        }
    }
}

async fn accept_all(context: Arc<Context>, listener: BoundListener) {
    let listener = match listener.into_tokio() {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "stopped serving peer traffic"),
    };
    loop {
        match accept(&listener).await {
            Ok((stream, remote)) => {
                tokio::spawn(serve(context.clone(), stream, remote));
            }
            Err(error) => return tracing::error!(%error, "stopped serving peer traffic"),
        }
    }
}

/// The next connection.
///
/// # Errors
/// If the socket fails for good.
pub(super) async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        match listener.accept().await {
            Ok(accepted) => return Ok(accepted),
            Err(error) if is_passing(&error) => tokio::time::sleep(EXHAUSTED_PAUSE).await,
            Err(error) => return Err(error),
        }
    }
}

async fn serve(context: Arc<Context>, stream: TcpStream, remote: SocketAddr) {
    let host = Host {
        context: context.clone(),
        remote,
    };
    let calls = PeerServer::new(host).max_decoding_message_size(context.parcel_bytes_max);
    let page = move |request| {
        let context = context.clone();
        async move { pages::answer(&context, request).await }
    };
    if let Err(error) = converse(stream, calls, page).await {
        tracing::debug!("remote-addr" = %remote, %error, "rejected connection on peer endpoint");
    }
}

/// Answers calls of members and requests for pages on one connection, until it ends.
///
/// # Errors
/// What hyper does not understand.
pub(super) async fn converse<H, P, R>(
    stream: TcpStream,
    calls: PeerServer<H>,
    page: P,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    H: Peer,
    P: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Reply> + Send,
{
    // Without it a heartbeat waits for the acknowledgement of the one before.
    stream.set_nodelay(true).ok();
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    http.http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let answer = service_fn(move |request| {
        let (mut calls, page) = (calls.clone(), page.clone());
        async move {
            if is_call(&request) {
                calls.call(request).await
            } else {
                Ok::<_, Infallible>(page(request).await.map(Body::new))
            }
        }
    });
    http.serve_connection(TokioIo::new(stream), answer).await
}

fn is_call(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_grpc =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    is_grpc && request.version() == http::Version::HTTP_2
}
