//! Every method that a client may call, in one table: a method that is not here is refused.

use std::sync::Arc;
use std::time::Duration;

use ferrod_metrics::{GrpcCode, Rpc};
use ferrod_proto::ApiError;
use http::{Request, Response};
use hyper::body::Incoming;
use prost::Message;
use tonic::Status;

use super::call::Call;
use super::reply::{self, ReplyBody};
use super::{cluster, health, kv, lease, maintenance, range_stream, status, unary, watch};
use crate::config::GoDuration;
use crate::engine::Engine;
use crate::worker::Worker;

/// Answers a gRPC request.
pub(crate) async fn answer(worker: Arc<Worker>, request: Request<Incoming>) -> Response<ReplyBody> {
    let (parts, body) = request.into_parts();
    let Some(rpc) = Rpc::from_path(parts.uri.path()) else {
        return reply::error(&unknown(parts.uri.path()));
    };
    let counted = worker.engine.meters.grpc.method(rpc).begin();
    let engine = worker.engine.clone();
    let began = engine.clock.now();
    let answered = match Caller::admit(worker, rpc, &parts.headers) {
        Ok(caller) => route(caller, rpc, body).await,
        Err(refused) => Err(refused),
    };
    let took = engine.clock.now().saturating_sub(began);
    match answered {
        Ok(mut response) => {
            match response.body_mut() {
                // A stream is counted as ended when it ends.
                ReplyBody::Stream { counted: slot, .. } => *slot = Some(counted),
                ReplyBody::Message { .. } | ReplyBody::Page(_) => {
                    counted.method().received.inc();
                    counted.method().sent.inc();
                    counted.end(GrpcCode::Ok, took.as_secs_f64());
                    warn_if_slow(&engine, rpc, took);
                }
            }
            response
        }
        Err(status) => {
            counted.end(
                GrpcCode::from_number(status.code() as i32),
                took.as_secs_f64(),
            );
            warn_if_slow(&engine, rpc, took);
            reply::error(&status)
        }
    }
}

fn warn_if_slow(engine: &Engine, rpc: Rpc, took: Duration) {
    if took >= engine.slow_call {
        tracing::warn!(
            "time-spent" = %GoDuration::from(took),
            "response-type" = %format!("/{}/{}", rpc.service(), rpc.method()),
            "expected-duration" = %GoDuration::from(engine.slow_call),
            "request stats"
        );
    }
}

/// A call with the runtime that answers it.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) worker: Arc<Worker>,
    pub(crate) call: Call,
}

type Answered = Result<Response<ReplyBody>, Status>;

impl Caller {
    /// Checks what comes before the message is looked at.
    fn admit(worker: Arc<Worker>, rpc: Rpc, headers: &http::HeaderMap) -> Result<Caller, Status> {
        if let Some(reason) = worker.engine.suspicion.reason() {
            return Err(status::suspect(reason));
        }
        if worker.engine.is_learner() && !is_for_learners(rpc) {
            return Err(status::of(ApiError::NotSupportedForLearner));
        }
        let call = Call::from_headers(headers)?;
        if call.has_leader && worker.engine.node.status().soft.leader.known().is_none() {
            return Err(status::of(ApiError::NoLeader));
        }
        Ok(Caller { worker, call })
    }

    /// Reads the message, lets `serve` answer it, and encodes the answer.
    async fn unary<Q, A, F>(self, body: Incoming, serve: impl FnOnce(Caller, Q) -> F) -> Answered
    where
        Q: Message + Default,
        A: Message,
        F: Future<Output = Result<A, Status>>,
    {
        let request = self.read(body).await?;
        serve(self, request)
            .await
            .map(|answer| reply::message(&answer))
    }

    async fn read<Q: Message + Default>(&self, body: Incoming) -> Result<Q, Status> {
        unary::read(body, self.worker.engine.limits.message_bytes_max()).await
    }
}

/// What a learner answers, as far as the method tells: of reads only those that need no leader, see [`kv::range`].
fn is_for_learners(rpc: Rpc) -> bool {
    matches!(rpc, Rpc::Range | Rpc::Status | Rpc::Snapshot)
}

