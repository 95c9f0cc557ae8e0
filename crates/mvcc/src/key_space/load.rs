//! Rebuilding the index at start, from the rows in revision order.

use std::ops::ControlFlow;

use crate::backend::{Bucket, Snapshot};
use crate::index::{Index, Record, Write};
use crate::row::KeyValue;
use crate::{Error, RecordKey, Revision};

/// A row as the start sees it, in revision order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedRow<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The lease that this change attached the key to; 0 for none, and for a tombstone.
    pub lease: i64,
    /// Whether the row is a tombstone.
    pub tombstone: bool,
}

/// What the rows say.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) index: Index,
    /// Main revision of the newest row; 0 if there is none.
    pub(super) newest: i64,
    sorter: Sorter,
}

/// Reads all rows.
///
/// Rows that an unfinished compaction supersedes come in too: the compaction is resumed and finds them again.
pub(super) fn load(
    snapshot: &dyn Snapshot,
    visit: &mut dyn FnMut(LoadedRow<'_>),
) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    let mut result = Ok(());
    snapshot.scan(Bucket::Key, &[], None, &mut |key, value| {
        result = loaded.add(key, value, visit);
        if result.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    result?;
    loaded.sorter.write_to(&mut loaded.index);
    Ok(loaded)
}

impl Loaded {
    fn add(
        &mut self,
        key: &[u8],
        value: &[u8],
        visit: &mut dyn FnMut(LoadedRow<'_>),
    ) -> Result<(), Error> {
        let corrupt = |reason| Error::Corrupt {
            bucket: Bucket::Key.name(),
            key: key.to_vec(),
            reason,
        };
        let RecordKey {
            revision,
            tombstone,
        } = RecordKey::decode(key)?;
        let row = KeyValue::decode(value).ok_or_else(|| corrupt("row is not a key-value"))?;
        let record = if tombstone {
            Record::tombstone(revision)
        } else {
            let Revision { main, sub } = revision;
            let sound = row.mod_revision == main
                && row.version > 0
                && (1..=main).contains(&row.create_revision);
            if !sound {
                return Err(corrupt("row does not belong to its revision"));
            }
            Record {
                main,
                sub,
                create: row.create_revision,
                version: row.version,
            }
        };
        self.newest = revision.main;
        self.sorter.add(row.key, record);
        if self.sorter.is_full() {
            self.sorter.write_to(&mut self.index);
        }
        visit(LoadedRow {
            key: row.key,
            lease: row.lease,
            tombstone,
        });
        Ok(())
    }
}

/// Collects records and writes them to the index in the order of their keys: neighbours share nodes, which are then in
/// the cache. In the order of their revisions each record would find its nodes cold.
#[derive(Default)]
struct Sorter {
    /// The keys, one after the other.
    keys: Vec<u8>,
    records: Vec<Unsorted>,
}

struct Unsorted {
    /// Where the key is in `keys`.
    start: usize,
    len: usize,
    record: Record,
}

/// Records that are sorted together.
const SORTED_RECORDS: usize = 1 << 18;
/// Bytes of keys that are sorted together.
const SORTED_BYTES: usize = 64 << 20;

impl Sorter {
    fn add(&mut self, key: &[u8], record: Record) {
        let (start, len) = (self.keys.len(), key.len());
        self.keys.extend_from_slice(key);
        self.records.push(Unsorted { start, len, record });
    }

    fn is_full(&self) -> bool {
        self.records.len() >= SORTED_RECORDS || self.keys.len() >= SORTED_BYTES
    }

    fn write_to(&mut self, index: &mut Index) {
        let key = |unsorted: &Unsorted| &self.keys[unsorted.start..][..unsorted.len];
        // Records of one key stay in the order of their revisions.
        let order = |a: &Unsorted, b: &Unsorted| {
            let revisions = || a.record.revision().cmp(&b.record.revision());
            key(a).cmp(key(b)).then_with(revisions)
        };
        self.records.sort_unstable_by(order);
        for unsorted in &self.records {
            index.write(key(unsorted), Write::Load(unsorted.record));
        }
        self.records.clear();
        self.keys.clear();
    }
}
