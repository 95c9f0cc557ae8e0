//! Who is in the cluster.

use ferrod_proto::etcdserverpb::{MemberListRequest, MemberListResponse};
use tonic::Status;

use super::dispatch::Caller;

pub(super) async fn member_list(
    caller: Caller,
    request: MemberListRequest,
) -> Result<MemberListResponse, Status> {
    let engine = &caller.worker.engine;
    if request.linearizable {
        engine.barrier(caller.call.timeout).await?;
    }
    Ok(MemberListResponse {
        // Headers of this service never have a revision.
        header: Some(engine.header(0)),
        members: engine.cluster.load().members.to_wire(),
    })
}
