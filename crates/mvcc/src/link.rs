//! What the owner of the key space and the flusher tell each other.

use bytes::Bytes;

use crate::RecordKey;
use crate::backend::Bucket;

/// A changed row of a small bucket; `None` deletes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SmallRow {
    pub(crate) bucket: Bucket,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Bytes>,
}

impl SmallRow {
    /// Roughly the memory that the row takes until it is flushed.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// From the owner to the flusher, to be taken in with the next step; nobody is woken by it.
#[derive(Debug)]
pub(crate) enum ToFlusher {
    /// Small rows that belong to the view with this batch number. Sent before that view is published.
    Staged { batch: u64, rows: Vec<SmallRow> },
    /// Rows that a compaction has dropped from the index. Of one key, older ones never come after newer ones.
    Dropped {
        compacted: i64,
        keys: Vec<RecordKey>,
        last: bool,
    },
    /// Another state has taken the place of all that was sent before; it is durable up to this view.
    Installed { revision: i64, batch: u64 },
}

/// From the owner to the flusher, which it wakes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ring {
    /// A flush is due. It is reported even if there turns out to be nothing new.
    FlushWanted,
    /// There may be enough superseded rows to delete some.
    DeletesReady,
}

/// Superseded rows that come together before they are sorted and deleted, unless the compaction ends before.
pub(crate) const DELETES_RUN: usize = 1 << 20;

/// From the flusher to the owner: the view with this batch number is durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flushed {
    pub(crate) revision: i64,
    pub(crate) batch: u64,
}
