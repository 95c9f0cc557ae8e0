//! All places where a member listens.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Error;
use crate::config::{Config, MemberUrl};
use crate::engine::Engine;
use crate::http::{Access, Pages};
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

    /// Starts to accept. A task that ends before the stop has failed.
    pub(super) fn accept(
        self,
        config: &Config,
        engine: &Arc<Engine>,
        runtimes: &Arc<Runtimes>,
        stopping: &watch::Receiver<bool>,
    ) -> JoinSet<io::Result<()>> {
        let grace = config.request_timeout();
        let probe = MemberProbe::new(engine.clone());
        let access = Access::new(&config.web);
        let pages = Pages::new(probe, engine.meters.clone(), access, config.web.gateway);
        let pages = Arc::new(pages);
        let mut accepting = JoinSet::new();
        let kinds = [
            (Kind::Clients, self.client),
            (Kind::ClientPages, self.client_pages),
            (Kind::Metrics, self.metrics),
        ];
        for (kind, listeners) in kinds {
            let serving = Serving::new(&config.limits, pages.clone(), kind, grace);
            let serving = Arc::new(serving);
            for listener in listeners {
                say_serving(
                    kind,
                    listener.address,
                    !config.listen.client_http_urls.is_empty(),
                );
                let task = listener.accept_all(serving.clone(), runtimes.clone(), stopping.clone());
                accepting.spawn(task);
            }
        }
        accepting
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
