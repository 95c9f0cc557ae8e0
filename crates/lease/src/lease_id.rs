//! The name of a lease.

use std::fmt;

/// The name of a lease, chosen by a client or a member.
///
/// Any value is legal, negative ones and `i64::MIN` too: a scan over all leases must not start at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl fmt::Display for LeaseId {
    /// Sixteen hexadecimal digits, as operators know lease ids from logs and tools.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
