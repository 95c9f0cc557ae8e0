//! Why a state could not be sent or received.

/// Why a state could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The storage refused.
    #[error(transparent)]
    Storage(#[from] ferrod_mvcc::Error),
    /// The stream is none, or of a version that this one does not know.
    #[error("not a state stream of version {known}")]
    UnknownFormat {
        /// The only version that is known here.
        known: u16,
    },
    /// A part of the stream does not match its checksum, or contradicts another part.
    #[error("corrupt state stream: {reason}")]
    Corrupt {
        /// What did not match.
        reason: &'static str,
    },
    /// A part of the stream is longer than the receiver takes.
    #[error("a chunk of {length} bytes is longer than {max}")]
    TooLong {
        /// Bytes of the chunk.
        length: u64,
        /// Bytes that the receiver takes.
        max: usize,
    },
    /// The stream has ended too early.
    #[error("state stream is cut off")]
    CutOff,
}

impl Error {
    pub(crate) fn corrupt(reason: &'static str) -> Error {
        Error::Corrupt { reason }
    }
}
