//! The pages of the peer port: who the members are, which version this one is, and the calls that etcd's tools and members
//! make there over plain HTTP.

use std::fmt::Display;

use bytes::Bytes;
use ferrod_node::MemberId;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseTimeToLiveResponse, ResponseHeader,
};
use ferrod_proto::leasepb::{LeaseInternalRequest, LeaseInternalResponse};
use ferrod_proto::peer::{Answer, Renewals, TimeToLive, answer, question};
use ferrod_store::{Cluster, Member};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost::Message;
use tokio::sync::oneshot;
use tonic::Status;

use super::ask::Asked;
use super::context::Context;
use crate::http::reply::{self, JSON, PLAIN, Reply};
use crate::version::ETCD_VERSION;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/protobuf");
const PROMOTE: &str = "/members/promote/";
/// A longer body is none of a lease's.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Answers a request.
pub(super) async fn answer<B>(context: &Context, request: Request<B>) -> Reply
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path();
    let (is_get, is_post) = (
        request.method() == Method::GET,
        request.method() == Method::POST,
    );
    match path {
        "/version" | "/members" | "/downgrade/enabled" if !is_get => reply::only_get(),
        "/version" => version(&context.cluster.load()),
        "/members" => with_cluster(context, members(&context.cluster.load())),
        "/downgrade/enabled" => with_cluster(context, downgrade_enabled(context).await),
        "/raft/probing" => probing(context),
        "/leases" | "/leases/internal" if !is_post => {
            text(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        }
        "/leases" => with_body(request, async |body| renew(context, body).await).await,
        "/leases/internal" => {
            with_body(request, async |body| time_to_live(context, body).await).await
        }
        _ => match path.strip_prefix(PROMOTE) {
            Some(_) if !is_post => reply::only("POST"),
            Some(id) => with_cluster(context, promote(context, id).await),
            None => reply::not_found(),
        },
    }
}

fn with_cluster(context: &Context, mut page: Reply) -> Reply {
    let id = HeaderValue::from_str(&context.cluster_id.to_string());
    let id = id.expect("hexadecimal digits are a header value");
    page.headers_mut().insert("x-etcd-cluster-id", id);
    page
}

fn text(status: StatusCode, text: impl Display) -> Reply {
    reply::text(status, format!("{text}\n"))
}

async fn with_body<B>(request: Request<B>, answer: impl AsyncFnOnce(Bytes) -> Reply) -> Reply
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX);
    match body.collect().await {
        Ok(body) => answer(body.to_bytes()).await,
        Err(error) if error.is::<LengthLimitError>() => {
            text(StatusCode::PAYLOAD_TOO_LARGE, "request body too large")
        }
        Err(_) => text(StatusCode::BAD_REQUEST, "error reading body"),
    }
}

fn version(cluster: &Cluster) -> Reply {
    let version = cluster.version.as_deref();
    let (decided, storage) = (
        version.unwrap_or("not_decided"),
        version.unwrap_or("unknown"),
    );
    let body = format!(
        r#"{{"etcdserver":"{ETCD_VERSION}","etcdcluster":"{decided}","storage":"{storage}"}}"#
    );
    reply::reply(StatusCode::OK, JSON, body)
}

