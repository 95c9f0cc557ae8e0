//! The owner of the key space: the one place where it changes.

mod compactor;
mod install;
mod load;
mod small_rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::backend::{Backend, Snapshot};
use crate::compaction_hashes::{CompactionHashes, Span};
use crate::flusher::Flusher;
use crate::index::Index;
use crate::link::{DELETES_RUN, Flushed, Ring, ToFlusher};
use crate::meta::{Marks, SCHEDULED_COMPACTION, compaction_row};
use crate::overlay::OverlayQueue;
use crate::pause::Pauses;
use crate::row::RowArena;
use crate::view::Shared;
use crate::{Bucket, Error, View, Views, WriteTxn};
use compactor::Compactor;
pub(crate) use compactor::DELETES_PENDING_MAX;
pub use load::Attachment;
use load::Loaded;
use small_rows::SmallRows;

/// Limits of a key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Unflushed bytes at which [`KeySpace::overlay_full`] says that applying should wait.
    pub overlay_bytes_max: usize,
    /// Unflushed bytes at which a flush is due.
    pub flush_bytes: usize,
    /// Superseded rows that one backend commit deletes at most.
    pub delete_rows_max: usize,
    /// Records that one publication may drop from the index for a compaction: about half a microsecond each.
    pub trim_records_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            overlay_bytes_max: 64 << 20,
            flush_bytes: 12 << 20,
            delete_rows_max: 10_000,
            trim_records_max: 128,
        }
    }
}

/// The key space. Exactly one owner: the thread that applies.
///
/// Changes are made in transactions, become visible to readers by [`KeySpace::publish`], and durable when the
/// [`Flusher`] has written them.
#[derive(Debug)]
pub struct KeySpace {
    pub(crate) index: Index,
    pub(crate) overlay: OverlayQueue,
    pub(crate) arena: RowArena,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    /// Rows up to this main revision are in the backend.
    pub(crate) flushed: i64,
    /// A transaction was dropped half done, which only a failing backend can cause: nothing may be published any more.
    pub(crate) torn: bool,
    applied: (u64, u64),
    /// Number of the view published last.
    batch: u64,
    small: SmallRows,
    compactor: Compactor,
    /// For reads by the owner; dropped with each publication.
    snapshot: Lazy,
    link: Link,
    options: Options,
}

/// The owner's end of the channels to the flusher, and what both share with readers.
#[derive(Debug)]
struct Link {
    shared: Arc<Shared>,
    to_flusher: Sender<ToFlusher>,
    ring: Arc<Sender<Ring>>,
    from_flusher: Receiver<Flushed>,
    /// A flush was asked for and has not been reported yet.
    flush_asked: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.close_hashes();
    }
}

/// A backend snapshot, taken when first needed.
#[derive(Default)]
struct Lazy(Option<Box<dyn Snapshot>>);

impl std::fmt::Debug for Lazy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lazy").field(&self.0.is_some()).finish()
    }
}

