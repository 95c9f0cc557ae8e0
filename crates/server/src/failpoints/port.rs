//! The port on which failpoints are listed, set and cleared.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::table::Table;
use crate::http::reply::{empty, text};
use crate::member::Error;

/// Terms are short.
const BODY_MAX: usize = 64 << 10;

/// Serves on a thread of its own: whoever waits at a failpoint must not keep it from being cleared.
pub(super) fn serve(address: SocketAddr, table: Table) -> Result<SocketAddr, Error> {
    let failed = |source| Error::system(format!("serve failpoints on {address}"), source);
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    std::thread::Builder::new()
        .name("failpoints".to_owned())
        .spawn(move || runtime.block_on(accept(listener, table)))
        .map_err(failed)?;
    Ok(bound)
}

async fn accept(listener: std::net::TcpListener, table: Table) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "failpoint port is not served"),
    };
    // An accept that fails concerns one connection.
    while let Ok((stream, _)) = listener.accept().await {
        let table = table.clone();
        let service = service_fn(move |request| answer(request, table.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    table: Table,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_MAX).collect().await else {
        return Ok(text(StatusCode::BAD_REQUEST, "failed to read the body\n"));
    };
    let given = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let name = head.uri.path().trim_start_matches('/');
    let nothing = |()| empty(StatusCode::NO_CONTENT);
    let result = match (&head.method, name) {
        (&Method::GET, "") => Ok(text(StatusCode::OK, table.list())),
        (&Method::GET, name) => table
            .get(name)
            .map(|terms| text(StatusCode::OK, format!("{terms}\n"))),
        (&Method::PUT, "failpoints") => table.set_list(&given).map(nothing),
        (&Method::PUT, name) => table.set(name, &given).map(nothing),
        (&Method::DELETE, name) => table.clear(name).map(nothing),
        _ => Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
    };
    Ok(result.unwrap_or_else(|reason| {
        let method = &head.method;
        let reason = format!("failed to {method} failpoint {name}: {reason}\n");
        text(StatusCode::NOT_FOUND, reason)
    }))
}
