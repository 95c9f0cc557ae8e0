//! Why a request about a lease is refused.

use crate::LeaseId;

/// Why a request about a lease is refused. The same on every member for the same log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A grant names an id that is in use.
    #[error("lease {0} already exists")]
    Exists(LeaseId),
    /// No such lease: never granted, or revoked.
    #[error("lease {0} not found")]
    NotFound(LeaseId),
    /// More seconds than [`Ttl::MAX`](crate::Ttl::MAX) were asked for.
    #[error("ttl of {0} seconds is too large")]
    TtlTooLarge(i64),
}
