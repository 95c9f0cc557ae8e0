//! The door to revisions that are no longer in memory here.

use crate::{Error, EventBatch, Revision};
use bytes::Bytes;
use std::sync::Arc;

/// The store's kept history, as a hub needs it.
///
/// A value stands for one published state of the store. It may be newer than what the hub has heard of.
pub trait History {
    /// The changes from `read.low` on, in revision order, at most to `read.high`.
    ///
    /// The reader may stop early, but goes at least one revision further, and keeps to the limits of the
    /// request as long as it has one revision. Revisions are read whole.
    ///
    /// # Errors
    /// [`Error::Compacted`] if `read.low` is below the oldest readable revision.
    fn read(&self, read: HistoryRead) -> Result<Window, Error>;

    /// The encoded `KeyValue` that `key` had at the end of revision `at`; `None` if it had none, or if
    /// that revision has been compacted.
    fn previous(&self, key: &[u8], at: Revision) -> Option<Bytes>;
}

/// A wish for history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryRead {
    /// The first revision wanted.
    pub low: Revision,
    /// The last revision wanted.
    pub high: Revision,
    /// At most so many revisions.
    pub revisions_max: usize,
    /// About so many bytes of keys and values; one revision may exceed it.
    pub bytes_max: usize,
}

/// All changes between two revisions.
#[derive(Debug, Clone)]
pub struct Window {
    /// The first revision that is covered.
    pub low: Revision,
    /// The last revision that is covered.
    pub high: Revision,
    /// Every change in `low..=high`, in revision order. A revision may be missing if it changed nothing
    /// that is still known.
    pub batches: Vec<Arc<EventBatch>>,
}
