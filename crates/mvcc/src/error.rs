//! Why the key space could not be opened, read or written.

/// Why the key space could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The storage engine or the disk refused. After a failed commit the backend is poisoned: stop the member.
    #[error("{operation}")]
    Backend {
        /// What was being done.
        operation: &'static str,
        /// What the engine said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row no longer matches its checksum, or cannot be what its place says.
    #[error("corrupt row in bucket {bucket} at key {key:02x?}: {reason}")]
    Corrupt {
        /// The bucket's name.
        bucket: &'static str,
        /// The row's key.
        key: Vec<u8>,
        /// What did not match.
        reason: &'static str,
    },
    /// An earlier commit failed, so nothing is known about what is on disk.
    #[error("backend is poisoned by an earlier error")]
    Poisoned,
    /// The revision is below the compacted one.
    #[error("required revision has been compacted")]
    Compacted,
    /// The revision is above the current one.
    #[error("required revision is a future revision")]
    Future,
}

impl Error {
    /// The storage engine or the disk refused `operation`.
    pub(crate) fn backend(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Backend {
            operation,
            source: source.into(),
        }
    }
}
