//! temporary
#![allow(missing_docs)]
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge};
pub(crate) struct Meters {
    pub(crate) server: Server,
    pub(crate) disk: Disk,
}
pub(crate) struct Server {
    pub(crate) proposals_pending: IntGauge,
    pub(crate) proposals_applied_total: IntGauge,
    pub(crate) proposals_failed_total: IntCounter,
    pub(crate) is_leader: IntGauge,
    pub(crate) has_leader: IntGauge,
    pub(crate) leader_changes_seen_total: IntCounter,
}
pub(crate) struct Disk {
    pub(crate) wal_write_bytes_total: IntCounter,
    pub(crate) wal_fsync_duration_seconds: Histogram,
    pub(crate) backend_commit_duration_seconds: Histogram,
}
impl Meters {
    pub(crate) fn new() -> Meters {
        let g = |n: &str| IntGauge::new(n, n).expect("x");
        let c = |n: &str| IntCounter::new(n, n).expect("x");
        let h = |n: &str| Histogram::with_opts(HistogramOpts::new(n, n)).expect("x");
        Meters {
            server: Server {
                proposals_pending: g("a"),
                proposals_applied_total: g("b"),
                proposals_failed_total: c("c"),
                is_leader: g("d"),
                has_leader: g("e"),
                leader_changes_seen_total: c("f"),
            },
            disk: Disk {
                wal_write_bytes_total: c("g"),
                wal_fsync_duration_seconds: h("h"),
                backend_commit_duration_seconds: h("i"),
            },
        }
    }
}
