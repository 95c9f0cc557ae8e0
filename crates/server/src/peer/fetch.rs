//! Reads a page of another member's peer port, for a member that is not connected to anyone yet.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::config::MemberUrl;

/// A page that is longer is none of ours.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0} cannot be called: only http is spoken")]
    Scheme(MemberUrl),
    #[error("connect to {0}")]
    Connect(MemberUrl, #[source] std::io::Error),
    #[error("read {url}{path}: {reason}")]
    Read {
        url: MemberUrl,
        path: &'static str,
        reason: String,
    },
    #[error("no answer from {0} within {1:?}")]
    Silent(MemberUrl, Duration),
}

/// Reads `path` below `url`, all within `timeout`.
///
/// # Errors
/// [`FetchError`]; also for any status but 200.
pub(crate) async fn page(
    url: &MemberUrl,
    path: &'static str,
    timeout: Duration,
) -> Result<Page, FetchError> {
    let fetching = fetch(url, path);
    let fetched = tokio::time::timeout(timeout, fetching).await;
    fetched.unwrap_or_else(|_| Err(FetchError::Silent(url.clone(), timeout)))
}

async fn fetch(url: &MemberUrl, path: &'static str) -> Result<Page, FetchError> {
    if url.scheme().is_secure() || url.scheme().is_unix() {
        return Err(FetchError::Scheme(url.clone()));
    }
    let failed = |reason: String| FetchError::Read {
        url: url.clone(),
        path,
        reason,
    };
    let stream = TcpStream::connect(url.address())
        .await
        .map_err(|source| FetchError::Connect(url.clone(), source))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(error.to_string()))?;
    // It ends with the sender; what goes wrong on it is seen there.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(header::HOST, url.address())
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(error.to_string()))?;
    let response = sender.send_request(request).await;
    let (parts, body) = response
        .map_err(|error| failed(error.to_string()))?
        .into_parts();
    if parts.status != StatusCode::OK {
        return Err(failed(format!("status {}", parts.status)));
    }
    let body = Limited::new(body, PAGE_BYTES_MAX).collect().await;
    Ok(Page {
        headers: parts.headers,
        body: body.map_err(|error| failed(error.to_string()))?.to_bytes(),
    })
}
