//! A multi-version key space: revisions, transactions, historical ranges, compaction, hashes.

pub mod backend;
mod error;

pub use error::Error;