/// No `_` arm: a method that comes into the table must be thought of here.
async fn route(caller: Caller, rpc: Rpc, body: Incoming) -> Answered {
    match rpc {
        Rpc::Range => {
            let request = caller.read(body).await?;
            kv::range(caller, request).await
        }
        Rpc::RangeStream => {
            let request = caller.read(body).await?;
            range_stream::range_stream(caller, request).await
        }
        Rpc::Put => caller.unary(body, kv::put).await,
        Rpc::DeleteRange => caller.unary(body, kv::delete_range).await,
        Rpc::Txn => caller.unary(body, kv::txn).await,
        Rpc::Compact => caller.unary(body, kv::compact).await,
        Rpc::Watch => watch::watch(caller, body).await,
        Rpc::LeaseGrant => caller.unary(body, lease::grant).await,
        Rpc::LeaseRevoke => caller.unary(body, lease::revoke).await,
        Rpc::LeaseKeepAlive => lease::keep_alive(caller, body).await,
        Rpc::LeaseTimeToLive => caller.unary(body, lease::time_to_live).await,
        Rpc::LeaseLeases => caller.unary(body, lease::leases).await,
        Rpc::MemberAdd => caller.unary(body, cluster::member_add).await,
        Rpc::MemberRemove => caller.unary(body, cluster::member_remove).await,
        Rpc::MemberUpdate => caller.unary(body, cluster::member_update).await,
        Rpc::MemberList => caller.unary(body, cluster::member_list).await,
        Rpc::MemberPromote => caller.unary(body, cluster::member_promote).await,
        Rpc::Alarm => caller.unary(body, maintenance::alarm).await,
        Rpc::Status => caller.unary(body, maintenance::status).await,
        Rpc::Defragment => caller.unary(body, maintenance::defragment).await,
        Rpc::Hash => caller.unary(body, maintenance::hash).await,
        Rpc::HashKv => caller.unary(body, maintenance::hash_kv).await,
        Rpc::MoveLeader => caller.unary(body, maintenance::move_leader).await,
        Rpc::HealthCheck => caller.unary(body, health::check).await,
        Rpc::HealthList => caller.unary(body, health::list).await,
        Rpc::HealthWatch => {
            let request = caller.read(body).await?;
            health::watch(request)
        }
        Rpc::AuthEnable
        | Rpc::AuthDisable
        | Rpc::AuthStatus
        | Rpc::Authenticate
        | Rpc::UserAdd
        | Rpc::UserGet
        | Rpc::UserList
        | Rpc::UserDelete
        | Rpc::UserChangePassword
        | Rpc::UserGrantRole
        | Rpc::UserRevokeRole
        | Rpc::RoleAdd
        | Rpc::RoleGet
        | Rpc::RoleList
        | Rpc::RoleDelete
        | Rpc::RoleGrantPermission
        | Rpc::RoleRevokePermission
        | Rpc::Downgrade
        | Rpc::Snapshot
        | Rpc::Lock
        | Rpc::Unlock
        | Rpc::ElectionCampaign
        | Rpc::ElectionProclaim
        | Rpc::ElectionLeader
        | Rpc::ElectionResign
        | Rpc::ElectionObserve => Err(unavailable(rpc)),
    }
}

/// What a later version brings.
fn unavailable(rpc: Rpc) -> Status {
    let (service, method) = (rpc.service(), rpc.method());
    Status::unimplemented(format!(
        "{service}/{method} is not available in this version of ferrod"
    ))
}

/// Services that exist in full, and those of which nothing exists yet.
const SERVICES: [&str; 9] = [
    "etcdserverpb.KV",
    "etcdserverpb.Watch",
    "etcdserverpb.Lease",
    "etcdserverpb.Cluster",
    "etcdserverpb.Maintenance",
    "etcdserverpb.Auth",
    "v3lockpb.Lock",
    "v3electionpb.Election",
    "grpc.health.v1.Health",
];

fn unknown(path: &str) -> Status {
    let (service, method) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((path, ""));
    Status::unimplemented(if SERVICES.contains(&service) {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        let refused = unknown("/etcdserverpb.KV/Drop");
        assert_eq!(refused.code(), tonic::Code::Unimplemented);
        assert_eq!(
            refused.message(),
            "unknown method Drop for service etcdserverpb.KV"
        );
        assert_eq!(unknown("/a.B/C").message(), "unknown service a.B");
        assert_eq!(unknown("/").message(), "unknown service /");
    }
}
