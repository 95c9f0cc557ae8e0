//! Rows that are asked for one after the other, as a range read does.
//!
//! Keys that were written in their order have rows side by side. Reading on from the last row then costs a fraction of a
//! search in the backend's tree; where the order is another one, every row is searched for.

use super::Rows;
use crate::backend::{Bucket, RowsFrom, Snapshot};
use crate::revision::encode_revision;
use crate::{Error, Revision};

/// Rows that are asked for one after the other.
pub(super) struct InTurn<'a> {
    rows: Rows<'a>,
    /// The row read last from the backend.
    last: Option<Revision>,
    /// What comes behind it, if it was itself read in turn.
    behind: Option<RowsFrom<'a>>,
}

impl<'a> InTurn<'a> {
    pub(super) fn new(rows: Rows<'a>) -> InTurn<'a> {
        InTurn {
            rows,
            last: None,
            behind: None,
        }
    }

    /// [`Rows::get`].
    pub(super) fn get(&mut self, revision: Revision) -> Result<&'a [u8], Error> {
        let Some(snapshot) = self
            .rows
            .snapshot
            .filter(|_| revision.main <= self.rows.flushed)
        else {
            return self.rows.get(revision);
        };
        let is_next = self.last.is_some_and(|last| follows(last, revision));
        self.last = Some(revision);
        if !is_next {
            self.behind = None;
            return self.rows.get(revision);
        }
        if let Some(row) = self.read_on(snapshot, revision)? {
            return Ok(row);
        }
        self.behind = None;
        self.rows.get(revision)
    }

    /// The row, if it comes right behind the last one.
    fn read_on(
        &mut self,
        snapshot: &'a dyn Snapshot,
        revision: Revision,
    ) -> Result<Option<&'a [u8]>, Error> {
        let wanted = encode_revision(revision);
        let behind = match &mut self.behind {
            Some(behind) => behind,
            None => self
                .behind
                .insert(snapshot.rows_from(Bucket::Key, &wanted)?),
        };
        let next = behind.next().transpose()?;
        Ok(next
            .filter(|(key, _)| *key == &wanted[..])
            .map(|(_, row)| row))
    }
}

/// Whether nothing can have been written between the two.
fn follows(last: Revision, next: Revision) -> bool {
    let next_write = next.sub == 0 && last.main.checked_add(1) == Some(next.main);
    let same_write = last.main == next.main && last.sub.checked_add(1) == Some(next.sub);
    next_write || same_write
}
