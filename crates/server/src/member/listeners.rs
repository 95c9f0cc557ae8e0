//! All places where a member listens.

mod excuse;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ferrod_wal::Identity;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Error;
use crate::config::{Config, MemberUrl};
use crate::engine::Engine;
use crate::http::{Access, Pages};
use crate::peer::waiting;
use crate::probe::MemberProbe;
use crate::serve::{BoundListener, Kind, Runtimes, Serving, SocketOptions, bind};

/// Bound sockets; nothing is accepted yet.
pub(super) struct Listeners {
    client: Vec<BoundListener>,
    /// For the pages of clients alone.
    client_pages: Vec<BoundListener>,
    /// For metrics and health alone.
    metrics: Vec<BoundListener>,
    peer: Vec<BoundListener>,
}

impl Listeners {
    /// Binds everything, before anything on disk is touched.
    ///
    /// # Errors
    /// If an address cannot be listened on.
    pub(super) fn bind(config: &Config) -> Result<Listeners, Error> {
        let options = SocketOptions {
            reuse_port: config.listen.reuse_port,
        };
        let bind_all = |urls: &[MemberUrl]| -> Result<Vec<BoundListener>, Error> {
            let mut bound = Vec::new();
            for url in urls {
                bound.extend(bind(url, options).map_err(|source| Error::system("listen", source))?);
            }
            Ok(bound)
        };
        let peer = bind_all(&config.listen.peer_urls)?;
        let client = bind_all(&config.listen.client_urls)?;
        let client_pages = bind_all(&config.listen.client_http_urls)?;
        let metrics = bind_all(&config.listen.metrics_urls)?;
        Ok(Listeners {
            client,
            client_pages,
            metrics,
            peer,
        })
    }

    /// Those for other members, which accept before all others do.
    pub(super) fn take_peer(&mut self) -> Vec<BoundListener> {
        std::mem::take(&mut self.peer)
    }

    /// Tells whoever comes why this member is of no use, until the returned tasks are dropped.
    ///
    /// # Errors
    /// If the system does not let a socket have two owners.
    pub(super) fn excuse(&self, reason: &str) -> Result<JoinSet<()>, Error> {
        let reason: Arc<str> = Arc::from(reason);
        let mut giving = JoinSet::new();
        let all = [&self.client, &self.client_pages, &self.metrics];
        for listener in all.into_iter().flatten() {
            let listener = listener.try_clone();
            let listener = listener.map_err(|source| Error::system("listen", source))?;
            giving.spawn(excuse::give(listener, reason.clone()));
        }
        Ok(giving)
    }

    /// Tells other members that this one waits for them, until the returned tasks are dropped.
    ///
    /// # Errors
    /// As [`Listeners::excuse`].
    pub(super) fn wait_as(&self, identity: Identity) -> Result<JoinSet<()>, Error> {
        let mut waiting = JoinSet::new();
        for listener in &self.peer {
            let listener = listener.try_clone();
            let listener = listener.map_err(|source| Error::system("listen", source))?;
            waiting.spawn(waiting::wait(listener, identity));
        }
        Ok(waiting)
    }
}

/// What listens and accepts.
pub(super) struct Doors<'m> {
    config: &'m Config,
    listeners: Listeners,
    pages: Arc<Pages<MemberProbe>>,
    runtimes: Arc<Runtimes>,
    stopping: watch::Receiver<bool>,
    accepting: JoinSet<io::Result<()>>,
}

impl<'m> Doors<'m> {
    /// All closed.
    pub(super) fn new(
        config: &'m Config,
        listeners: Listeners,
        engine: &Arc<Engine>,
        runtimes: Arc<Runtimes>,
        stopping: watch::Receiver<bool>,
    ) -> Doors<'m> {
        let probe = MemberProbe::new(engine.clone());
        let access = Access::new(&config.web);
        let pages = Pages::new(probe, engine.meters.clone(), access, config.web.gateway);
        Doors {
            config,
            listeners,
            pages: Arc::new(pages),
            runtimes,
            stopping,
            accepting: JoinSet::new(),
        }
    }

    /// Serves metrics and health, which others want to see of a member that does not serve clients yet.
    pub(super) fn open_for_metrics(&mut self) {
        let listeners = std::mem::take(&mut self.listeners.metrics);
        self.open(Kind::Metrics, listeners);
    }

    /// Serves clients, if it does not already.
    pub(super) fn open_for_clients(&mut self) {
        let listeners = std::mem::take(&mut self.listeners.client);
        self.open(Kind::Clients, listeners);
        let listeners = std::mem::take(&mut self.listeners.client_pages);
        self.open(Kind::ClientPages, listeners);
    }

    fn open(&mut self, kind: Kind, listeners: Vec<BoundListener>) {
        let apart = !self.config.listen.client_http_urls.is_empty();
        let grace = self.config.request_timeout();
        let serving = Serving::new(&self.config.limits, self.pages.clone(), kind, grace);
        let serving = Arc::new(serving);
        for listener in listeners {
            say_serving(kind, listener.address, apart);
            let (runtimes, stopping) = (self.runtimes.clone(), self.stopping.clone());
            let task = listener.accept_all(serving.clone(), runtimes, stopping);
            self.accepting.spawn(task);
        }
    }

    /// Returns when one of them has failed: it accepts until the member stops.
    pub(super) async fn failed(&mut self) -> Error {
        match self.accepting.join_next().await {
            Some(Ok(Err(source))) => Error::system("listener failed", source),
            Some(Ok(Ok(()))) => Error::Fatal("listener ended".to_owned()),
            Some(Err(source)) => Error::system("listener failed", source),
            None => std::future::pending().await,
        }
    }
}

fn say_serving(kind: Kind, address: SocketAddr, apart: bool) {
    let traffic = match kind {
        Kind::Clients if apart => "grpc",
        Kind::Clients => "grpc+http",
        Kind::ClientPages => "http",
        Kind::Metrics => {
            tracing::info!(%address, "serving metrics");
            return;
        }
    };
    tracing::info!(
        traffic,
        %address,
        "serving client traffic insecurely; this is strongly discouraged!"
    );
}
