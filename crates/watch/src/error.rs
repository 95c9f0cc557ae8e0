//! Why history could not be read.

use crate::Revision;

/// Why history could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Changes before this revision may be gone. At it, they are all there.
    #[error("history is compacted, oldest readable revision is {0}")]
    Compacted(Revision),
}
