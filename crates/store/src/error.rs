//! Why a request was not carried out.

use ferrod_proto::ApiError;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused; every member refuses it alike.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The member's storage failed or is damaged: it must stop.
    #[error("key space")]
    Storage(#[source] ferrod_mvcc::Error),
    /// An entry of the log, or a row of a small bucket, is not what this version writes.
    #[error("{what} cannot be read: {reason}")]
    Malformed {
        /// Which entry or row.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}
