//! The client against a server in the same process.

mod proxy;
mod server;

use std::time::Duration;

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{RangeRequest, WatchCreateRequest, WatchResponse};
use tonic::Status;

use self::proxy::Proxy;
use self::server::{Answer, Script, Server};
use crate::{Client, Config, Credentials, Error, KeyRange};

async fn client(endpoints: &[String]) -> Client {
    Client::connect(Config::new(endpoints)).await.unwrap()
}

/// An address where nobody listens.
async fn dead_endpoint() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

fn unavailable() -> Status {
    Status::unavailable("etcdserver: leader changed")
}

#[tokio::test]
async fn a_read_is_repeated_when_the_server_is_unavailable() {
    let script = Script {
        range: vec![Answer::Refuse(unavailable()), Answer::Ok],
        ..Script::default()
    };
    let server = Server::start(script).await;
    client(&[server.endpoint()])
        .await
        .get(KeyRange::single("k"))
        .await
        .unwrap();
    assert_eq!(server.calls("range"), 2);
}

#[tokio::test]
async fn a_write_is_not() {
    let script = Script {
        put: vec![Answer::Refuse(unavailable()), Answer::Ok],
        ..Script::default()
    };
    let server = Server::start(script).await;
    let outcome = client(&[server.endpoint()]).await.put("k", "v").await;
    assert_eq!(outcome.unwrap_err().api(), Some(ApiError::LeaderChanged));
    assert_eq!(server.calls("put"), 1);
}

#[tokio::test]
async fn a_write_goes_on_to_another_endpoint_when_the_first_is_dead() {
    let server = Server::start(Script::default()).await;
    let client = client(&[dead_endpoint().await, server.endpoint()]).await;
    for _ in 0..3 {
        client.put("k", "v").await.unwrap();
    }
    assert_eq!(server.calls("put"), 3);
}

#[tokio::test]
async fn without_a_server_a_call_ends_with_its_timeout_and_says_why() {
    let client = client(&[dead_endpoint().await]).await;
    let client = client.with_call_timeout(Some(Duration::from_millis(200)));
    let error = client.put("k", "v").await.unwrap_err();
    assert_eq!(error.to_string(), "context deadline exceeded");
    assert!(std::error::Error::source(&error).is_some(), "{error:?}");
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let server = Server::start(Script::default()).await;
    let config = Config {
        send_bytes_max: 10,
        ..Config::new([server.endpoint()])
    };
    let client = Client::connect(config).await.unwrap();
    let error = client.put("k", "0123456789").await.unwrap_err();
    let expected = "rpc error: code = ResourceExhausted desc = trying to send message larger than max (15 vs. 10)";
    assert_eq!(error.to_string(), expected);
    assert_eq!(server.calls("put"), 0);
}

