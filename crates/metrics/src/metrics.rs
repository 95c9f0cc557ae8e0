//! All of them together.

use prometheus::{Registry, TextEncoder};

use crate::registrar::Registrar;
use crate::{
    Disk, Grpc, Lease, Mvcc, Network, Outside, Process, Scrape, Server, Snapshot, WatchSending,
};

/// What is measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether the duration of each call is measured.
    pub extensive: bool,
}

/// Every metric of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The member and its part in the cluster.
    pub server: Server,
    /// The log and the store on disk.
    pub disk: Disk,
    /// Connections to clients and to other members.
    pub network: Network,
    /// The key space.
    pub mvcc: Mvcc,
    /// Leases.
    pub lease: Lease,
    /// Snapshots of the state.
    pub snapshot: Snapshot,
    /// How watches are answered.
    pub watch_sending: WatchSending,
    /// Calls of clients.
    pub grpc: Grpc,
    /// The process as the system sees it.
    pub process: Process,
    /// Reads of the metrics themselves.
    pub scrape: Scrape,
    _outside: Outside,
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new(options: Options) -> Metrics {
        let registry = Registry::new();
        let r = Registrar(&registry);
        Metrics {
            server: Server::new(&r),
            disk: Disk::new(&r),
            network: Network::new(&r),
            mvcc: Mvcc::new(&r),
            lease: Lease::new(&r),
            snapshot: Snapshot::new(&r),
            watch_sending: WatchSending::new(&r),
            grpc: Grpc::new(&r, options.extensive),
            process: Process::new(&r),
            scrape: Scrape::new(&r),
            _outside: Outside::new(&r),
            registry,
        }
    }

    /// Everything in Prometheus' text format, version 0.0.4, sorted by name.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(64 << 10);
        TextEncoder::new()
            .encode_utf8(&self.registry.gather(), &mut text)
            .expect("families of this crate have a name, and a String takes any text");
        text
    }
}

#[cfg(test)]
mod tests;
