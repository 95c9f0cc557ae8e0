//! The bytes on disk, version 1.
//!
//! A log is a directory of segment files with consecutive numbers, each named by its number:
//! `0000000000000001.wal`. Other names in the directory: `*.free` is a purged segment kept to be
//! reused, `*.tmp` is being prepared and means nothing after a crash. All integers are little-endian
//! and all checksums are CRC-32C.
//!
//! A segment has its full length from the start. What was never written is zero, or, in a reused
//! file, remains of an older segment, told apart by number and checksum.
//!
//! ```text
//!     0  segment header: once, with the first batch
//!  4096  marker slot 0
//!  8192  marker slot 1
//! 12288  batches, back to back
//! ```
//!
//! Header and slots lie in pages of their own, so that no write of one can tear another.
//!
//! # Segment header
//!
//! ```text
//!  0  8  "FERRODWL"
//!  8  4  version: 1
//! 12  4  flags: bit 0, the file is a reused one
//! 16  8  cluster
//! 24  8  member
//! 32  8  number of this segment
//! 40  8  sequence of its first batch
//! 48  8  length of the file
//! 56  4  chain value of the batch before; of the log's first segment: checksum of bytes 16 to 32
//! 60  4  checksum of bytes 0 to 60
//! ```
//!
//! A prepared segment has zeros here. The first batch of a segment holds what the caller wants each
//! segment to start with. A header is written only after all earlier segments were synced, so a
//! segment that has a successor is complete. A header without a good first batch behind it counts
//! as none.
//!
//! # Batch
//!
//! ```text
//!  0  4  "FBt1"
//!  4  4  length of the body
//!  8  8  sequence: one more than that of the batch before, across segments
//! 16  8  number of the segment
//! 24  8  synced sequence: the highest batch whose sync had returned when this one was written
//! 32  4  number of records
//! 36  4  chain value of the batch before
//! 40  4  chain value: checksum of bytes 0 to 40 and the body, continued from the one before
//! 44  4  checksum of bytes 0 to 44, continued from the chain value in the segment header
//! 48     body: records back to back, each
//!           0  4  length of the payload
//!           4  1  kind
//!           5     payload
//! ```
//!
//! # Marker
//!
//! Written into the two slots by turns, after a sync has returned: when the log falls idle, and every
//! few syncs while it is busy; durable by the next sync. Until then the header of the next batch is what
//! proves a batch: it says up to where the log was synced.
//!
//! ```text
//!  0  4  "FMk1"
//!  4  4  flags: bit 0, the next segment is in use
//!  8  8  sequence of the last synced batch
//! 16  8  where that batch ends
//! 24  4  its chain value
//! 28  4  checksum of bytes 0 to 28, continued from the checksum of cluster, member and number
//! ```
//!
//! # What is torn and what is damaged
//!
//! Reading stops at the first batch that does not check out, say number *n*. That batch was synced,
//! so this is **damage**, if a marker names *n* or a later batch, if any batch header behind it gives
//! a synced sequence of *n* or more, or if there is a later segment. Otherwise its sync never
//! returned, and it is a **torn tail**. Two batches may be written before one sync, and a
//! crash may keep only the second: that is why a good batch behind a bad one proves nothing by itself.

mod batch_header;
mod marker;
mod segment_header;

pub(crate) use batch_header::{BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader};
pub(crate) use marker::{MARKER_BYTES, Marker};
pub(crate) use segment_header::{HeaderFault, SegmentHeader};

/// The format version that this program writes and reads.
pub const VERSION: u32 = 1;

/// Header and marker slots have a page each.
pub(crate) const PAGE_BYTES: u64 = 4096;

/// Where the marker slots are.
pub(crate) const MARKER_OFFSETS: [u64; 2] = [PAGE_BYTES, 2 * PAGE_BYTES];

/// Where batches begin.
pub(crate) const DATA_OFFSET: u64 = 3 * PAGE_BYTES;

/// What precedes a payload in a batch.
pub(crate) const RECORD_HEADER_BYTES: usize = 5;

/// Reads an integer at a fixed place of a header whose length was checked.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let field = bytes[offset..offset + 4].try_into();
    u32::from_le_bytes(field.expect("the range is four bytes long"))
}

/// Reads an integer at a fixed place of a header whose length was checked.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let field = bytes[offset..offset + 8].try_into();
    u64::from_le_bytes(field.expect("the range is eight bytes long"))
}
