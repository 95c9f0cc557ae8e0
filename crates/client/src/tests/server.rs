//! A server that does what a script says and remembers what it was asked.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use ferrod_proto::etcdserverpb::auth_server::{Auth, AuthServer};
use ferrod_proto::etcdserverpb::kv_server::{Kv, KvServer};
use ferrod_proto::etcdserverpb::lease_server::{Lease, LeaseServer};
use ferrod_proto::etcdserverpb::watch_request::RequestUnion;
use ferrod_proto::etcdserverpb::watch_server::{Watch, WatchServer};
use ferrod_proto::etcdserverpb::*;
use ferrod_proto::mvccpb::{Event, KeyValue};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// What to answer to one call.
pub(super) enum Answer {
    Ok,
    Refuse(Status),
}

/// What to answer, call by call. What is not said is answered with success.
#[derive(Default)]
pub(super) struct Script {
    pub(super) range: Vec<Answer>,
    pub(super) put: Vec<Answer>,
    /// Messages of each watch stream in turn.
    pub(super) watch: Vec<Vec<Result<WatchResponse, Status>>>,
    /// Time to live in each answer to a renewal.
    pub(super) ttls: Vec<i64>,
}

#[derive(Default)]
struct State {
    range: VecDeque<Answer>,
    put: VecDeque<Answer>,
    watch: VecDeque<Vec<Result<WatchResponse, Status>>>,
    ttls: VecDeque<i64>,
    calls: Vec<&'static str>,
    tokens: Vec<String>,
    watch_starts: Vec<i64>,
}

/// A running server. It ends with the runtime of the test.
#[derive(Clone)]
pub(super) struct Server {
    state: Arc<Mutex<State>>,
    endpoint: String,
}

impl Server {
    pub(super) async fn start(script: Script) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let state = State {
            range: script.range.into(),
            put: script.put.into(),
            watch: script.watch.into(),
            ttls: script.ttls.into(),
            ..State::default()
        };
        let server = Server {
            state: Arc::new(Mutex::new(state)),
            endpoint,
        };
        let router = tonic::transport::Server::builder()
            .add_service(KvServer::new(server.clone()))
            .add_service(WatchServer::new(server.clone()))
            .add_service(LeaseServer::new(server.clone()))
            .add_service(AuthServer::new(server.clone()));
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        server
    }

    pub(super) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    pub(super) fn calls(&self, method: &str) -> usize {
        self.state
            .lock()
            .calls
            .iter()
            .filter(|call| **call == method)
            .count()
    }

    pub(super) fn tokens(&self) -> Vec<String> {
        self.state.lock().tokens.clone()
    }

    pub(super) fn watch_starts(&self) -> Vec<i64> {
        self.state.lock().watch_starts.clone()
    }
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision,
        ..Default::default()
    })
}

pub(super) fn created(revision: i64) -> WatchResponse {
    WatchResponse {
        header: header(revision),
        created: true,
        ..Default::default()
    }
}

pub(super) fn events(revisions: &[i64]) -> WatchResponse {
    let event = |revision: &i64| {
        let kv = KeyValue {
            mod_revision: *revision,
            ..Default::default()
        };
        Event {
            kv: Some(kv),
            ..Default::default()
        }
    };
    WatchResponse {
        header: header(99),
        events: revisions.iter().map(event).collect(),
        ..Default::default()
    }
}

pub(super) fn canceled(reason: &str) -> WatchResponse {
    WatchResponse {
        canceled: true,
        cancel_reason: reason.into(),
        ..Default::default()
    }
}

fn answer<T: Default>(answer: Option<Answer>) -> Result<Response<T>, Status> {
    match answer {
        Some(Answer::Refuse(status)) => Err(status),
        Some(Answer::Ok) | None => Ok(Response::new(T::default())),
    }
}

fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in this server"))
}

#[tonic::async_trait]
impl Kv for Server {
    async fn range(&self, _: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let mut state = self.state.lock();
        state.calls.push("range");
        answer(state.range.pop_front())
    }

    type RangeStreamStream =
        Pin<Box<dyn Stream<Item = Result<RangeStreamResponse, Status>> + Send>>;

