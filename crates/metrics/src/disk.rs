//! `etcd_disk_*`.

use prometheus::{Histogram, IntGauge};

use crate::buckets::{doubling, milliseconds};
use crate::registrar::Registrar;

/// The log and the store on disk: `etcd_disk_*`.
#[derive(Debug)]
pub struct Disk {
    /// Each sync of the log.
    pub wal_fsync_duration_seconds: Histogram,
    /// Each write to the log.
    pub wal_write_duration_seconds: Histogram,
    /// Bytes written to the log since the start. A gauge in etcd too.
    pub wal_write_bytes_total: IntGauge,
    /// Each commit of the store that had something to write.
    pub backend_commit_duration_seconds: Histogram,
    /// Each defragmentation.
    pub backend_defrag_duration_seconds: Histogram,
    /// Each copy of the whole store that was sent or written.
    pub backend_snapshot_duration_seconds: Histogram,
    /// 1 while a defragmentation runs.
    pub defrag_inflight: IntGauge,
}

impl Disk {
    pub(crate) fn new(r: &Registrar<'_>) -> Disk {
        for phase in ["rebalance", "spill", "write"] {
            // The phases of a commit in etcd's storage engine have no counterpart; the families
            // stay, empty, for the tools that expect them.
            r.histogram(
                &format!("etcd_debugging_disk_backend_commit_{phase}_duration_seconds"),
                "Always empty: a phase of another storage engine.",
                milliseconds(),
            );
        }
        Disk {
            wal_fsync_duration_seconds: r.histogram(
                "etcd_disk_wal_fsync_duration_seconds",
                "How long syncing the log took.",
                milliseconds(),
            ),
            wal_write_duration_seconds: r.histogram(
                "etcd_disk_wal_write_duration_seconds",
                "How long writing to the log took.",
                milliseconds(),
            ),
            wal_write_bytes_total: r.gauge(
                "etcd_disk_wal_write_bytes_total",
                "Bytes written to the log since the start.",
            ),
            backend_commit_duration_seconds: r.histogram(
                "etcd_disk_backend_commit_duration_seconds",
                "How long a commit of the store took.",
                milliseconds(),
            ),
            backend_defrag_duration_seconds: r.histogram(
                "etcd_disk_backend_defrag_duration_seconds",
                "How long a defragmentation took.",
                doubling(0.1, 13),
            ),
            backend_snapshot_duration_seconds: r.histogram(
                "etcd_disk_backend_snapshot_duration_seconds",
                "How long copying the whole store took.",
                doubling(0.01, 17),
            ),
            defrag_inflight: r.gauge(
                "etcd_disk_defrag_inflight",
                "1 while a defragmentation runs.",
            ),
        }
    }
}
