//! What a member without a vote does for clients.

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseRevokeRequest, LeaseTimeToLiveRequest, MemberListRequest, PutRequest, RangeRequest,
    StatusRequest, TxnRequest, WatchCreateRequest, WatchRequest, watch_request::RequestUnion,
};
use tonic::{Code, Status};

use crate::wire::Wire;

/// It answers what it can tell by itself, reads that may be old and its status, and refuses everything else.
///
/// # Errors
/// When it refuses one of these, or does something else.
// covers: M-04
pub(super) async fn serves_little(wire: &Wire) -> Result<()> {
    let status = wire.maintenance().status(StatusRequest {}).await?;
    ensure!(status.get_ref().is_learner, "{status:?}");
    let range = |serializable| RangeRequest {
        key: "members/".into(),
        serializable,
        ..RangeRequest::default()
    };
    wire.kv().range(range(true)).await.context("an old read")?;
    refused("read", wire.kv().range(range(false)).await)?;

    let put = PutRequest {
        key: "at a learner".into(),
        ..PutRequest::default()
    };
    refused("put", wire.kv().put(put).await)?;
    let delete = DeleteRangeRequest {
        key: "at a learner".into(),
        ..DeleteRangeRequest::default()
    };
    refused("delete", wire.kv().delete_range(delete).await)?;
    refused("txn", wire.kv().txn(TxnRequest::default()).await)?;
    let compaction = CompactionRequest::default();
    refused("compact", wire.kv().compact(compaction).await)?;

    let grant = LeaseGrantRequest { id: 7, ttl: 60 };
    refused("grant", wire.lease().lease_grant(grant).await)?;
    let revoke = LeaseRevokeRequest { id: 7 };
    refused("revoke", wire.lease().lease_revoke(revoke).await)?;
    let left = LeaseTimeToLiveRequest::default();
    refused("time to live", wire.lease().lease_time_to_live(left).await)?;
    let renewals = tokio_stream::once(LeaseKeepAliveRequest { id: 7 });
    let renewed = wire.lease().lease_keep_alive(renewals).await;
    refused("keep alive", first(renewed).await)?;

    let create = RequestUnion::CreateRequest(WatchCreateRequest {
        key: "members/".into(),
        ..WatchCreateRequest::default()
    });
    let watches = tokio_stream::once(WatchRequest {
        request_union: Some(create),
    });
    refused("watch", first(wire.watch().watch(watches).await).await)?;
    let list = MemberListRequest::default();
    refused("list", wire.cluster().member_list(list).await)
}

/// The first message of a stream; a refusal comes instead of a stream, or in it.
async fn first<T>(
    called: Result<tonic::Response<tonic::Streaming<T>>, Status>,
) -> Result<Option<T>, Status> {
    called?.into_inner().message().await
}

fn refused<T: std::fmt::Debug>(what: &str, answer: Result<T, Status>) -> Result<()> {
    let text = "etcdserver: rpc not supported for learner";
    let is_expected =
        |status: &Status| status.code() == Code::FailedPrecondition && status.message() == text;
    ensure!(
        answer.as_ref().is_err_and(is_expected),
        "{what} at a learner: {answer:?}"
    );
    Ok(())
}