    async fn range_stream(
        &self,
        _: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let piece = |kvs, last: bool| RangeStreamResponse {
            range_response: Some(RangeResponse {
                header: if last { header(9) } else { None },
                kvs: vec![KeyValue::default(); kvs],
                more: last,
                count: if last { 3 } else { 0 },
            }),
        };
        let pieces = [Ok(piece(2, false)), Ok(piece(1, true))];
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces))))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let mut state = self.state.lock();
        state.calls.push("put");
        let token = request.metadata().get("token");
        state
            .tokens
            .extend(token.map(|token| token.to_str().unwrap().to_owned()));
        answer(state.put.pop_front())
    }

    async fn delete_range(
        &self,
        _: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        unused()
    }

    async fn txn(&self, _: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        unused()
    }

    async fn compact(
        &self,
        _: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        unused()
    }
}

#[tonic::async_trait]
impl Watch for Server {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, responses) = mpsc::channel(8);
        let mut requests = request.into_inner();
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            while let Some(Ok(WatchRequest {
                request_union: Some(request),
            })) = requests.next().await
            {
                let messages = match request {
                    RequestUnion::CreateRequest(create) => {
                        let mut state = state.lock();
                        state.watch_starts.push(create.start_revision);
                        state.watch.pop_front().unwrap_or_default()
                    }
                    RequestUnion::ProgressRequest(_) => {
                        vec![Ok(WatchResponse {
                            header: header(8),
                            ..Default::default()
                        })]
                    }
                    RequestUnion::CancelRequest(_) => vec![Ok(canceled(""))],
                };
                for message in messages {
                    let broken = message.is_err();
                    if sender.send(message).await.is_err() || broken {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}

#[tonic::async_trait]
impl Lease for Server {
    type LeaseKeepAliveStream =
        Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let state = Arc::clone(&self.state);
        let renewals = request.into_inner().map(move |request| {
            let ttl = state.lock().ttls.pop_front().unwrap_or_default();
            request.map(|request| LeaseKeepAliveResponse {
                id: request.id,
                ttl,
                ..Default::default()
            })
        });
        Ok(Response::new(Box::pin(renewals)))
    }

    async fn lease_grant(
        &self,
        _: Request<LeaseGrantRequest>,
    ) -> Result<Response<LeaseGrantResponse>, Status> {
        unused()
    }

    async fn lease_revoke(
        &self,
        _: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        unused()
    }

    async fn lease_time_to_live(
        &self,
        _: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        unused()
    }

    async fn lease_leases(
        &self,
        _: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        unused()
    }
}

macro_rules! unused_auth {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl Auth for Server {
            async fn authenticate(
                &self,
                request: Request<AuthenticateRequest>,
            ) -> Result<Response<AuthenticateResponse>, Status> {
                let mut state = self.state.lock();
                state.calls.push("authenticate");
                assert!(request.metadata().get("token").is_none());
                let times = state.calls.iter().filter(|call| **call == "authenticate").count();
                let token = format!("token-{times}");
                Ok(Response::new(AuthenticateResponse { token, ..Default::default() }))
            }

            $(async fn $method(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                unused()
            })*
        }
    };
}

unused_auth! {
    auth_enable(AuthEnableRequest) -> AuthEnableResponse;
    auth_disable(AuthDisableRequest) -> AuthDisableResponse;
    auth_status(AuthStatusRequest) -> AuthStatusResponse;
    user_add(AuthUserAddRequest) -> AuthUserAddResponse;
    user_get(AuthUserGetRequest) -> AuthUserGetResponse;
    user_list(AuthUserListRequest) -> AuthUserListResponse;
    user_delete(AuthUserDeleteRequest) -> AuthUserDeleteResponse;
    user_change_password(AuthUserChangePasswordRequest) -> AuthUserChangePasswordResponse;
    user_grant_role(AuthUserGrantRoleRequest) -> AuthUserGrantRoleResponse;
    user_revoke_role(AuthUserRevokeRoleRequest) -> AuthUserRevokeRoleResponse;
    role_add(AuthRoleAddRequest) -> AuthRoleAddResponse;
    role_get(AuthRoleGetRequest) -> AuthRoleGetResponse;
    role_list(AuthRoleListRequest) -> AuthRoleListResponse;
    role_delete(AuthRoleDeleteRequest) -> AuthRoleDeleteResponse;
    role_grant_permission(AuthRoleGrantPermissionRequest) -> AuthRoleGrantPermissionResponse;
    role_revoke_permission(AuthRoleRevokePermissionRequest) -> AuthRoleRevokePermissionResponse;
}
