//! What opening a log brings to light.

use bytes::Bytes;

use crate::{Identity, SegmentSeq};

/// One record as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The segment that holds it; the lowest one still needed limits
    /// [`Wal::purge`](crate::Wal::purge).
    pub segment: SegmentSeq,
    /// What the writer called it.
    pub kind: u8,
    /// Its bytes: a slice of the segment as it was read, which stays in memory as long as any such
    /// slice does.
    pub payload: Bytes,
}

/// What opening a log brought to light.
#[derive(Debug)]
pub struct Recovery {
    /// Whose log it is.
    pub identity: Identity,
    /// Every record in the order of writing, what later segments start with included.
    pub records: Vec<Record>,
    /// What a crash left of batches that were never synced, and that was cut off.
    pub torn: Option<TornTail>,
}

/// A tail that was being written when the machine or process died. Nobody was told that it is
/// durable. Worth a line in the caller's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub segment: SegmentSeq,
    /// Where the good part ends.
    pub offset: u64,
    /// From there to the last byte that is not zero.
    pub bytes: u64,
}
