//! Reading views: ranges, single keys, history and hashes, from any thread.

mod hash;
mod history;

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

pub use hash::HashKv;
pub use history::ChangeRef;

use crate::Error;
use crate::backend::Snapshot;
use crate::evaluate::{Evaluation, Rows, Sink, row_ref};
use crate::query::{RangeQuery, RangeResult, RowRef};
use crate::view::{View, Views};

/// Reads views for one thread.
///
/// Keeps one backend snapshot between reads and renews it when the backend has moved. A snapshot pins the pages that it
/// sees, so a thread that has nothing to read calls [`Reader::idle`]. One read uses one snapshot: read what may be long
/// in pages, with a limit and at the revision of the first page.
pub struct Reader {
    views: Views,
    pinned: Option<Pinned>,
    scratch: Vec<u8>,
}

/// A snapshot and what was known when it was taken.
struct Pinned {
    snapshot: Box<dyn Snapshot>,
    /// It holds at least so many commits.
    commits: u64,
    /// Rows superseded by a compaction up to this revision may be missing from it.
    deleting: i64,
}

impl Reader {
    pub(crate) fn new(views: Views) -> Self {
        Self {
            views,
            pinned: None,
            scratch: Vec::new(),
        }
    }

    /// The view published last.
    pub fn view(&self) -> Arc<View> {
        self.views.load()
    }

    /// Gives up the backend snapshot until the next read.
    pub fn idle(&mut self) {
        self.pinned = None;
    }

    /// Reads a range and gives its rows to `sink`, in the order asked for.
    ///
    /// A read of the current revision is answered in the newest view if rows of `view` have been compacted away since;
    /// the result tells the revision of the view that answered. Nothing was given to `sink` before an error but
    /// one of the backend.
    ///
    /// # Errors
    /// [`Error::Future`], [`Error::Compacted`], errors of the backend.
    pub fn range(
        &mut self,
        view: &View,
        query: &RangeQuery<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<RangeResult, Error> {
        let mut newer: Option<Arc<View>> = None;
        loop {
            let view = newer.as_deref().unwrap_or(view);
            let at = view.resolve(query.revision)?;
            if query.needs_rows() && !self.pin(at)? {
                newer = Some(self.newer_view());
                continue;
            }
            let mut scratch = std::mem::take(&mut self.scratch);
            let evaluation = Evaluation {
                index: &view.index,
                rows: self.rows(view),
                query,
                at,
            };
            let (count, more) = evaluation.run(&mut scratch, sink)?;
            self.scratch = scratch;
            return Ok(RangeResult {
                count,
                more,
                revision: view.revision,
            });
        }
    }

    /// Reads one key at a main revision, 0 or less for the current one; calls `found` if it existed then.
    ///
    /// The fast way: one search of the index, and one lookup of the row. If the row of a current key has been compacted
    /// away since `view`, the newest view answers.
    ///
    /// # Errors
    /// [`Error::Future`], [`Error::Compacted`], errors of the backend.
    pub fn get<R>(
        &mut self,
        view: &View,
        key: &[u8],
        revision: i64,
        found: impl FnOnce(RowRef<'_>) -> R,
    ) -> Result<Option<R>, Error> {
        let mut newer: Option<Arc<View>> = None;
        loop {
            let view = newer.as_deref().unwrap_or(view);
            let at = view.resolve(revision)?;
            let Some(record) = view.index.get(key, at) else {
                return Ok(None);
            };
            if record.main <= view.flushed && !self.pin(at)? {
                newer = Some(self.newer_view());
                continue;
            }
            let encoded = self.rows(view).get(record.revision())?;
            return Ok(Some(found(row_ref(key, record, encoded))));
        }
    }

    /// Takes a snapshot unless the one at hand is the newest.
    ///
    /// Returns whether it surely holds all that a read at `at` sees. If not, a view with a later compaction is out.
    fn pin(&mut self, at: i64) -> Result<bool, Error> {
        let shared = &self.views.shared;
        let commits = shared.commits.load(Ordering::Acquire);
        let pinned = match self.pinned.take().filter(|pinned| {
            pinned.commits == commits || crate::planted::planted("view after transaction")
        }) {
            Some(pinned) => pinned,
            None => {
                let snapshot = shared.backend.snapshot()?;
                // What the snapshot lacks was announced before it was deleted.
                fence(Ordering::SeqCst);
                let deleting = shared.deleting.load(Ordering::SeqCst);
                Pinned {
                    snapshot,
                    commits,
                    deleting,
                }
            }
        };
        let whole = pinned.deleting <= at;
        self.pinned = Some(pinned);
        Ok(whole)
    }

    /// A view that knows of all compactions whose rows the pinned snapshot may lack.
    ///
    /// It is out already, but for the moment in which a received state takes its place.
    fn newer_view(&self) -> Arc<View> {
        loop {
            let view = self.views.load();
            if view.compacted >= self.deleting() {
                return view;
            }
            std::thread::yield_now();
        }
    }

    fn deleting(&self) -> i64 {
        self.pinned.as_ref().map_or(-1, |pinned| pinned.deleting)
    }

    fn rows<'a>(&'a self, view: &'a View) -> Rows<'a> {
        Rows {
            own: &[],
            overlay: &view.overlay,
            flushed: view.flushed,
            snapshot: self.snapshot(),
        }
    }

    fn snapshot(&self) -> Option<&dyn Snapshot> {
        self.pinned
            .as_ref()
            .map(|pinned| &*pinned.snapshot as &dyn Snapshot)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("pinned", &self.pinned.is_some())
            .finish_non_exhaustive()
    }
}
