//! The rows of bucket `meta` that the key space itself keeps, under etcd's names and in its encoding.

use bytes::Bytes;

use crate::Error;
use crate::Revision;
use crate::backend::{Bucket, Snapshot};
use crate::revision::{decode_revision, encode_revision};

/// Index of the last applied entry: 8 bytes, big endian.
pub(crate) const CONSISTENT_INDEX: &[u8] = b"consistent_index";
/// Term of the last applied entry: 8 bytes, big endian.
pub(crate) const TERM: &[u8] = b"term";
/// Revision of the latest accepted compaction: 17 bytes.
pub(crate) const SCHEDULED_COMPACTION: &[u8] = b"scheduledCompactRev";
/// Revision of the latest compaction whose superseded rows are all deleted: 17 bytes.
pub(crate) const FINISHED_COMPACTION: &[u8] = b"finishedCompactRev";
/// Written by whoever owns storage versions; digests leave it out.
pub(crate) const STORAGE_VERSION: &[u8] = b"storageVersion";

/// What `meta` says at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) applied_index: u64,
    pub(crate) applied_term: u64,
    /// -1 if there was none.
    pub(crate) scheduled: i64,
    /// -1 if there was none.
    pub(crate) finished: i64,
}

impl Marks {
    pub(crate) fn read(snapshot: &dyn Snapshot) -> Result<Self, Error> {
        Ok(Self {
            applied_index: number(snapshot, CONSISTENT_INDEX)?,
            applied_term: number(snapshot, TERM)?,
            scheduled: compaction(snapshot, SCHEDULED_COMPACTION)?,
            finished: compaction(snapshot, FINISHED_COMPACTION)?,
        })
    }
}

pub(crate) fn number_row(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

pub(crate) fn compaction_row(main: i64) -> Bytes {
    Bytes::copy_from_slice(&encode_revision(Revision { main, sub: 0 }))
}

fn number(snapshot: &dyn Snapshot, key: &[u8]) -> Result<u64, Error> {
    let Some(row) = snapshot.get(Bucket::Meta, key)? else {
        return Ok(0);
    };
    let bytes = row.try_into().map_err(|_| corrupt(key, "not 8 bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn compaction(snapshot: &dyn Snapshot, key: &[u8]) -> Result<i64, Error> {
    let Some(row) = snapshot.get(Bucket::Meta, key)? else {
        return Ok(-1);
    };
    let revision = decode_revision(row).ok_or_else(|| corrupt(key, "not a revision"))?;
    Ok(revision.main)
}

fn corrupt(key: &[u8], reason: &'static str) -> Error {
    Error::Corrupt {
        bucket: Bucket::Meta.name(),
        key: key.to_vec(),
        reason,
    }
}
