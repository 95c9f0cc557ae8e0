//! Going on with another member's state in the place of one's own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::compactor::Compactor;
use super::load::{self, Attachment};
use super::{KeySpace, Lazy, SmallRows};
use crate::backend::Snapshot;
use crate::index::Index;
use crate::link::ToFlusher;
use crate::meta::Marks;
use crate::overlay::OverlayQueue;
use crate::row::RowArena;
use crate::{Error, View};

/// What a received state says.
struct Incoming {
    marks: Marks,
    index: Index,
    revision: i64,
    compacted: i64,
}

impl KeySpace {
    /// Replaces everything by the received state of this index, and publishes it. What was not flushed is dropped.
    ///
    /// `visit` sees attached keys, as in [`KeySpace::open`], and then `small` the whole state, before anybody else does. Readers
    /// of older views go on undisturbed: the state contains them, but for what is compacted. For a moment both indexes
    /// are in memory, and the flusher waits.
    ///
    /// # Errors
    /// [`Error::Backend`] if there is no such state or if it is not ahead of this one; [`Error::Corrupt`], and errors of
    /// `small`. The member must stop: nobody knows which state a restart finds.
    pub fn install(
        &mut self,
        applied_index: u64,
        visit: &mut dyn FnMut(Attachment<'_>),
        small: &mut dyn FnMut(&dyn Snapshot) -> Result<(), Error>,
    ) -> Result<Arc<View>, Error> {
        let shared = Arc::clone(&self.link.shared);
        // The flusher must not write what belongs to the old state into the new one.
        let _no_commit = shared.gate.lock();
        shared.pauses.revoke_all();
        let mut incoming = None;
        shared.backend.install(applied_index, &mut |snapshot| {
            let state = self.look_at(applied_index, snapshot, visit)?;
            small(snapshot)?;
            // Last, because a reader that needs rows which are gone waits from here on until the view is out.
            shared.deleting.fetch_max(state.compacted, Ordering::SeqCst);
            incoming = Some(state);
            Ok(())
        })?;
        let incoming = incoming.expect("an install that succeeds has looked at the state");
        Ok(self.go_on_with(incoming))
    }

    fn look_at(
        &self,
        applied_index: u64,
        snapshot: &dyn Snapshot,
        visit: &mut dyn FnMut(Attachment<'_>),
    ) -> Result<Incoming, Error> {
        let marks = Marks::read(snapshot)?;
        let loaded = load::load(snapshot, None, visit)?;
        let compacted = marks.scheduled.max(marks.finished);
        let revision = loaded.newest.max(compacted).max(1);
        let is_ahead = marks.applied_index == applied_index
            && applied_index > self.applied.0
            && marks.applied_term >= self.applied.1
            && revision >= self.revision
            && compacted >= self.compacted;
        if !is_ahead {
            return Err(Error::backend(
                "install state",
                "it is not a later state of this key space",
            ));
        }
        Ok(Incoming {
            marks,
            index: loaded.index,
            revision,
            compacted,
        })
    }

    fn go_on_with(&mut self, incoming: Incoming) -> Arc<View> {
        let Incoming {
            marks,
            index,
            revision,
            compacted,
        } = incoming;
        // Reports of flushes of the old state.
        while self.link.from_flusher.try_recv().is_ok() {}
        self.index = index;
        self.overlay = OverlayQueue::new(revision + 1);
        self.arena = RowArena::default();
        (self.revision, self.compacted, self.flushed) = (revision, compacted, revision);
        self.applied = (marks.applied_index, marks.applied_term);
        self.batch += 1;
        self.small = SmallRows::default();
        self.compactor = Compactor::resume(marks);
        self.snapshot = Lazy::default();
        self.link.flush_asked = false;
        let shared = &self.link.shared;
        shared.unflushed_bytes.store(0, Ordering::Relaxed);
        shared.deletes_pending.store(0, Ordering::Relaxed);
        let finished = &shared.compaction_finished;
        finished.store(marks.finished, Ordering::Release);
        let flushed_index = &shared.flushed_index;
        flushed_index.store(marks.applied_index, Ordering::Release);
        shared.forget_hashes();
        // What is pinned is a snapshot of the old state.
        shared.commits.fetch_add(1, Ordering::Release);
        self.send(ToFlusher::Installed {
            revision,
            batch: self.batch,
        });
        let view = Arc::new(self.view());
        self.link.shared.current.store(view.clone());
        view
    }
}
