//! How far a defragmentation has come.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one defragmentation; all zero before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DefragProgress {
    /// Bytes in use when it began: about what there is to copy.
    pub bytes_total: u64,
    /// Bytes of keys and values copied.
    pub bytes_copied: u64,
    /// Rows copied.
    pub rows_copied: u64,
    /// Batches that were committed meanwhile and made again in the new generation.
    pub batches_replayed: u64,
    /// Defragmentations that have ended well since the store was opened.
    pub finished: u64,
}

/// The same counters, written by the one defragmentation and read by anybody.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes_total: AtomicU64,
    bytes_copied: AtomicU64,
    rows_copied: AtomicU64,
    batches_replayed: AtomicU64,
    finished: AtomicU64,
}

impl Progress {
    pub(super) fn get(&self) -> DefragProgress {
        DefragProgress {
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            bytes_copied: self.bytes_copied.load(Ordering::Relaxed),
            rows_copied: self.rows_copied.load(Ordering::Relaxed),
            batches_replayed: self.batches_replayed.load(Ordering::Relaxed),
            finished: self.finished.load(Ordering::Relaxed),
        }
    }

    pub(super) fn begin(&self, bytes_total: u64) {
        self.bytes_total.store(bytes_total, Ordering::Relaxed);
        for counter in [
            &self.bytes_copied,
            &self.rows_copied,
            &self.batches_replayed,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn copied(&self, rows: u64, bytes: u64) {
        self.rows_copied.fetch_add(rows, Ordering::Relaxed);
        self.bytes_copied.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn replayed(&self, batches: u64) {
        self.batches_replayed.fetch_add(batches, Ordering::Relaxed);
    }

    pub(super) fn finish(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}
