//! A multi-version key space: revisions, transactions, historical ranges, compaction, hashes.
//!
//! Every write transaction makes a new revision of the whole store, and the state at any revision that is not
//! compacted away can be read. An index in memory knows which records each key has; the rows lie in a backend of named
//! buckets in the order of their revisions; rows that are applied but not flushed yet lie in an overlay.
//!
//! - [`KeySpace`] has one owner, who changes it and publishes [`View`]s.
//! - A [`View`] never changes. Each reading thread reads views through a [`Reader`] of its own, without locks.
//! - The [`Flusher`] belongs to the thread that writes to the [`backend`].
//!
//! ```
//! use std::sync::Arc;
//! use ferrod_mvcc::backend::Memory;
//! use ferrod_mvcc::{KeyRange, KeySpace, Options, RangeQuery};
//!
//! # fn main() -> Result<(), ferrod_mvcc::Error> {
//! let backend = Arc::new(Memory::new());
//! let (mut key_space, mut flusher) = KeySpace::open(backend, Options::default(), &mut |_| {})?;
//!
//! let mut txn = key_space.write();
//! txn.put(b"a", b"1", 0);
//! txn.put(b"b", b"2", 0);
//! assert_eq!(txn.commit().revision, 2);
//! let view = key_space.publish(1, 1); // the effect of log entry 1 of term 1
//!
//! let mut reader = key_space.views().reader();
//! let query = RangeQuery { limit: 1, ..RangeQuery::new(KeyRange::From(b"a")) };
//! let result = reader.range(&view, &query, &mut |row| assert_eq!(row.key, b"a"))?;
//! assert_eq!((result.count, result.more), (2, true));
//!
//! flusher.flush()?; // now it is durable
//! # Ok(())
//! # }
//! ```

pub mod backend;
mod change;
mod compaction_hashes;
mod error;
mod evaluate;
mod export;
mod flusher;
mod import;
mod index;
mod key_range;
mod key_space;
mod link;
mod meta;
mod overlay;
mod pause;
mod planted;
mod query;
mod reader;
mod revision;
mod row;
#[cfg(test)]
mod tests;
mod view;
mod write_txn;

pub use backend::Bucket;
pub use change::{Change, ChangeKind, Changes};
pub use compaction_hashes::CompactionHasher;
pub use error::Error;
pub use export::{Export, ExportHead};
pub use flusher::{Flusher, Progress, Wake};
pub use import::Import;
pub use key_range::KeyRange;
pub use key_space::{Attachment, KeySpace, Options};
pub use query::{RangeQuery, RangeResult, RowRef, SortOrder, SortTarget};
pub use reader::{ChangeRef, HashKv, Reader};
pub use revision::{RecordKey, Revision};
pub use row::KeyValue;
pub use view::{View, Views};
pub use write_txn::{Deleted, KeyMeta, WriteTxn};