#[tokio::test]
async fn a_password_becomes_a_token_that_is_replaced_when_it_is_stale() {
    let stale = Status::unauthenticated("etcdserver: invalid auth token");
    let script = Script {
        put: vec![Answer::Refuse(stale), Answer::Ok],
        ..Script::default()
    };
    let server = Server::start(script).await;
    let credentials = Credentials::Password {
        name: "root".into(),
        password: "pw".into(),
    };
    let config = Config {
        credentials: Some(credentials),
        ..Config::new([server.endpoint()])
    };
    Client::connect(config)
        .await
        .unwrap()
        .put("k", "v")
        .await
        .unwrap();
    assert_eq!(server.calls("authenticate"), 2);
    assert_eq!(server.tokens(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_range_comes_in_pieces_and_is_put_together() {
    let server = Server::start(Script::default()).await;
    let request = RangeRequest {
        key: "k".into(),
        ..Default::default()
    };
    let stream = client(&[server.endpoint()])
        .await
        .range_stream(request)
        .await
        .unwrap();
    let whole = stream.merge().await.unwrap();
    assert_eq!((whole.kvs.len(), whole.count, whole.more), (3, 3, true));
    assert_eq!(whole.header.map(|header| header.revision), Some(9));
}

// covers: P-W-02, P-W-05 (the client side)
#[tokio::test]
async fn a_watcher_goes_on_after_its_last_event_when_the_stream_breaks() {
    let first = vec![
        Ok(server::created(4)),
        Ok(server::events(&[5, 6])),
        Err(unavailable()),
    ];
    let second = vec![
        Ok(server::created(9)),
        Ok(server::events(&[7])),
        Ok(server::canceled("gone")),
    ];
    let server = Server::start(Script {
        watch: vec![first, second],
        ..Script::default()
    })
    .await;
    let mut watcher = client(&[server.endpoint()])
        .await
        .watch(WatchCreateRequest::default());
    let mut seen = Vec::new();
    let mut last = WatchResponse::default();
    while let Some(response) = watcher.next().await {
        last = response.unwrap();
        seen.extend(
            last.events
                .iter()
                .map(|event| event.kv.as_ref().unwrap().mod_revision),
        );
    }
    assert_eq!(seen, [5, 6, 7]);
    assert_eq!(server.watch_starts(), [0, 7]);
    assert_eq!(crate::cancel_cause(&last).unwrap().to_string(), "gone");
}

#[tokio::test]
async fn a_watcher_goes_on_when_the_connection_breaks() {
    let first = vec![Ok(server::created(4)), Ok(server::events(&[5]))];
    let second = vec![Ok(server::created(9)), Ok(server::events(&[6]))];
    let script = Script {
        watch: vec![first, second],
        ..Script::default()
    };
    let server = Server::start(script).await;
    let proxy = Proxy::start(server.endpoint()).await;
    let mut watcher = client(&[proxy.endpoint()])
        .await
        .watch(WatchCreateRequest::default());
    watcher.next().await.unwrap().unwrap();
    proxy.cut();
    let response = watcher.next().await.unwrap().unwrap();
    assert_eq!(response.events.len(), 1);
    assert_eq!(server.watch_starts(), [0, 6]);
}

#[tokio::test]
async fn a_watcher_that_requires_a_leader_ends_without_one() {
    let lost = vec![
        Ok(server::created(4)),
        Err(Status::unavailable("etcdserver: no leader")),
    ];
    let server = Server::start(Script {
        watch: vec![lost],
        ..Script::default()
    })
    .await;
    let client = client(&[server.endpoint()]).await.with_require_leader(true);
    let mut watcher = client.watch(WatchCreateRequest::default());
    let error = watcher.next().await.unwrap().unwrap_err();
    assert_eq!(error.api(), Some(ApiError::NoLeader));
    assert!(watcher.next().await.is_none());
}

#[tokio::test]
async fn a_watcher_can_be_asked_for_progress_and_for_its_end() {
    let open = vec![Ok(server::created(4))];
    let server = Server::start(Script {
        watch: vec![open],
        ..Script::default()
    })
    .await;
    let mut watcher = client(&[server.endpoint()])
        .await
        .watch(WatchCreateRequest::default());
    let handle = watcher.handle();
    handle.request_progress().await;
    handle.cancel().await;
    let progress = watcher.next().await.unwrap().unwrap();
    assert!(crate::is_progress_notification(&progress));
    assert!(watcher.next().await.unwrap().unwrap().canceled);
    assert!(watcher.next().await.is_none());
}

#[tokio::test]
async fn a_lease_is_renewed_until_it_is_gone() {
    // A time to live of 0 says that the lease is gone; 1 s means a renewal every third of a second.
    let server = Server::start(Script {
        ttls: vec![1, 1, 0],
        ..Script::default()
    })
    .await;
    let mut keep_alive = client(&[server.endpoint()]).await.keep_alive(7);
    assert_eq!(keep_alive.next().await.unwrap().unwrap().ttl, 1);
    assert_eq!(keep_alive.next().await.unwrap().unwrap().ttl, 1);
    assert!(keep_alive.next().await.unwrap().is_none());
    assert!(keep_alive.next().await.unwrap().is_none());
}

#[tokio::test]
async fn renewing_once_says_that_the_lease_is_gone() {
    let server = Server::start(Script {
        ttls: vec![0],
        ..Script::default()
    })
    .await;
    let outcome = client(&[server.endpoint()])
        .await
        .keep_alive(7)
        .once()
        .await;
    assert!(matches!(outcome, Err(Error::Api(ApiError::LeaseNotFound))));
}

#[tokio::test]
async fn futures_may_move_between_threads() {
    fn check(_: impl Send) {}
    let client = client(&[dead_endpoint().await]).await;
    check(client.put("k", "v"));
    check(client.range_stream(RangeRequest::default()));
    check(client.watch(WatchCreateRequest::default()).next());
    check(client.keep_alive(1).next());
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    let connect = |config| Client::connect(config);
    let none: [&str; 0] = [];
    assert!(matches!(
        connect(Config::new(none)).await,
        Err(Error::NoEndpoint)
    ));
    assert!(matches!(
        connect(Config::new(["https://a:1"])).await,
        Err(Error::Endpoint { .. })
    ));
    let limits = Config {
        send_bytes_max: 9,
        recv_bytes_max: 8,
        ..Config::new(["a:1"])
    };
    let error = connect(limits).await.unwrap_err().to_string();
    let expected = "gRPC message recv limit (8 bytes) must be greater than send limit (9 bytes)";
    assert_eq!(error, expected);
}
