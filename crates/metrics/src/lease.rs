//! `etcd_debugging_lease_*`.

use prometheus::{Histogram, IntCounter};

use crate::buckets::doubling;
use crate::registrar::Registrar;

/// Leases: `etcd_debugging_lease_*`.
#[derive(Debug)]
pub struct Lease {
    /// Leases that were granted.
    pub granted_total: IntCounter,
    /// Leases that were revoked, by a request or by their end.
    pub revoked_total: IntCounter,
    /// Keep-alives, counted by the leader.
    pub renewed_total: IntCounter,
    /// Leases that ended because their time was over.
    pub expired_total: IntCounter,
    /// The times for which leases were granted, in seconds.
    pub ttl_total: Histogram,
}

impl Lease {
    pub(crate) fn new(r: &Registrar<'_>) -> Lease {
        Lease {
            granted_total: r.counter(
                "etcd_debugging_lease_granted_total",
                "Leases that were granted.",
            ),
            revoked_total: r.counter(
                "etcd_debugging_lease_revoked_total",
                "Leases that were revoked.",
            ),
            renewed_total: r.counter(
                "etcd_debugging_lease_renewed_total",
                "Keep-alives, counted by the leader.",
            ),
            expired_total: r.counter(
                "etcd_debugging_server_lease_expired_total",
                "Leases that ended because their time was over.",
            ),
            ttl_total: r.histogram(
                "etcd_debugging_lease_ttl_total",
                "The times for which leases were granted, in seconds.",
                doubling(1.0, 24),
            ),
        }
    }
}
