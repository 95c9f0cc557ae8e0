//! Members of the cluster.

use ferrod_proto::etcdserverpb::{
    MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse,
};

use crate::method::Method;
use crate::{Client, Error};

const MEMBER_ADD: Method<MemberAddRequest, MemberAddResponse> =
    Method::once("/etcdserverpb.Cluster/MemberAdd");
const MEMBER_REMOVE: Method<MemberRemoveRequest, MemberRemoveResponse> =
    Method::once("/etcdserverpb.Cluster/MemberRemove");
const MEMBER_UPDATE: Method<MemberUpdateRequest, MemberUpdateResponse> =
    Method::repeatable("/etcdserverpb.Cluster/MemberUpdate");
const MEMBER_LIST: Method<MemberListRequest, MemberListResponse> =
    Method::repeatable("/etcdserverpb.Cluster/MemberList");
const MEMBER_PROMOTE: Method<MemberPromoteRequest, MemberPromoteResponse> =
    Method::once("/etcdserverpb.Cluster/MemberPromote");

/// Members of the cluster.
impl Client {
    /// Adds a member, as a learner or with a vote; returns when the cluster counts with it. The member is started afterwards.
    pub async fn member_add(
        &self,
        peer_urls: Vec<String>,
        is_learner: bool,
    ) -> Result<MemberAddResponse, Error> {
        let request = MemberAddRequest {
            peer_ur_ls: peer_urls,
            is_learner,
        };
        self.unary(MEMBER_ADD, request).await
    }

    /// Removes a member for ever.
    pub async fn member_remove(&self, id: u64) -> Result<MemberRemoveResponse, Error> {
        self.unary(MEMBER_REMOVE, MemberRemoveRequest { id }).await
    }

    /// Tells the cluster where a member is reached from now on.
    pub async fn member_update(
        &self,
        id: u64,
        peer_urls: Vec<String>,
    ) -> Result<MemberUpdateResponse, Error> {
        let request = MemberUpdateRequest {
            id,
            peer_ur_ls: peer_urls,
        };
        self.unary(MEMBER_UPDATE, request).await
    }

    /// Gives a learner a vote.
    pub async fn member_promote(&self, id: u64) -> Result<MemberPromoteResponse, Error> {
        self.unary(MEMBER_PROMOTE, MemberPromoteRequest { id })
            .await
    }

    /// Lists the members: as the answering member knows them, or as the cluster does.
    pub async fn member_list(&self, linearizable: bool) -> Result<MemberListResponse, Error> {
        self.unary(MEMBER_LIST, MemberListRequest { linearizable })
            .await
    }
}
