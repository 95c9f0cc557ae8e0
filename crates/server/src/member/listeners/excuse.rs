//! What a suspect member says before it has a log again: to every page the reason, and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::http::reply::{Reply, text};
use crate::serve::is_passing;

/// A caller that says nothing is not kept longer.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is dropped, or the socket fails: who comes then finds nobody.
pub(super) async fn give(listener: TcpListener, reason: Arc<str>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, reason.clone()))),
            Err(error) if is_passing(&error) => tokio::time::sleep(EXHAUSTED_PAUSE).await,
            Err(_) => return,
        }
    }
}

async fn answer(stream: TcpStream, reason: Arc<str>) {
    let service = service_fn(|request: Request<Incoming>| {
        let reply = page(request.uri().path(), &reason);
        async move { Ok::<_, Infallible>(reply) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false);
    // A caller that speaks something else, gRPC above all, is hung up on.
    let _ended = http.serve_connection(TokioIo::new(stream), service).await;
}

fn page(path: &str, reason: &str) -> Reply {
    match path {
        // It lives, and must be left alone while it waits for the others.
        "/livez" => text(StatusCode::OK, "ok\n"),
        "/health" => {
            let reason = serde_json::Value::from(format!("SUSPECT: {reason}"));
            let body = format!("{{\"health\":\"false\",\"reason\":{reason}}}\n");
            text(StatusCode::SERVICE_UNAVAILABLE, body)
        }
        _ => {
            let body = format!("this member is suspect and heals from its peers: {reason}\n");
            text(StatusCode::SERVICE_UNAVAILABLE, body)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(path: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let giving = tokio::spawn(give(listener, Arc::from("corrupt \"data\"")));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        giving.abort();
        answer
    }

    /// covers: D-02, P-KV-06
    #[tokio::test]
    async fn it_is_alive_and_says_why_it_is_of_no_use() {
        let health = get("/health").await;
        assert!(health.starts_with("HTTP/1.1 503 "), "{health}");
        let body = r#"{"health":"false","reason":"SUSPECT: corrupt \"data\""}"#;
        assert!(health.contains(body), "{health}");
        assert!(get("/readyz").await.starts_with("HTTP/1.1 503 "));
        assert!(get("/livez").await.starts_with("HTTP/1.1 200 "));
        assert!(get("/metrics").await.contains("is suspect"));
    }
}
