//! State of this member, alarms, digests, defragmentation.

use ferrod_node::MemberId;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse,
    DowngradeInfo, HashKvRequest, HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest,
    MoveLeaderResponse, StatusRequest, StatusResponse,
};
use ferrod_store::Answer;
use tonic::Status;

use super::dispatch::Caller;
use super::kv::mismatched;
use super::status::{of, of_read};
use crate::version;

pub(super) async fn alarm(caller: Caller, request: AlarmRequest) -> Result<AlarmResponse, Status> {
    match caller
        .worker
        .propose(Request::Alarm(request), caller.call.timeout)
        .await?
    {
        Answer::Alarm(mut answer) => {
            caller.worker.engine.fill(&mut answer.header);
            Ok(answer)
        }
        _ => Err(mismatched()),
    }
}

pub(super) async fn status(
    caller: Caller,
    _request: StatusRequest,
) -> Result<StatusResponse, Status> {
    let engine = &caller.worker.engine;
    let state = engine.node.status();
    let cluster = engine.cluster.load();
    let sizes = engine.backend.sizes().map_err(of_read)?;
    let mut errors = Vec::new();
    if state.soft.leader.known().is_none() {
        errors.push(ApiError::NoLeader.text().to_owned());
    }
    errors.extend(
        cluster
            .alarms
            .list(AlarmType::None as i32)
            .iter()
            .map(alarm_text),
    );
    Ok(StatusResponse {
        header: Some(engine.header(engine.views.load().revision())),
        version: version::ETCD_VERSION.to_owned(),
        db_size: signed(engine.backend_bytes()?),
        leader: state.soft.leader.0,
        raft_index: state.committed.0,
        raft_term: state.soft.term.0,
        raft_applied_index: state.applied.0,
        errors,
        db_size_in_use: signed(sizes.used_bytes + engine.views.unflushed_bytes() as u64),
        is_learner: engine.is_learner(),
        storage_version: cluster.version.clone().unwrap_or_default(),
        db_size_quota: engine.limits.quota_shown,
        downgrade_info: Some(DowngradeInfo::default()),
    })
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Source: protobuf's text form of `AlarmMember`.
fn alarm_text(alarm: &AlarmMember) -> String {
    let name = AlarmType::try_from(alarm.alarm).map_or("UNKNOWN", |alarm| alarm.as_str_name());
    format!("memberID:{} alarm:{name}", alarm.member_id)
}

pub(super) async fn move_leader(
    caller: Caller,
    request: MoveLeaderRequest,
) -> Result<MoveLeaderResponse, Status> {
    let engine = &caller.worker.engine;
    let target = MemberId(request.target_id);
    engine.move_leader(target, caller.call.timeout).await?;
    // Clients know this answer without a header.
    Ok(MoveLeaderResponse { header: None })
}

pub(super) async fn defragment(
    caller: Caller,
    _request: DefragmentRequest,
) -> Result<DefragmentResponse, Status> {
    let engine = &caller.worker.engine;
    let backend = engine.backend.clone();
    let done = off_thread(move || backend.defragment()).await?;
    done.map_err(|error| engine.suspicion.of_read(error))?;
    // Clients know this answer without a header.
    Ok(DefragmentResponse { header: None })
}

pub(super) async fn hash(caller: Caller, _request: HashRequest) -> Result<HashResponse, Status> {
    let engine = caller.worker.engine.clone();
    let mut reader = engine.views.reader();
    let digest = off_thread(move || reader.digest(&reader.view())).await?;
    let digest = digest.map_err(|error| engine.suspicion.of_read(error))?;
    Ok(HashResponse {
        header: Some(engine.header(engine.views.load().revision())),
        hash: digest,
    })
}

pub(super) async fn hash_kv(
    caller: Caller,
    request: HashKvRequest,
) -> Result<HashKvResponse, Status> {
    let engine = caller.worker.engine.clone();
    let mut reader = engine.views.reader();
    let read = off_thread(move || reader.hash_kv(&reader.view(), request.revision)).await?;
    let hash = read.map_err(|error| engine.suspicion.of_read(error))?;
    Ok(HashKvResponse {
        header: Some(engine.header(engine.views.load().revision())),
        hash: hash.hash,
        compact_revision: hash.compact_revision,
        hash_revision: hash.hash_revision,
    })
}

/// Runs what walks over much data, away from the threads that serve.
async fn off_thread<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| of(ApiError::Stopped))
}
