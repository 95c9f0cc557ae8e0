//! `etcd_snap_*` and `etcd_debugging_snap_*`.

use prometheus::Histogram;

use crate::buckets::{doubling, milliseconds};
use crate::registrar::Registrar;

/// Snapshots of the state: `etcd_snap_*` and `etcd_debugging_snap_*`.
#[derive(Debug)]
pub struct Snapshot {
    /// Syncs of snapshot files.
    pub fsync_duration_seconds: Histogram,
    /// Saving a whole state that came from another member.
    pub db_save_total_duration_seconds: Histogram,
    /// Syncs of such states.
    pub db_fsync_duration_seconds: Histogram,
    /// Encoding of snapshots.
    pub save_marshalling_duration_seconds: Histogram,
    /// Saving of snapshots.
    pub save_total_duration_seconds: Histogram,
}

impl Snapshot {
    pub(crate) fn new(r: &Registrar<'_>) -> Snapshot {
        Snapshot {
            fsync_duration_seconds: r.histogram(
                "etcd_snap_fsync_duration_seconds",
                "How long syncing a snapshot took.",
                milliseconds(),
            ),
            db_save_total_duration_seconds: r.histogram(
                "etcd_snap_db_save_total_duration_seconds",
                "How long saving a state from another member took.",
                doubling(0.1, 10),
            ),
            db_fsync_duration_seconds: r.histogram(
                "etcd_snap_db_fsync_duration_seconds",
                "How long syncing a state from another member took.",
                milliseconds(),
            ),
            save_marshalling_duration_seconds: r.histogram(
                "etcd_debugging_snap_save_marshalling_duration_seconds",
                "How long encoding a snapshot took.",
                milliseconds(),
            ),
            save_total_duration_seconds: r.histogram(
                "etcd_debugging_snap_save_total_duration_seconds",
                "How long saving a snapshot took.",
                milliseconds(),
            ),
        }
    }
}
