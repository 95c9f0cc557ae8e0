//! Leases: grants and revocations through the log, renewals by the leader's clock.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ferrod_lease::LeaseId;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use ferrod_store::Answer;
use ferrod_store::quota::LEASE_COST_BYTES;
use futures_util::Stream;
use http::Response;
use hyper::body::Incoming;
use tonic::Status;
use tonic::codec::Streaming;

use super::dispatch::Caller;
use super::kv::mismatched;
use super::leader_check::LeaderCheck;
use super::pieces::Pieces;
use super::reply::{self, FramePoll, ReplyBody};
use super::status;
use crate::engine::{Engine, KeepAlive};

pub(super) async fn grant(
    caller: Caller,
    mut request: LeaseGrantRequest,
) -> Result<LeaseGrantResponse, Status> {
    let worker = &caller.worker;
    let engine = &worker.engine;
    engine.make_room(LEASE_COST_BYTES, &worker.mailbox).await?;
    if request.id == 0 {
        request.id = engine.new_lease_id().0;
    }
    // The minimum is a setting of this member, so it is applied before the log and not after.
    request.ttl = request.ttl.max(engine.limits.lease_ttl_min);
    match worker
        .propose(Request::LeaseGrant(request), caller.call.timeout)
        .await?
    {
        Answer::LeaseGrant(mut answer) => {
            engine.fill(&mut answer.header);
            Ok(answer)
        }
        _ => Err(mismatched()),
    }
}

pub(super) async fn revoke(
    caller: Caller,
    request: LeaseRevokeRequest,
) -> Result<LeaseRevokeResponse, Status> {
    match caller
        .worker
        .propose(Request::LeaseRevoke(request), caller.call.timeout)
        .await?
    {
        Answer::LeaseRevoke(mut answer) => {
            caller.worker.engine.fill(&mut answer.header);
            Ok(answer)
        }
        _ => Err(mismatched()),
    }
}

pub(super) async fn time_to_live(
    caller: Caller,
    request: LeaseTimeToLiveRequest,
) -> Result<LeaseTimeToLiveResponse, Status> {
    let engine = &caller.worker.engine;
    let id = LeaseId(request.id);
    let found = engine.time_to_live(id, request.keys).await?;
    let header = Some(engine.header(engine.views.load().revision()));
    Ok(match found {
        Some(found) => LeaseTimeToLiveResponse {
            header,
            id: id.0,
            ttl: found.seconds,
            granted_ttl: found.granted,
            keys: found.keys,
        },
        None => LeaseTimeToLiveResponse {
            header,
            id: id.0,
            ttl: -1,
            ..LeaseTimeToLiveResponse::default()
        },
    })
}

pub(super) async fn leases(
    caller: Caller,
    _request: LeaseLeasesRequest,
) -> Result<LeaseLeasesResponse, Status> {
    let engine = &caller.worker.engine;
    let ids = engine
        .lessor
        .by_deadline()
        .unwrap_or_else(|| engine.leases.read().iter().map(|(id, _)| id).collect());
    Ok(LeaseLeasesResponse {
        header: Some(engine.header(engine.views.load().revision())),
        leases: ids.into_iter().map(|id| LeaseStatus { id: id.0 }).collect(),
    })
}

/// Answers each renewal in turn; a slow one holds up those behind it.
pub(super) async fn keep_alive(
    caller: Caller,
    body: Incoming,
) -> Result<Response<ReplyBody>, Status> {
    let limit = caller.worker.engine.limits.message_bytes_max();
    let decoder = tonic_prost::ProstDecoder::<LeaseKeepAliveRequest>::default();
    let requests = Streaming::new_request(decoder, body, None, Some(limit));
    let engine = caller.worker.engine.clone();
    let has_leader = caller.call.has_leader;
    let leader = has_leader.then(|| LeaderCheck::new(engine.election_timeout));
    Ok(reply::stream(Box::pin(Renewals {
        engine,
        requests,
        leader,
        waiting: None,
    })))
}

type Renewal = Pin<Box<dyn Future<Output = Result<LeaseKeepAliveResponse, Status>> + Send>>;

/// The answers of one keep-alive stream.
struct Renewals {
    engine: Arc<Engine>,
    requests: Streaming<LeaseKeepAliveRequest>,
    leader: Option<LeaderCheck>,
    /// A renewal that could not be answered at once.
    waiting: Option<Renewal>,
}

impl FramePoll for Renewals {
    fn poll_frames(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Pieces, Status>>> {
        let this = self.get_mut();
        if let Some(check) = &mut this.leader
            && check.is_lost(&this.engine, cx)
        {
            return Poll::Ready(Some(Err(status::of(ApiError::NoLeader))));
        }
        if this.waiting.is_none() {
            match std::task::ready!(Pin::new(&mut this.requests).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                Some(Ok(request)) => {
                    if let Some(answer) = try_renew(&this.engine, LeaseId(request.id)) {
                        return Poll::Ready(Some(answer.map(|a| reply::encode_frame(&a).into())));
                    }
                    let engine = this.engine.clone();
                    this.waiting = Some(Box::pin(renew_later(engine, LeaseId(request.id))));
                }
            }
        }
        let Some(renewal) = &mut this.waiting else {
            return Poll::Pending;
        };
        let answer = std::task::ready!(renewal.as_mut().poll(cx));
        this.waiting = None;
        Poll::Ready(Some(
            answer.map(|answer| reply::encode_frame(&answer).into()),
        ))
    }
}

/// Renews at once if leadership needs no round and the lease is there or is not.
fn try_renew(engine: &Engine, id: LeaseId) -> Option<Result<LeaseKeepAliveResponse, Status>> {
    if !engine.node.reads_alone() {
        return None;
    }
    // The header is that of the moment before the renewal.
    let header = Some(engine.header(engine.views.load().revision()));
    let answer = |ttl| {
        Some(Ok(LeaseKeepAliveResponse {
            header,
            id: id.0,
            ttl,
        }))
    };
    match engine.lessor.renew(id, engine.clock.now()) {
        (KeepAlive::Renewed(ttl), None) => {
            engine.meters.lease.renewed_total.inc();
            answer(ttl)
        }
        (KeepAlive::Unknown, _) => answer(0),
        // What was recorded of it is to be cleared first.
        (KeepAlive::Renewed(_), Some(_)) => None,
        (KeepAlive::Expired | KeepAlive::NotLeader, _) => None,
    }
}

/// Renews wherever the leader is, once it is confirmed, or once a lease that has run out is gone.
async fn renew_later(engine: Arc<Engine>, id: LeaseId) -> Result<LeaseKeepAliveResponse, Status> {
    let header = Some(engine.header(engine.views.load().revision()));
    let ttl = engine.renew(id).await?;
    Ok(LeaseKeepAliveResponse {
        header,
        id: id.0,
        ttl,
    })
}
