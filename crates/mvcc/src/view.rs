//! The published state: one immutable value that any thread may read for as long as it likes.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::backend::Backend;
use crate::compaction_hashes::CompactionHashes;
use crate::index::Index;
use crate::link::Ring;
use crate::overlay::Overlay;
use crate::pause::{PauseId, Pauses};
use crate::{Error, KeyRange, Reader};

/// The key space after one batch of applied entries.
///
/// Rows above `flushed` are in the overlay, all others in the backend. Whoever reads takes the view first and a backend
/// snapshot after: what has left the overlay by then is surely in the snapshot.
pub struct View {
    pub(crate) index: Index,
    pub(crate) overlay: Overlay,
    pub(crate) batch: u64,
    pub(crate) applied_index: u64,
    pub(crate) applied_term: u64,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) flushed: i64,
}

impl View {
    /// Index of the last log entry whose effect is in this view.
    pub fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// Term of the last log entry whose effect is in this view.
    pub fn applied_term(&self) -> u64 {
        self.applied_term
    }

    /// The current main revision; 1 in an empty store.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The main revision of the latest compaction, -1 when there was none. Older revisions cannot be read.
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Main revisions up to this one were durable in the backend when the view was published.
    pub fn flushed(&self) -> i64 {
        self.flushed
    }

    /// How many keys exist now.
    pub fn key_count(&self) -> u64 {
        self.index.totals().live
    }

    /// How many keys of the range exist now. O(log n).
    pub fn count(&self, range: KeyRange<'_>) -> u64 {
        self.index.count(range, self.revision)
    }

    /// Bytes that the index takes, found by walking all of it.
    pub fn index_memory(&self) -> usize {
        self.index.memory()
    }

    /// The main revision at which a read that asks for `revision` is answered.
    ///
    /// # Errors
    /// [`Error::Future`] above the current revision, [`Error::Compacted`] below the compacted one.
    pub(crate) fn resolve(&self, revision: i64) -> Result<i64, Error> {
        resolve(revision, self.revision, self.compacted)
    }
}

/// The main revision at which a read that asks for `revision` is answered: 0 and less mean the current one.
pub(crate) fn resolve(revision: i64, current: i64, compacted: i64) -> Result<i64, Error> {
    let at = if revision <= 0 { current } else { revision };
    if at > current {
        Err(Error::Future)
    } else if at < compacted {
        Err(Error::Compacted)
    } else {
        Ok(at)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("batch", &self.batch)
            .field("applied_index", &self.applied_index)
            .field("applied_term", &self.applied_term)
            .field("revision", &self.revision)
            .field("compacted", &self.compacted)
            .field("flushed", &self.flushed)
            .finish_non_exhaustive()
    }
}

/// A handle to the current view, for any thread.
#[derive(Debug, Clone)]
pub struct Views {
    pub(crate) shared: Arc<Shared>,
}

impl Views {
    /// The view published last.
    pub fn load(&self) -> Arc<View> {
        self.shared.current.load_full()
    }

    /// A reader for one thread.
    pub fn reader(&self) -> Reader {
        Reader::new(self.clone())
    }

    /// The compaction whose superseded rows are all deleted, durably; -1 when there was none.
    ///
    /// What a caller that asked for a physical compaction waits for.
    pub fn compaction_finished(&self) -> i64 {
        self.shared.compaction_finished.load(Ordering::Acquire)
    }

    /// The applied index that the backend holds, durably: the log is needed only above it.
    pub fn flushed_index(&self) -> u64 {
        self.shared.flushed_index.load(Ordering::Acquire)
    }

    /// Asks for a flush of what is published now. It is there when [`Views::flushed_index`] says so.
    pub fn request_flush(&self) {
        if let Some(ring) = self.shared.ring.upgrade() {
            // Without a flusher nothing becomes durable any more, and the member stops.
            let _flusher_gone = ring.send(Ring::FlushWanted);
        }
    }

    /// Bytes of rows that wait in memory to be written to the backend, as of the last publication or flush.
    pub fn unflushed_bytes(&self) -> usize {
        self.shared.unflushed_bytes.load(Ordering::Relaxed)
    }
}

/// What the owner, the flusher and the readers share.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) current: ArcSwap<View>,
    /// Counts backend commits. Moves after the commit, and before its flush is reported to the owner.
    pub(crate) commits: AtomicU64,
    /// Rows that a compaction at this revision superseded may be gone. Moves before the first such commit, and after
    /// a view that has this revision compacted was published.
    pub(crate) deleting: AtomicI64,
    pub(crate) compaction_finished: AtomicI64,
    pub(crate) flushed_index: AtomicU64,
    pub(crate) unflushed_bytes: AtomicUsize,
    /// Superseded rows handed to the flusher and not yet deleted.
    pub(crate) deletes_pending: AtomicUsize,
    /// Held from before a flush looks at the newest view until it is reported, and while a state is being installed.
    pub(crate) gate: Mutex<()>,
    pub(crate) pauses: Pauses,
    pub(crate) hashes: CompactionHashes,
    /// Wakes the flusher, which ends with the key space and not with those who only read.
    pub(crate) ring: Weak<Sender<Ring>>,
}

impl Shared {
    pub(crate) fn deletes_pending(&self) -> usize {
        self.deletes_pending.load(Ordering::Relaxed)
    }

    /// Whether rows must not be deleted now, because somebody walks them.
    pub(crate) fn holds_deletes(&self) -> bool {
        self.pauses.hold(self.deletes_pending())
    }

    /// Ends a pause and wakes the flusher, which may have found nothing that it was allowed to do, and sleep.
    pub(crate) fn end_pause(&self, pause: PauseId) {
        self.pauses.end(pause);
        if let Some(ring) = self.ring.upgrade() {
            // Without a flusher the member stops.
            let _flusher_gone = ring.send(Ring::DeletesReady);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("current", &self.current.load())
            .field("commits", &self.commits)
            .field("deleting", &self.deleting)
            .field("compaction_finished", &self.compaction_finished)
            .finish_non_exhaustive()
    }
}