impl KeySpace {
    /// Opens what the backend holds: reads all rows and rebuilds the index.
    ///
    /// `visit` sees each key that is attached to a lease. The rows are read by several threads if they are many.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names the first row that is not what its place says; errors of the backend.
    pub fn open(
        backend: Arc<dyn Backend>,
        options: Options,
        visit: &mut dyn FnMut(Attachment<'_>),
    ) -> Result<(Self, Flusher), Error> {
        let snapshot = backend.snapshot()?;
        let marks = Marks::read(&*snapshot)?;
        let more = || backend.snapshot();
        let Loaded { index, newest } = load::load(&*snapshot, Some(&more), visit)?;
        drop(snapshot);

        let compacted = marks.scheduled.max(marks.finished);
        let revision = newest.max(compacted).max(1);
        let view = View {
            index: index.clone(),
            overlay: Default::default(),
            batch: 0,
            applied_index: marks.applied_index,
            applied_term: marks.applied_term,
            revision,
            compacted,
            flushed: revision,
        };
        let (to_flusher, inbox) = channel();
        let (ring, rings) = channel();
        let ring = Arc::new(ring);
        let (outbox, from_flusher) = channel();
        let shared = Arc::new(Shared {
            backend,
            current: ArcSwap::from_pointee(view),
            commits: AtomicU64::new(0),
            // An interrupted compaction may have deleted rows already.
            deleting: AtomicI64::new(compacted),
            compaction_finished: AtomicI64::new(marks.finished),
            flushed_index: AtomicU64::new(marks.applied_index),
            unflushed_bytes: AtomicUsize::new(0),
            deletes_pending: AtomicUsize::new(0),
            gate: Mutex::default(),
            pauses: Pauses::default(),
            hashes: CompactionHashes::default(),
            ring: Arc::downgrade(&ring),
        });
        let flusher = Flusher::new(shared.clone(), inbox, rings, outbox, revision, options);
        let key_space = Self {
            index,
            overlay: OverlayQueue::new(revision + 1),
            arena: RowArena::default(),
            revision,
            compacted,
            flushed: revision,
            torn: false,
            applied: (marks.applied_index, marks.applied_term),
            batch: 0,
            small: SmallRows::default(),
            compactor: Compactor::resume(marks),
            snapshot: Lazy::default(),
            link: Link {
                shared,
                to_flusher,
                ring,
                from_flusher,
                flush_asked: false,
            },
            options,
        };
        Ok((key_space, flusher))
    }

    /// Index and term of the last entry whose effect the backend holds; zeros in an empty one.
    ///
    /// # Errors
    /// Errors of the backend.
    pub fn stored_applied(backend: &dyn Backend) -> Result<(u64, u64), Error> {
        let marks = Marks::read(&*backend.snapshot()?)?;
        Ok((marks.applied_index, marks.applied_term))
    }

    /// The current main revision; 1 in an empty store.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The main revision of the latest compaction, -1 when there was none.
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Index and term of the last entry whose effect was published, or was durable at start.
    pub fn applied(&self) -> (u64, u64) {
        self.applied
    }

    /// A handle to the current view, for any thread.
    pub fn views(&self) -> Views {
        Views {
            shared: self.link.shared.clone(),
        }
    }

    /// Begins a write transaction.
    pub fn write(&mut self) -> WriteTxn<'_> {
        WriteTxn::new(self)
    }

    /// Forgets history below the main revision `revision`: from the next view on it cannot be read.
    ///
    /// Superseded rows are dropped in bounded steps later: from the index by [`KeySpace::publish`] and
    /// [`KeySpace::maintain`], from the backend by the [`Flusher`].
    ///
    /// # Errors
    /// [`Error::Compacted`] at or below the latest compaction, [`Error::Future`] above the current revision.
    pub fn compact(&mut self, revision: i64) -> Result<(), Error> {
        if revision <= self.compacted {
            return Err(Error::Compacted);
        }
        if revision > self.revision {
            return Err(Error::Future);
        }
        let previous = std::mem::replace(&mut self.compacted, revision);
        self.put_row(Bucket::Meta, SCHEDULED_COMPACTION, compaction_row(revision));
        // Nothing may be deleted before the mark is durable, so the work begins after the flush of the next view.
        let span = Span { previous, revision };
        self.compactor.schedule(span, self.batch + 1);
        Ok(())
    }

    /// Makes everything done since the last call visible to readers, as the effect of the log up to this entry.
    ///
    /// Called once per batch of applied entries, before their results are sent. Also does a bounded piece of a
    /// running compaction.
    ///
    /// # Panics
    /// If the applied index goes backwards, or if a transaction was dropped without being committed.
    pub fn publish(&mut self, applied_index: u64, applied_term: u64) -> Arc<View> {
        assert!(!self.torn, "a transaction was dropped half done");
        assert!(
            applied_index >= self.applied.0,
            "the applied index went backwards"
        );
        self.applied = (applied_index, applied_term);
        self.collect();
        self.trim();
        self.batch += 1;
        let staged = self.small.take_staged();
        if !staged.is_empty() {
            self.send(ToFlusher::Staged {
                batch: self.batch,
                rows: staged,
            });
        }
        let view = Arc::new(self.view());
        self.link.shared.current.store(view.clone());
        if let Some(span) = self.compactor.take_new() {
            self.link.shared.announce_compaction(&view, span);
        }
        self.snapshot = Lazy::default();
        if self.unflushed_bytes() >= self.options.flush_bytes || self.compactor.waits_for_flush() {
            self.ask_for_flush();
        }
        view
    }

