//! The pages of the peer port: who the members are, and which version this one is.

use ferrod_store::{Cluster, Member};
use http::{HeaderValue, Method, Request, StatusCode};

use super::context::Context;
use crate::http::reply::{self, JSON, Reply};
use crate::version::ETCD_VERSION;

/// Answers a request. Its body is not read.
pub(super) fn answer<B>(context: &Context, request: &Request<B>) -> Reply {
    let is_get = request.method() == Method::GET;
    match request.uri().path() {
        "/version" | "/members" | "/raft/probing" if !is_get => reply::only_get(),
        "/version" => version(&context.cluster.load()),
        "/members" => {
            let mut page = members(&context.cluster.load());
            let id = HeaderValue::from_str(&context.cluster_id.to_string());
            let id = id.expect("hexadecimal digits are a header value");
            page.headers_mut().insert("x-etcd-cluster-id", id);
            page
        }
        _ => reply::not_found(),
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
