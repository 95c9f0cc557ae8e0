//! Time-limited grants to clients.

mod keep_alive;

use ferrod_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseLeasesRequest, LeaseLeasesResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};

pub use keep_alive::KeepAlive;

use crate::method::Method;
use crate::{Client, Error};

const GRANT: Method<LeaseGrantRequest, LeaseGrantResponse> =
    Method::repeatable("/etcdserverpb.Lease/LeaseGrant");
const REVOKE: Method<LeaseRevokeRequest, LeaseRevokeResponse> =
    Method::repeatable("/etcdserverpb.Lease/LeaseRevoke");
const TIME_TO_LIVE: Method<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse> =
    Method::repeatable("/etcdserverpb.Lease/LeaseTimeToLive");
const LEASES: Method<LeaseLeasesRequest, LeaseLeasesResponse> =
    Method::repeatable("/etcdserverpb.Lease/LeaseLeases");

/// Leases.
impl Client {
    /// Grants a lease for `ttl` seconds; with `id` 0 the server chooses one.
    pub async fn lease_grant(&self, ttl: i64, id: i64) -> Result<LeaseGrantResponse, Error> {
        self.unary(GRANT, LeaseGrantRequest { ttl, id }).await
    }

    /// Ends a lease and deletes its keys.
    pub async fn lease_revoke(&self, id: i64) -> Result<LeaseRevokeResponse, Error> {
        self.unary(REVOKE, LeaseRevokeRequest { id }).await
    }

    /// Seconds left of a lease, -1 if there is no such lease; with `keys` also the keys attached to it.
    pub async fn lease_time_to_live(
        &self,
        id: i64,
        keys: bool,
    ) -> Result<LeaseTimeToLiveResponse, Error> {
        self.unary(TIME_TO_LIVE, LeaseTimeToLiveRequest { id, keys })
            .await
    }

    /// All leases.
    pub async fn lease_list(&self) -> Result<LeaseLeasesResponse, Error> {
        self.unary(LEASES, LeaseLeasesRequest {}).await
    }

    /// Renews a lease for as long as [`KeepAlive::next`] is awaited.
    pub fn keep_alive(&self, id: i64) -> KeepAlive {
        KeepAlive::new(self.clone(), id)
    }
}
