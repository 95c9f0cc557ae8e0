//! Reading the whole durable state, as of one applied entry, in short snapshots.
//!
//! A row never changes and revisions only grow, so the rows up to the newest one of the first snapshot are the state at that
//! snapshot's applied index, whichever later snapshot they are read from, as long as none is deleted meanwhile: see `pause`.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::{Bucket, Snapshot};
use crate::key_space::DELETES_PENDING_MAX;
use crate::meta::Marks;
use crate::pause::PauseId;
use crate::view::Shared;
use crate::{Error, RecordKey, Views};

/// A copy of the whole state at one applied index, on its way out.
///
/// While it exists, superseded rows are not deleted from the backend, up to a budget. It pins no snapshot between its steps.
#[derive(Debug)]
pub struct Export {
    shared: Arc<Shared>,
    pause: PauseId,
    head: ExportHead,
    /// The first row to visit next, and the first not to visit any more.
    low: Vec<u8>,
    high: Vec<u8>,
}

/// What an export begins with, all from one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHead {
    /// Index of the last entry in the copy.
    pub applied_index: u64,
    /// Term of that entry.
    pub applied_term: u64,
    /// The current main revision of the copy.
    pub revision: i64,
    /// The rows of all buckets but [`Bucket::Key`], bucket by bucket in the order of [`Bucket::ALL`], in key order.
    pub small_rows: Vec<(Bucket, Bytes, Bytes)>,
}

impl Views {
    /// Begins a copy of what the backend holds now: flush before, if it must be fresh.
    ///
    /// `held_rows_max` is how many superseded rows may come to wait for their deletion on behalf of this export, beside those
    /// that wait already. Beyond, deletion goes on and the export fails.
    ///
    /// Waits for a commit that is under way.
    ///
    /// # Errors
    /// [`Error::Backend`] if nothing was applied yet, or if the backend cannot be read.
    pub fn export(&self, held_rows_max: usize) -> Result<Export, Error> {
        let shared = Arc::clone(&self.shared);
        let pause = {
            // A commit under way may delete rows that a snapshot of now still has.
            let _no_commit = shared.gate.lock();
            let limit = shared.deletes_pending() + held_rows_max;
            shared.pauses.begin(limit.min(DELETES_PENDING_MAX))
        };
        let mut export = Export {
            shared,
            pause,
            head: ExportHead {
                applied_index: 0,
                applied_term: 0,
                revision: 0,
                small_rows: Vec::new(),
            },
            low: Vec::new(),
            high: Vec::new(),
        };
        export.begin()?;
        Ok(export)
    }
}

impl Export {
    fn begin(&mut self) -> Result<(), Error> {
        let snapshot = self.snapshot()?;
        let marks = Marks::read(&*snapshot)?;
        if marks.applied_index == 0 {
            return Err(Error::backend("export rows", "nothing is flushed yet"));
        }
        let newest = snapshot.last(Bucket::Key)?;
        let newest = newest.map(|(key, _)| key.to_vec()).unwrap_or_default();
        let newest_main = if newest.is_empty() {
            0
        } else {
            RecordKey::decode(&newest)?.revision.main
        };
        self.head = ExportHead {
            applied_index: marks.applied_index,
            applied_term: marks.applied_term,
            revision: newest_main.max(marks.scheduled).max(marks.finished).max(1),
            small_rows: small_rows(&*snapshot)?,
        };
        self.high = after(newest);
        Ok(())
    }

    /// What the copy begins with.
    pub fn head(&self) -> &ExportHead {
        &self.head
    }

    /// Goes on behind the row with this key, or at the beginning. The next rows may have been visited before.
    pub fn seek(&mut self, behind: Option<RecordKey>) {
        self.low = behind.map(|key| after(key.encode())).unwrap_or_default();
    }

    /// Visits the next rows of [`Bucket::Key`] with key and value, until they weigh `bytes_max`; at least one, if there is
    /// one. Returns whether there may be more.
    ///
    /// # Errors
    /// [`Error::Backend`] if the budget of the pause is spent, or the state was replaced by another: nothing more can be had
    /// from this export then. [`Error::Corrupt`].
    pub fn step(
        &mut self,
        bytes_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<bool, Error> {
        if self.low >= self.high {
            return Ok(false);
        }
        let snapshot = self.snapshot()?;
        let mut bytes = 0;
        let mut stopped_at = None;
        snapshot.scan(
            Bucket::Key,
            &self.low,
            Some(&self.high),
            &mut |key, value| {
                visit(key, value);
                bytes += key.len() + value.len();
                if bytes >= bytes_max {
                    stopped_at = Some(key.to_vec());
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        )?;
        self.low = stopped_at.map_or_else(|| self.high.clone(), after);
        Ok(self.low < self.high)
    }

    /// A snapshot from which none of the rows is missing.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        let snapshot = self.shared.backend.snapshot()?;
        if !self.shared.pauses.is_active(self.pause) {
            return Err(Error::backend(
                "export rows",
                "superseded rows had to be deleted before the export was through",
            ));
        }
        Ok(snapshot)
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.shared.end_pause(self.pause);
    }
}

fn small_rows(snapshot: &dyn Snapshot) -> Result<Vec<(Bucket, Bytes, Bytes)>, Error> {
    let mut rows = Vec::new();
    for bucket in Bucket::ALL.into_iter().filter(|b| *b != Bucket::Key) {
        snapshot.scan(bucket, &[], None, &mut |key, value| {
            let [key, value] = [key, value].map(Bytes::copy_from_slice);
            rows.push((bucket, key, value));
            ControlFlow::Continue(())
        })?;
    }
    Ok(rows)
}

/// The lowest key above `key`.
fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
