//! From a request to its page.

use std::sync::Arc;

use ferrod_metrics::Metrics;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, Request, StatusCode};

use super::checks::Asked;
use super::query::Query;
use super::reply::{self, JSON, Reply};
use super::{Access, Probe, gzip, health, process, vars};
use crate::config::missing;
use crate::version;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A listener for clients: all pages, under the rules of [`Access`].
    Clients,
    /// A listener for metrics: metrics and health pages, for everybody.
    Metrics,
}

/// The pages of one server.
#[derive(Debug)]
pub struct Pages<P> {
    probe: P,
    metrics: Arc<Metrics>,
    access: Access,
    /// Whether the paths of the JSON gateway exist.
    gateway: bool,
}

impl<P: Probe> Pages<P> {
    /// Pages that show this member.
    pub fn new(probe: P, metrics: Arc<Metrics>, access: Access, gateway: bool) -> Pages<P> {
        Pages {
            probe,
            metrics,
            access,
            gateway,
        }
    }

    /// Answers a request. Its body is not read.
    pub async fn answer<B>(&self, place: Place, request: &Request<B>) -> Reply {
        if place == Place::Metrics {
            let page = self.shared_page(request);
            return page.await.unwrap_or_else(reply::not_found);
        }
        if let Some(refusal) = self.access.refuse_host(request) {
            return refusal;
        }
        let add_cors = self.access.add_cors(request);
        let mut reply = if request.method() == Method::OPTIONS {
            reply::empty(StatusCode::OK)
        } else {
            self.client_page(request).await
        };
        add_cors(&mut reply);
        reply
    }

    async fn client_page<B>(&self, request: &Request<B>) -> Reply {
        let is_get = request.method() == Method::GET;
        match request.uri().path() {
            "/version" | "/debug/vars" if !is_get => reply::only_get(),
            "/version" => self.version(),
            "/debug/vars" => {
                let limit = process::file_descriptor_limit();
                let json = HeaderValue::from_static("application/json; charset=utf-8");
                reply::reply(StatusCode::OK, json, vars::text(&self.probe, limit))
            }
            path if self.gateway && is_gateway(path) => no_gateway(),
            _ => {
                let page = self.shared_page(request);
                page.await.unwrap_or_else(reply::not_found)
            }
        }
    }

    /// The pages that both kinds of listeners have.
    async fn shared_page<B>(&self, request: &Request<B>) -> Option<Reply> {
        let path = request.uri().path();
        if path == "/metrics" {
            return Some(self.metrics_page(request));
        }
        let checks = Asked::from_path(path);
        if path != "/health" && checks.is_none() {
            return None;
        }
        if request.method() != Method::GET {
            return Some(reply::only_get());
        }
        let query = Query::new(request.uri().query());
        let server = &self.metrics.server;
        if let Some(asked) = checks {
            return Some(asked.answer(&self.probe, &query, &server.health).await);
        }
        let (reply, good) = health::answer(&self.probe, &query).await;
        if good {
            server.health_success.inc();
        } else {
            server.health_failures.inc();
        }
        Some(reply)
    }

    fn metrics_page<B>(&self, request: &Request<B>) -> Reply {
        let scrape = &self.metrics.scrape;
        scrape.in_flight.inc();
        if let Some(sample) = process::sample() {
            self.metrics.process.set(&sample);
        }
        self.probe.refresh(&self.metrics);
        let text = self.metrics.text();
        let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        let mut reply = if gzip::is_accepted(request.headers()) {
            let mut reply = reply::reply(StatusCode::OK, plain, gzip::compress(&text));
            let gzip = HeaderValue::from_static("gzip");
            reply.headers_mut().insert(CONTENT_ENCODING, gzip);
            reply
        } else {
            reply::reply(StatusCode::OK, plain, text)
        };
        let vary = HeaderValue::from_static("accept-encoding");
        reply.headers_mut().insert(VARY, vary);
        scrape.served_total.inc();
        scrape.in_flight.dec();
        reply
    }

    fn version(&self) -> Reply {
        let server = version::ETCD_VERSION;
        let cluster = self.probe.cluster_version();
        let cluster = cluster.as_deref().unwrap_or("not_decided");
        let storage = self.probe.storage_version();
        let storage = storage.as_deref().unwrap_or("unknown");
        let body = format!(
            r#"{{"etcdserver":"{server}","etcdcluster":"{cluster}","storage":"{storage}"}}"#
        );
        reply::reply(StatusCode::OK, JSON, body)
    }
}

fn is_gateway(path: &str) -> bool {
    ["/v3/", "/v3beta/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

fn no_gateway() -> Reply {
    let text = missing::sentence("--enable-grpc-gateway", "the JSON gateway is");
    let body = serde_json::json!({"code": 12, "message": text});
    let mut reply = reply::text(StatusCode::NOT_IMPLEMENTED, body.to_string());
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}

#[cfg(test)]
mod tests;
