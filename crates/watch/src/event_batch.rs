//! What one revision changed.

use crate::{Change, Revision};

/// What one main revision changed, in the order of the sub-revisions. Shared between threads and never
/// altered; only the encoded events are filled in when somebody first needs them.
#[derive(Debug)]
pub struct EventBatch {
    revision: Revision,
    changes: Box<[Change]>,
    bytes: usize,
}

impl EventBatch {
    /// All changes of `revision`.
    pub fn new(revision: Revision, changes: Vec<Change>) -> EventBatch {
        let bytes =
            std::mem::size_of::<EventBatch>() + changes.iter().map(Change::bytes).sum::<usize>();
        EventBatch {
            revision,
            changes: changes.into_boxed_slice(),
            bytes,
        }
    }

    /// The revision that the changes made.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The changes in the order of their sub-revisions.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// About how much memory the batch keeps alive, events included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What threads share.
const _: fn() = || {
    fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<EventBatch>();
};
