//! Whose log it is.

use std::fmt;

/// Whose log it is. Every segment says so, and a segment of anyone else is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: u64,
    /// The member of that cluster.
    pub member: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {:x} member {:x}", self.cluster, self.member)
    }
}
