//! Families of programs and versions that this is not, which tools still expect.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::registrar::Registrar;

/// Metrics of etcd's proxy and of its old store, which its own tests expect of every server. They
/// stay at zero.
#[derive(Debug)]
pub struct Outside {
    _gauges: Vec<IntGauge>,
    _counters: Vec<IntCounter>,
    _by_action: Vec<IntCounterVec>,
}

impl Outside {
    pub(crate) fn new(r: &Registrar<'_>) -> Outside {
        const HELP: &str = "Always zero: kept for tools that expect it.";
        let gauges = [
            "etcd_grpc_proxy_watchers_coalescing_total",
            "etcd_grpc_proxy_cache_keys_total",
            "etcd_grpc_proxy_cache_hits_total",
            "etcd_grpc_proxy_cache_misses_total",
            "etcd_debugging_store_watchers",
        ];
        let counters = [
            "etcd_grpc_proxy_events_coalescing_total",
            "etcd_debugging_store_expires_total",
            "etcd_debugging_store_watch_requests_total",
        ];
        let by_action = [
            "etcd_debugging_store_reads_total",
            "etcd_debugging_store_writes_total",
        ];
        Outside {
            _gauges: gauges.map(|name| r.gauge(name, HELP)).into(),
            _counters: counters.map(|name| r.counter(name, HELP)).into(),
            _by_action: by_action
                .map(|name| r.counters(name, HELP, &["action"]))
                .into(),
        }
    }
}
