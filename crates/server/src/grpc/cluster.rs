//! Who is in the cluster: listing and changing it.

use ferrod_node::MemberId;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{
    self, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse, ResponseHeader,
};
use ferrod_store::{Member, MemberChange};
use tonic::Status;

use super::dispatch::Caller;
use super::status;
use crate::config::MemberUrl;
use crate::engine::Engine;
use crate::ids::added_member_id;

pub(super) async fn member_list(
    caller: Caller,
    request: MemberListRequest,
) -> Result<MemberListResponse, Status> {
    let engine = &caller.worker.engine;
    if request.linearizable {
        engine.barrier(caller.call.timeout).await?;
    }
    let (header, members) = answer(engine);
    Ok(MemberListResponse { header, members })
}

pub(super) async fn member_add(
    caller: Caller,
    request: MemberAddRequest,
) -> Result<MemberAddResponse, Status> {
    let engine = &caller.worker.engine;
    let urls = peer_urls(&request.peer_ur_ls)?;
    engine.strictly(|reachable| reachable.check_add(request.is_learner))?;
    let member = Member {
        id: added_member_id(&urls, engine.unix_seconds()).0,
        peer_urls: urls,
        is_learner: request.is_learner,
        ..Member::default()
    };
    let added = member.to_wire();
    let change = if request.is_learner {
        MemberChange::AddLearner(member, engine.limits.learners_max)
    } else {
        MemberChange::Add(member)
    };
    engine.change_members(&change, caller.call.timeout).await?;
    let (header, members) = answer(engine);
    Ok(MemberAddResponse {
        header,
        member: Some(added),
        members,
    })
}

/// The URLs in their order as etcd sorts them.
fn peer_urls(urls: &[String]) -> Result<Vec<String>, Status> {
    let parsed: Result<Vec<_>, _> = urls.iter().map(|url| MemberUrl::parse(url)).collect();
    let mut urls = parsed.map_err(|_| status::of(ApiError::BadMemberUrls))?;
    if urls.is_empty() {
        return Err(status::of(ApiError::BadMemberUrls));
    }
    urls.sort();
    Ok(urls.iter().map(|url| url.as_str().to_owned()).collect())
}

pub(super) async fn member_remove(
    caller: Caller,
    request: MemberRemoveRequest,
) -> Result<MemberRemoveResponse, Status> {
    let engine = &caller.worker.engine;
    engine.strictly(|reachable| reachable.check_remove(MemberId(request.id)))?;
    let change = MemberChange::Remove(named(request.id)?);
    engine.change_members(&change, caller.call.timeout).await?;
    let (header, members) = answer(engine);
    Ok(MemberRemoveResponse { header, members })
}

pub(super) async fn member_update(
    caller: Caller,
    request: MemberUpdateRequest,
) -> Result<MemberUpdateResponse, Status> {
    let engine = &caller.worker.engine;
    // etcd takes any text as a URL here, and so do its tools.
    let change = MemberChange::Update(Member {
        id: named(request.id)?,
        peer_urls: request.peer_ur_ls,
        ..Member::default()
    });
    engine.change_members(&change, caller.call.timeout).await?;
    let (header, members) = answer(engine);
    Ok(MemberUpdateResponse { header, members })
}

pub(super) async fn member_promote(
    caller: Caller,
    request: MemberPromoteRequest,
) -> Result<MemberPromoteResponse, Status> {
    let engine = &caller.worker.engine;
    let id = MemberId(named(request.id)?);
    engine.promote(id, caller.call.timeout).await?;
    let (header, members) = answer(engine);
    Ok(MemberPromoteResponse { header, members })
}

/// No member has id 0, and raft knows it as nobody.
fn named(id: u64) -> Result<u64, Status> {
    match id {
        0 => Err(status::of(ApiError::MemberNotFound)),
        id => Ok(id),
    }
}

/// Headers of this service never have a revision.
fn answer(engine: &Engine) -> (Option<ResponseHeader>, Vec<etcdserverpb::Member>) {
    let members = engine.cluster.load().members.to_wire();
    (Some(engine.header(0)), members)
}
