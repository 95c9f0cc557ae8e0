//! A write transaction: changes of keys that share one main revision.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::change::{Change, ChangeKind, Changes};
use crate::evaluate::{Evaluation, Rows, Sink};
use crate::index::{Direction, Record, Write};
use crate::overlay::{OverlayRow, OverlayRows};
use crate::query::RangeQuery;
use crate::row::KeyValue;
use crate::view::resolve;
use crate::{Error, KeyRange, KeySpace, RangeResult, Revision};

/// Changes of keys that become one main revision; nothing else can happen meanwhile.
///
/// There is no way back: whoever begins to change has checked before that all will succeed. A transaction that is
/// dropped after a change, which only an error of the backend can cause, tears the key space: the next
/// [`KeySpace::publish`] panics, as the member must stop.
#[derive(Debug)]
pub struct WriteTxn<'s> {
    space: &'s mut KeySpace,
    changes: Vec<Change>,
    scratch: Vec<u8>,
}

/// The newest state of a key, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyMeta {
    /// Main revision that began the key's generation.
    pub create_revision: i64,
    /// Main revision of the latest change.
    pub mod_revision: i64,
    /// Puts since the generation began.
    pub version: i64,
}

/// What [`WriteTxn::delete_range`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many keys were deleted; they are the last so many of [`WriteTxn::changes`], in key order.
    pub count: i64,
    /// The rows that they had, encoded; empty unless asked for.
    pub previous: Vec<Bytes>,
}

impl<'s> WriteTxn<'s> {
    pub(crate) fn new(space: &'s mut KeySpace) -> Self {
        Self {
            space,
            changes: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// The current main revision as this transaction sees it: that of its changes, once there are any.
    pub fn revision(&self) -> i64 {
        self.space.revision + i64::from(!self.changes.is_empty())
    }

    /// The main revision before the transaction.
    pub fn begin_revision(&self) -> i64 {
        self.space.revision
    }

    /// The changes made so far.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The newest state of a key, the transaction's own changes included, from the index alone.
    pub fn meta(&self, key: &[u8]) -> Option<KeyMeta> {
        let record = self.space.index.get(key, i64::MAX)?;
        Some(KeyMeta {
            create_revision: record.create,
            mod_revision: record.main,
            version: record.version,
        })
    }

    /// The newest row of a key as an encoded `mvccpb.KeyValue`, the transaction's own changes included.
    ///
    /// # Errors
    /// Errors of the backend.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.space.index.get(key, i64::MAX) {
            Some(record) => self.row(&record).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a range; revision 0 or less sees the transaction's own changes.
    ///
    /// # Errors
    /// [`Error::Future`], [`Error::Compacted`], errors of the backend.
    pub fn range(
        &mut self,
        query: &RangeQuery<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<RangeResult, Error> {
        let revision = self.revision();
        let at = resolve(query.revision, revision, self.space.compacted)?;
        if query.needs_rows() {
            self.space.snapshot()?;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let evaluation = Evaluation {
            index: &self.space.index,
            rows: self.rows(),
            query,
            at,
        };
        let (count, more) = evaluation.run(&mut scratch, sink)?;
        self.scratch = scratch;
        Ok(RangeResult {
            count,
            more,
            revision,
        })
    }

    /// Writes a key. `lease` 0 attaches it to none.
    pub fn put(&mut self, key: &[u8], value: &[u8], lease: i64) {
        let revision = self.next_revision();
        let record = self.space.index.write(key, Write::Put(revision));
        let row = self.space.arena.encode(&KeyValue {
            key,
            create_revision: record.create,
            mod_revision: record.main,
            version: record.version,
            value,
            lease,
        });
        self.push(ChangeKind::Put, &record, lease, row);
    }

    /// Deletes the keys of a range, in key order, each as a change of its own.
    ///
    /// # Errors
    /// Errors of the backend, when previous rows are asked for; then nothing was deleted.
    pub fn delete_range(
        &mut self,
        range: KeyRange<'_>,
        want_previous: bool,
    ) -> Result<Deleted, Error> {
        // A clone of the index does not change while its keys are deleted.
        let before = self.space.index.clone();
        let mut deleted = Deleted::default();
        if want_previous {
            let mut result = Ok(());
            before.walk(range, i64::MAX, Direction::Up, |_, record| {
                match self.row(&record) {
                    Ok(row) => {
                        deleted.previous.push(row);
                        ControlFlow::Continue(())
                    }
                    Err(error) => {
                        result = Err(error);
                        ControlFlow::Break(())
                    }
                }
            });
            result?;
        }
        before.walk(range, i64::MAX, Direction::Up, |key, _| {
            self.delete(key);
            deleted.count += 1;
            ControlFlow::Continue(())
        });
        Ok(deleted)
    }

    /// Ends the transaction. Without changes the revision stays.
    pub fn commit(mut self) -> Changes {
        let list = std::mem::take(&mut self.changes);
        if !list.is_empty() {
            let rows: OverlayRows = list.iter().map(overlay_row).collect();
            self.space
                .add_unflushed_bytes(list.iter().map(|change| change.row.len()).sum());
            self.space.revision += 1;
            self.space.overlay.push(self.space.revision, rows);
        }
        Changes {
            revision: self.space.revision,
            list,
        }
    }

    fn delete(&mut self, key: &[u8]) {
        let revision = self.next_revision();
        let record = self.space.index.write(key, Write::Delete(revision));
        let row = self.space.arena.encode(&KeyValue {
            key,
            ..KeyValue::default()
        });
        self.push(ChangeKind::Delete, &record, 0, row);
    }

    fn push(&mut self, kind: ChangeKind, record: &Record, lease: i64, row: Bytes) {
        self.changes.push(Change {
            revision: record.revision(),
            kind,
            create_revision: record.create,
            version: record.version,
            lease,
            row,
        });
    }

    fn next_revision(&self) -> Revision {
        let sub = u32::try_from(self.changes.len()).expect("a request has fewer than 2^32 changes");
        Revision {
            main: self.space.revision + 1,
            sub,
        }
    }

    fn row(&mut self, record: &Record) -> Result<Bytes, Error> {
        let revision = record.revision();
        if revision.main > self.space.revision {
            return Ok(self.changes[revision.sub as usize].row.clone());
        }
        if revision.main > self.space.flushed
            && let Some(row) = self.space.overlay.overlay().get(revision)
        {
            return Ok(row.encoded.clone());
        }
        self.space.snapshot()?;
        self.rows().get(revision).map(Bytes::copy_from_slice)
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            own: &self.changes,
            overlay: self.space.overlay.overlay(),
            flushed: self.space.flushed,
            snapshot: self.space.opened_snapshot(),
        }
    }
}

impl Drop for WriteTxn<'_> {
    fn drop(&mut self) {
        self.space.torn |= !self.changes.is_empty();
    }
}

fn overlay_row(change: &Change) -> OverlayRow {
    OverlayRow {
        tombstone: change.kind == ChangeKind::Delete,
        encoded: change.row.clone(),
    }
}
