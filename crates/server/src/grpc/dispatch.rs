//! Every method that a client may call, in one table: a method that is not here is refused.

use std::sync::Arc;

use ferrod_proto::ApiError;
use http::{Request, Response};
use hyper::body::Incoming;
use prost::Message;
use tonic::Status;

use super::call::Call;
use super::reply::{self, ReplyBody};
use super::{cluster, health, kv, lease, maintenance, range_stream, status, unary, watch};
use crate::worker::Worker;

/// Answers a gRPC request.
pub(crate) async fn answer(worker: Arc<Worker>, request: Request<Incoming>) -> Response<ReplyBody> {
    let (parts, body) = request.into_parts();
    let mut caller = Caller {
        worker,
        call: Call::default(),
    };
    match caller.admit(&parts.headers) {
        Ok(()) => {}
        Err(refused) => return reply::error(&refused),
    }
    match route(caller, parts.uri.path(), body).await {
        Ok(response) => response,
        Err(status) => reply::error(&status),
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
    /// Checks that come before the message is looked at.
    fn admit(&mut self, headers: &http::HeaderMap) -> Result<(), Status> {
        self.call = Call::from_headers(headers)?;
        if self.call.has_leader
            && self
                .worker
                .engine
                .node
                .status()
                .soft
                .leader
                .known()
                .is_none()
        {
            return Err(status::of(ApiError::NoLeader));
        }
        Ok(())
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

async fn route(caller: Caller, path: &str, body: Incoming) -> Answered {
    match path {
        "/etcdserverpb.KV/Range" => {
            let request = caller.read(body).await?;
            kv::range(caller, request).await
        }
        "/etcdserverpb.KV/RangeStream" => {
            let request = caller.read(body).await?;
            range_stream::range_stream(caller, request).await
        }
        "/etcdserverpb.KV/Put" => caller.unary(body, kv::put).await,
        "/etcdserverpb.KV/DeleteRange" => caller.unary(body, kv::delete_range).await,
        "/etcdserverpb.KV/Txn" => caller.unary(body, kv::txn).await,
        "/etcdserverpb.KV/Compact" => caller.unary(body, kv::compact).await,
        "/etcdserverpb.Watch/Watch" => watch::watch(caller, body).await,
        "/etcdserverpb.Lease/LeaseGrant" => caller.unary(body, lease::grant).await,
        "/etcdserverpb.Lease/LeaseRevoke" => caller.unary(body, lease::revoke).await,
        "/etcdserverpb.Lease/LeaseKeepAlive" => lease::keep_alive(caller, body).await,
        "/etcdserverpb.Lease/LeaseTimeToLive" => caller.unary(body, lease::time_to_live).await,
        "/etcdserverpb.Lease/LeaseLeases" => caller.unary(body, lease::leases).await,
        "/etcdserverpb.Cluster/MemberList" => caller.unary(body, cluster::member_list).await,
        "/etcdserverpb.Maintenance/Alarm" => caller.unary(body, maintenance::alarm).await,
        "/etcdserverpb.Maintenance/Status" => caller.unary(body, maintenance::status).await,
        "/etcdserverpb.Maintenance/Defragment" => caller.unary(body, maintenance::defragment).await,
        "/etcdserverpb.Maintenance/Hash" => caller.unary(body, maintenance::hash).await,
        "/etcdserverpb.Maintenance/HashKV" => caller.unary(body, maintenance::hash_kv).await,
        "/grpc.health.v1.Health/Check" => caller.unary(body, health::check).await,
        "/grpc.health.v1.Health/List" => caller.unary(body, health::list).await,
        "/grpc.health.v1.Health/Watch" => {
            let request = caller.read(body).await?;
            health::watch(request)
        }
        _ => Err(unknown(path)),
    }
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
