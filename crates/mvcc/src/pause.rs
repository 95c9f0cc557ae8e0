//! Deletes that are held back while somebody walks the rows in several snapshots.
//!
//! A walk in revision order would else see a row and, in a later snapshot, no longer the tombstone that ends it. What is held
//! back fills disk and memory, so a pause has a budget, counted in rows that wait: beyond it the deletes go on and whoever
//! walks is told. A row count, because that is what a pause costs; a pause that holds nothing back may last for ever.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// All pauses of one key space.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    active: Mutex<Active>,
}

#[derive(Debug, Default)]
struct Active {
    next: u64,
    /// How many rows may wait.
    limits: BTreeMap<PauseId, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PauseId(u64);

impl Pauses {
    /// Holds deletes back until `rows_max` wait. No commit may be under way.
    pub(crate) fn begin(&self, rows_max: usize) -> PauseId {
        let mut active = self.active.lock();
        active.next += 1;
        let id = PauseId(active.next);
        active.limits.insert(id, rows_max);
        id
    }

    pub(crate) fn end(&self, id: PauseId) {
        self.active.lock().limits.remove(&id);
    }

    /// Ends all: the rows are about to go.
    pub(crate) fn revoke_all(&self) {
        self.active.lock().limits.clear();
    }

    /// Whether deletes must wait, when `pending` rows do. Ends the pauses whose budget is spent.
    pub(crate) fn hold(&self, pending: usize) -> bool {
        let mut active = self.active.lock();
        active.limits.retain(|_, rows_max| pending < *rows_max);
        !active.limits.is_empty()
    }

    /// Whether nothing was deleted since the pause began. Asked after a snapshot was taken, the answer holds for that.
    pub(crate) fn is_active(&self, id: PauseId) -> bool {
        self.active.lock().limits.contains_key(&id)
    }
}
