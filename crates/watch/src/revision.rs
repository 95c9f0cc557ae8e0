//! The main revision: what watchers count by.

use std::fmt;

/// A main revision of the store: one per write transaction, without holes.
///
/// The order of changes inside a transaction is their order in its
/// [`EventBatch`](crate::EventBatch).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

impl Revision {
    /// The revision after this one.
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }

    /// The revision before this one.
    pub fn previous(self) -> Revision {
        Revision(self.0 - 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
