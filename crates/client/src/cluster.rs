//! Members of the cluster.

use ferrod_proto::etcdserverpb::{MemberListRequest, MemberListResponse};

use crate::method::Method;
use crate::{Client, Error};

const MEMBER_LIST: Method<MemberListRequest, MemberListResponse> =
    Method::repeatable("/etcdserverpb.Cluster/MemberList");

/// Members of the cluster.
impl Client {
    /// Lists the members: as the answering member knows them, or as the cluster does.
    pub async fn member_list(&self, linearizable: bool) -> Result<MemberListResponse, Error> {
        self.unary(MEMBER_LIST, MemberListRequest { linearizable })
            .await
    }
}
