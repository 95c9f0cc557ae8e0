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
pub(super) struct Loaded {
    pub(super) index: Index,
    /// Main revision of the newest row; 0 if there is none.
    pub(super) newest: i64,
}

/// Reads all rows.
///
/// Rows that an unfinished compaction supersedes come in too: the compaction is resumed and finds them again.
pub(super) fn load(
    snapshot: &dyn Snapshot,
    visit: &mut dyn FnMut(LoadedRow<'_>),
) -> Result<Loaded, Error> {
    let mut loaded = Loaded {
        index: Index::default(),
        newest: 0,
    };
    let mut result = Ok(());
    snapshot.scan(Bucket::Key, &[], None, &mut |key, value| {
        result = loaded.add(key, value, visit);
        if result.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    result.map(|()| loaded)
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
        self.index.write(row.key, Write::Load(record));
        visit(LoadedRow {
            key: row.key,
            lease: row.lease,
            tombstone,
        });
        Ok(())
    }
}
