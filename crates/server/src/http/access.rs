//! Who may ask: host names and origins.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HOST,
    ORIGIN,
};
use http::{HeaderValue, Request, StatusCode};

use super::reply::{self, Reply};
use crate::config::Web;

/// Who may ask.
#[derive(Debug, Clone)]
pub struct Access {
    /// Names under which a plain request may call this server; `None` for all.
    hosts: Option<Vec<String>>,
    /// Origins whose pages may call; `None` for all.
    origins: Option<Vec<String>>,
}

impl Access {
    /// As configured: `*` or nothing allows all.
    #[must_use]
    pub fn new(web: &Web) -> Access {
        let restricted = |words: &[String]| {
            let open = words.is_empty() || words.iter().any(|word| word == "*");
            (!open).then(|| words.to_vec())
        };
        Access {
            hosts: restricted(&web.host_whitelist),
            origins: restricted(&web.cors),
        }
    }

    /// The refusal of a request under a foreign name: a page in a browser can give this server a
    /// name of its own and then talk to it as if it were the page's own (DNS rebinding).
    pub(crate) fn refuse_host<B>(&self, request: &Request<B>) -> Option<Reply> {
        let hosts = self.hosts.as_ref()?;
        let host = host_name(request);
        if hosts.contains(&host) {
            return None;
        }
        let text = format!(
            "The Host header {host:?} of this request is not one that this server answers to \
             (CVE-2018-5702). Use TLS, or start the server with: etcd --host-whitelist {host:?}\n"
        );
        Some(reply::text(StatusCode::MISDIRECTED_REQUEST, text))
    }

    /// Tells a browser that the page which asked may read the answer.
    pub(crate) fn add_cors<B>(&self, request: &Request<B>) -> impl FnOnce(&mut Reply) + use<B> {
        let allowed = match &self.origins {
            None => Some(HeaderValue::from_static("*")),
            Some(origins) => request
                .headers()
                .get(ORIGIN)
                .filter(|origin| origins.iter().any(|allowed| allowed.as_str() == **origin))
                .cloned(),
        };
        move |reply| {
            let Some(origin) = allowed else { return };
            let headers = reply.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE"),
            );
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("accept, content-type, authorization"),
            );
        }
    }
}

/// The name by which a request calls this server, without the port.
fn host_name<B>(request: &Request<B>) -> String {
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request
            .headers()
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default(),
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        // More than one colon is an address without brackets, so without a port.
        None if host.matches(':').count() > 1 => Some(host),
        None => host.split(':').next(),
    };
    name.unwrap_or_default().to_owned()
}