    /// Continues background work between applied batches: to be called now and then when nothing is applied.
    ///
    /// Returns whether there is more that needs no waiting.
    pub fn maintain(&mut self) -> bool {
        self.collect();
        let has_flushed = self.flushed > self.link.shared.current.load().flushed;
        if has_flushed || self.compactor_has_work() {
            self.publish(self.applied.0, self.applied.1);
        }
        self.compactor_has_work()
    }

    /// Whether so much is unflushed that applying should wait; see [`KeySpace::wait_for_room`].
    pub fn overlay_full(&mut self) -> bool {
        self.collect();
        let full = self.unflushed_bytes() >= self.options.overlay_bytes_max;
        if full {
            self.ask_for_flush();
        }
        full
    }

    /// Blocks until the flusher has made room. What fills the overlay must be published.
    ///
    /// # Errors
    /// [`Error::Poisoned`] if the flusher is gone.
    pub fn wait_for_room(&mut self) -> Result<(), Error> {
        while self.overlay_full() {
            let report = self.link.from_flusher.recv().map_err(|_| Error::Poisoned)?;
            self.take_report(report);
        }
        Ok(())
    }

    /// Bytes of applied rows that the backend does not hold yet.
    pub fn unflushed_bytes(&self) -> usize {
        self.link.shared.unflushed_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add_unflushed_bytes(&self, bytes: usize) {
        self.link
            .shared
            .unflushed_bytes
            .fetch_add(bytes, Ordering::Relaxed);
    }

    /// The owner's snapshot of the backend.
    pub(crate) fn snapshot(&mut self) -> Result<(), Error> {
        if self.snapshot.0.is_none() {
            self.snapshot.0 = Some(self.link.shared.backend.snapshot()?);
        }
        Ok(())
    }

    pub(crate) fn opened_snapshot(&self) -> Option<&dyn Snapshot> {
        self.snapshot
            .0
            .as_deref()
            .map(|snapshot| snapshot as &dyn Snapshot)
    }

    fn view(&self) -> View {
        View {
            index: self.index.clone(),
            overlay: self.overlay.overlay().clone(),
            batch: self.batch,
            applied_index: self.applied.0,
            applied_term: self.applied.1,
            revision: self.revision,
            compacted: self.compacted,
            flushed: self.flushed,
        }
    }

    /// Takes in what the flusher has reported.
    fn collect(&mut self) {
        while let Ok(report) = self.link.from_flusher.try_recv() {
            self.take_report(report);
        }
    }

    fn take_report(&mut self, report: Flushed) {
        let Flushed { revision, batch } = report;
        assert!(
            revision >= self.flushed,
            "the flushed revision went backwards"
        );
        self.flushed = revision;
        self.overlay.forget(revision);
        self.small.forget(batch);
        self.compactor.flushed(batch);
        self.link.flush_asked = false;
        // The snapshot may be older than what has just left the overlay.
        self.snapshot = Lazy::default();
    }

    fn compactor_has_work(&self) -> bool {
        self.compactor.has_work(&self.link.shared.deletes_pending)
    }

    /// Drops a bounded number of records from the index, if a compaction is under way.
    fn trim(&mut self) {
        let pending = &self.link.shared.deletes_pending;
        let records_max = self.options.trim_records_max;
        let Some(dropped) = self.compactor.step(&mut self.index, records_max, pending) else {
            return;
        };
        let last = matches!(dropped, ToFlusher::Dropped { last: true, .. });
        let many = pending.load(Ordering::Relaxed) >= DELETES_RUN;
        self.send(dropped);
        if last || many {
            self.ring(Ring::DeletesReady);
        }
    }

    fn ask_for_flush(&mut self) {
        if !self.link.flush_asked {
            self.link.flush_asked = true;
            self.ring(Ring::FlushWanted);
        }
    }

    // Without a flusher nothing becomes durable any more: whoever dropped it stops the member, and a wait for room
    // reports it. So what cannot be sent to it may be lost.

    fn send(&self, message: ToFlusher) {
        let _flusher_gone = self.link.to_flusher.send(message);
    }

    fn ring(&self, ring: Ring) {
        let _flusher_gone = self.link.ring.send(ring);
    }
}
