//! An append-only log of checksummed records in preallocated segments, with group commit.
//!
//! A record is a kind and some bytes; the log knows nothing of what they mean. Records are written
//! in batches, one write for all that queued up, and made durable by one sync. When the log is
//! opened again every synced batch comes back in order; a batch that a crash tore before its sync is
//! cut off; damage to anything synced is an error that names file and offset, and is never skipped.
//!
//! ```
//! use ferrod_env::RealDisk;
//! use ferrod_wal::{Batch, Identity, Options, Wal};
//! use std::sync::Arc;
//! # fn main() -> Result<(), ferrod_wal::Error> {
//! # let scratch = tempfile::tempdir().unwrap();
//! # let dir = scratch.path().join("wal");
//! let disk = Arc::new(RealDisk);
//! let identity = Identity { cluster: 1, member: 2 };
//! # let options = Options { segment_bytes: 1 << 20, ..Options::default() };
//! let mut wal = Wal::create(disk.clone(), &dir, options, identity, |first| {
//!     first.push(b'H', b"state before the first record");
//! })?;
//!
//! let mut batch = Batch::new();
//! batch.push(b'E', b"one");
//! batch.push(b'E', b"two");
//! // The closure is asked for what a new segment must start with, should this batch open one.
//! wal.append(&mut batch, |first| first.push(b'H', b"state now"))?;
//! wal.sync()?; // durable: acknowledge it
//! wal.sync_idle()?; // after a while without appends: damage to the last batch is provable too
//! drop(wal);
//!
//! let (_wal, recovery) = Wal::open(disk, &dir, options, Some(identity))?;
//! let payloads: Vec<_> = recovery.records.iter().map(|record| &record.payload[..]).collect();
//! assert_eq!(payloads, [&b"state before the first record"[..], b"one", b"two"]);
//! # Ok(())
//! # }
//! ```
//!
//! Start reading at [`Wal`], then [`mod@format`] for the bytes on disk and `recover` for what is torn
//! and what is damaged.

mod batch;
mod chain;
mod create;
mod error;
pub mod format;
mod helper;
mod identity;
mod inspect;
mod log;
mod options;
mod recover;
mod recovery;
mod repair;
mod segment;
mod segment_seq;
mod spare;
mod workshop;

pub use batch::Batch;
pub use error::Error;
pub use identity::Identity;
pub use inspect::{Inspection, identify, inspect, read_segment};
pub use log::{Space, Wal};
pub use options::Options;
pub use recovery::{Record, Recovery, TornTail};
pub use segment_seq::SegmentSeq;
