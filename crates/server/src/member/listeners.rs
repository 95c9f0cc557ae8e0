//! All places where a member listens.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Error;
use crate::config::{Config, MemberUrl};
use crate::pages::Pages;
use crate::serve::{BoundListener, Runtimes, Serving, SocketOptions, bind};

/// Bound sockets; nothing is accepted yet.
pub(super) struct Listeners {
    client: Vec<BoundListener>,
    /// For pages alone.
    pages: Vec<BoundListener>,
    /// Held, so that nobody else takes the address of this member's peers.
    _peer: Vec<BoundListener>,
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
        let mut pages = bind_all(&config.listen.client_http_urls)?;
        pages.extend(bind_all(&config.listen.metrics_urls)?);
        Ok(Listeners {
            client,
            pages,
            _peer: peer,
        })
    }

    /// Starts to accept. A task that ends before the stop has failed.
    pub(super) fn accept(
        self,
        config: &Config,
        runtimes: &Arc<Runtimes>,
        stopping: &watch::Receiver<bool>,
    ) -> JoinSet<io::Result<()>> {
        let grace = config.request_timeout();
        let serving = |grpc| Arc::new(Serving::new(&config.limits, Pages, grpc, grace));
        let mut accepting = JoinSet::new();
        for (listeners, serving) in [(self.client, serving(true)), (self.pages, serving(false))] {
            for listener in listeners {
                tracing::info!(
                    traffic = "grpc+http",
                    address = %listener.address,
                    "serving client traffic insecurely; this is strongly discouraged!"
                );
                accepting.spawn(listener.accept_all(
                    serving.clone(),
                    runtimes.clone(),
                    stopping.clone(),
                ));
            }
        }
        accepting
    }
}