fn members(cluster: &Cluster) -> Reply {
    let members: Vec<&Member> = cluster.members.present.values().collect();
    match serde_json::to_string(&members) {
        Ok(json) => reply::reply(StatusCode::OK, JSON, json + "\n"),
        Err(error) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// For who measures how long the way is, and how far clocks are apart.
fn probing(context: &Context) -> Reply {
    match jiff::Timestamp::try_from(context.clock.wall()) {
        Ok(now) => {
            let body = format!("{{\"OK\":true,\"Now\":\"{now}\"}}\n");
            reply::reply(StatusCode::OK, PLAIN, body)
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// Whether the cluster goes back to an earlier version: never, for this one takes no such order.
async fn downgrade_enabled(context: &Context) -> Reply {
    match ask(context, |reply| Asked::Barrier { reply }).await {
        Ok(()) => {
            let plain = HeaderValue::from_static("text/plain");
            reply::reply(StatusCode::OK, plain, "false")
        }
        Err(error) => {
            let why = format!("failed linearized read: {}", error.message());
            text(StatusCode::INTERNAL_SERVER_ERROR, why)
        }
    }
}

async fn promote(context: &Context, id: &str) -> Reply {
    let Ok(member) = id.parse().map(MemberId) else {
        let why = format!("member {id} not found in cluster");
        return text(StatusCode::NOT_FOUND, why);
    };
    let Err(refused) = ask(context, |reply| Asked::Promote { member, reply }).await else {
        return members(&context.cluster.load());
    };
    match ApiError::from_text(refused.message()) {
        Some(ApiError::MemberNotFound) => text(StatusCode::NOT_FOUND, "membership: ID not found"),
        Some(ApiError::NotLearner) => {
            let why = "membership: can only promote a learner member";
            text(StatusCode::PRECONDITION_FAILED, why)
        }
        Some(ApiError::LearnerNotReady) => text(StatusCode::PRECONDITION_FAILED, refused.message()),
        _ => {
            let body = r#"{"message":"Internal Server Error"}"#;
            reply::reply(StatusCode::INTERNAL_SERVER_ERROR, JSON, body)
        }
    }
}

/// Renews a lease, if this member leads.
async fn renew(context: &Context, body: Bytes) -> Reply {
    let Ok(LeaseKeepAliveRequest { id }) = Message::decode(body) else {
        return text(StatusCode::BAD_REQUEST, "error unmarshalling request");
    };
    let wanted = question::Content::Renew(Renewals { leases: vec![id] });
    match question(context, wanted).await {
        Ok(Some(answer::Content::Renewed(renewed))) => match renewed.ttls.first() {
            Some(&ttl) if ttl > 0 => protobuf(&LeaseKeepAliveResponse {
                header: None,
                id,
                ttl,
            }),
            // What has run out is as good as gone.
            _ => text(StatusCode::NOT_FOUND, LEASE_NOT_FOUND),
        },
        Ok(_) => text(StatusCode::BAD_REQUEST, NOT_PRIMARY),
        Err(error) => text(StatusCode::BAD_REQUEST, error.message()),
    }
}

/// What is left of a lease, if this member leads.
async fn time_to_live(context: &Context, body: Bytes) -> Reply {
    let request = LeaseInternalRequest::decode(body);
    let request = request.map(|request| request.lease_time_to_live_request);
    let Ok(Some(wanted)) = request else {
        return text(StatusCode::BAD_REQUEST, "error unmarshalling request");
    };
    let id = wanted.id;
    let keys = wanted.keys;
    let wanted = question::Content::TimeToLive(TimeToLive { id, keys });
    match question(context, wanted).await {
        Ok(Some(answer::Content::Remaining(found))) if found.known => {
            let found = LeaseTimeToLiveResponse {
                header: Some(ResponseHeader::default()),
                id,
                ttl: found.seconds,
                granted_ttl: found.granted,
                keys: found.keys,
            };
            protobuf(&LeaseInternalResponse {
                lease_time_to_live_response: Some(found),
            })
        }
        Ok(Some(answer::Content::Remaining(_))) => text(StatusCode::NOT_FOUND, LEASE_NOT_FOUND),
        // Whoever does not lead cannot know.
        _ => text(StatusCode::INTERNAL_SERVER_ERROR, NOT_PRIMARY),
    }
}

const LEASE_NOT_FOUND: &str = "lease not found";
const NOT_PRIMARY: &str = "not a primary lessor";

fn protobuf(message: &impl Message) -> Reply {
    reply::reply(StatusCode::OK, PROTOBUF, message.encode_to_vec())
}

async fn question(
    context: &Context,
    content: question::Content,
) -> Result<Option<answer::Content>, Status> {
    let answer = ask(context, |reply| Asked::Question { content, reply }).await;
    answer.map(|Answer { content }| content)
}

/// Asks the thread that has the answers.
async fn ask<T>(
    context: &Context,
    asked: impl FnOnce(oneshot::Sender<Result<T, Status>>) -> Asked,
) -> Result<T, Status> {
    let (reply, receiver) = oneshot::channel();
    let asking = context.questions.try_send(asked(reply));
    asking.map_err(|_| Status::resource_exhausted("too many questions wait"))?;
    let stopping = |_| Status::unavailable("the member is stopping");
    receiver.await.map_err(stopping)?
}
