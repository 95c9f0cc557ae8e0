//! A server with fixed answers that remembers what it was asked.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::alarm_request::AlarmAction;
use ferrod_proto::etcdserverpb::cluster_server::{Cluster, ClusterServer};
use ferrod_proto::etcdserverpb::kv_server::{Kv, KvServer};
use ferrod_proto::etcdserverpb::lease_server::{Lease, LeaseServer};
use ferrod_proto::etcdserverpb::maintenance_server::{Maintenance, MaintenanceServer};
use ferrod_proto::etcdserverpb::request_op::Request as Op;
use ferrod_proto::etcdserverpb::response_op::Response as Answer;
use ferrod_proto::etcdserverpb::watch_server::{Watch, WatchServer};
use ferrod_proto::etcdserverpb::*;
use ferrod_proto::mvccpb::{Event, KeyValue};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

type Answered<T> = Result<Response<T>, Status>;
type Stream1<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A server on a thread of its own that lives as long as the test process.
#[derive(Clone)]
pub(super) struct Server {
    requests: Arc<Mutex<Vec<String>>>,
    endpoint: String,
}

impl Server {
    pub(super) fn start() -> Server {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let endpoint = listener.local_addr().unwrap().to_string();
                let server = Server {
                    requests: Arc::default(),
                    endpoint,
                };
                sender.send(server.clone()).unwrap();
                tonic::transport::Server::builder()
                    .add_service(KvServer::new(server.clone()))
                    .add_service(WatchServer::new(server.clone()))
                    .add_service(LeaseServer::new(server.clone()))
                    .add_service(ClusterServer::new(server.clone()))
                    .add_service(MaintenanceServer::new(server.clone()))
                    .serve_with_incoming(TcpListenerStream::new(listener))
                    .await
                    .unwrap();
            });
        });
        receiver.recv().unwrap()
    }

    pub(super) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    pub(super) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    fn members(&self) -> Vec<Member> {
        vec![
            Member {
                id: 10_276_657_743_932_975_437,
                name: "default".into(),
                peer_ur_ls: vec!["http://a:2380".into(), "http://b:2380".into()],
                client_ur_ls: vec![format!("http://{}", self.endpoint)],
                is_learner: false,
            },
            Member {
                id: 0xab,
                peer_ur_ls: vec!["http://c:2380".into()],
                is_learner: true,
                ..Default::default()
            },
        ]
    }

    fn note<T: Debug>(&self, request: Request<T>) -> T {
        let message = request.into_inner();
        self.note_message(&message);
        message
    }

    fn note_message(&self, message: &impl Debug) {
        self.requests
            .lock()
            .unwrap()
            .push(brief(&format!("{message:?}")));
    }
}

/// Leaves out fields with default values.
fn brief(text: &str) -> String {
    let mut out = String::new();
    for part in text.split(", ") {
        let open = part.rfind("{ ").map_or(0, |at| at + 2);
        let close = part[open..].find(" }").map_or(part.len(), |at| open + at);
        let field = &part[open..close];
        let is_default = [": 0", ": false", ": b\"\"", ": []", ": None"]
            .iter()
            .any(|end| field.ends_with(end))
            || ["Equal", "Version", "Key", "None", "Get"]
                .iter()
                .any(|name| field.ends_with(&format!(": {name}")));
        let joined = !out.is_empty() && !out.ends_with("{ ") && !is_default;
        out += if joined { ", " } else { "" };
        out += &part[..open];
        out += if is_default { "" } else { field };
        out += &part[close..];
    }
    out
}

fn header() -> Option<ResponseHeader> {
    Some(ResponseHeader {
        cluster_id: 14_841_639_068_965_178_418,
        member_id: 10_276_657_743_932_975_437,
        revision: 7,
        raft_term: 2,
    })
}

fn cluster_header() -> Option<ResponseHeader> {
    header().map(|header| ResponseHeader {
        revision: 0,
        ..header
    })
}

fn inner_header() -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision: 7,
        ..Default::default()
    })
}

fn pair(key: &'static [u8], value: &'static [u8], lease: i64) -> KeyValue {
    KeyValue {
        key: key.into(),
        create_revision: 2,
        mod_revision: 5,
        version: 3,
        value: value.into(),
        lease,
    }
}

fn foo() -> KeyValue {
    pair(b"foo", b"bar", 0)
}

fn odd() -> KeyValue {
    pair(b"odd\"\n", b"<\x00\xff\xc3\xa9>", 0x694d_5765_fc71_500b)
}

fn refusal(error: ApiError) -> Status {
    Status::new((error.wire_code() as i32).into(), error.text())
}

fn answer<T>(message: T) -> Answered<T> {
    Ok(Response::new(message))
}

fn range(request: &RangeRequest) -> RangeResponse {
    let kvs = match &request.key[..] {
        b"missing" => vec![],
        _ if request.count_only => vec![],
        _ if request.range_end.is_empty() => vec![foo()],
        _ => vec![foo(), odd()],
    };
    let (more, count) = (request.limit == 2, kvs.len() as i64);
    RangeResponse {
        header: header(),
        kvs,
        more,
        count,
    }
}

fn delete(request: &DeleteRangeRequest) -> DeleteRangeResponse {
    let prev_kvs = if request.prev_kv {
        vec![foo(), odd()]
    } else {
        vec![]
    };
    DeleteRangeResponse {
        header: header(),
        deleted: 2,
        prev_kvs,
    }
}

fn put(request: &PutRequest) -> PutResponse {
    PutResponse {
        header: header(),
        prev_kv: request.prev_kv.then(foo),
    }
}

fn op(request: RequestOp) -> ResponseOp {
    let header = inner_header();
    let response = request.request.map(|request| match request {
        Op::RequestRange(r) => Answer::ResponseRange(RangeResponse {
            header,
            ..range(&r)
        }),
        Op::RequestPut(r) => Answer::ResponsePut(PutResponse { header, ..put(&r) }),
        Op::RequestDeleteRange(r) => Answer::ResponseDeleteRange(DeleteRangeResponse {
            header,
            ..delete(&r)
        }),
        Op::RequestTxn(_) => Answer::ResponseTxn(TxnResponse::default()),
    });
    ResponseOp { response }
}

#[tonic::async_trait]
impl Kv for Server {
    async fn range(&self, request: Request<RangeRequest>) -> Answered<RangeResponse> {
        let request = self.note(request);
        match &request.key[..] {
            b"denied" => Err(refusal(ApiError::PermissionDenied)),
            b"compacted" => Err(refusal(ApiError::Compacted)),
            b"strange" => Err(Status::data_loss("something else")),
            _ => answer(range(&request)),
        }
    }

    type RangeStreamStream = Stream1<RangeStreamResponse>;

    async fn range_stream(
        &self,
        request: Request<RangeRequest>,
    ) -> Answered<Stream1<RangeStreamResponse>> {
        let whole = range(&self.note(request));
        let last = RangeResponse {
            kvs: whole.kvs[1..].to_vec(),
            ..whole.clone()
        };
        let first = RangeResponse {
            kvs: whole.kvs[..1].to_vec(),
            ..Default::default()
        };
        let pieces = [first, last].map(|piece| {
            Ok(RangeStreamResponse {
                range_response: Some(piece),
            })
        });
        answer(Box::pin(tokio_stream::iter(pieces)))
    }

    async fn put(&self, request: Request<PutRequest>) -> Answered<PutResponse> {
        answer(put(&self.note(request)))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Answered<DeleteRangeResponse> {
        answer(delete(&self.note(request)))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Answered<TxnResponse> {
        let TxnRequest {
            compare,
            success,
            failure,
        } = self.note(request);
        let succeeded = !compare.is_empty();
        let requests = if succeeded { success } else { failure };
        let responses = requests.into_iter().map(op).collect();
        answer(TxnResponse {
            header: header(),
            succeeded,
            responses,
        })
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Answered<CompactionResponse> {
        match self.note(request).revision {
            99 => Err(refusal(ApiError::FutureRevision)),
            _ => answer(CompactionResponse { header: header() }),
        }
    }
}

#[tonic::async_trait]
impl Watch for Server {
    type WatchStream = Stream1<WatchResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Answered<Stream1<WatchResponse>> {
        let first = request.into_inner().message().await?.unwrap();
        self.note_message(&first);
        let Some(watch_request::RequestUnion::CreateRequest(create)) = first.request_union else {
            return Err(Status::internal("no create request"));
        };
        let deleted = KeyValue {
            key: "foo".into(),
            mod_revision: 7,
            ..Default::default()
        };
        let prev_kv = create.prev_kv.then(foo);
        let events = vec![
            Event {
                kv: Some(foo()),
                ..Default::default()
            },
            Event {
                r#type: 1,
                kv: Some(deleted),
                prev_kv,
            },
        ];
        let plain = || WatchResponse {
            header: header(),
            ..Default::default()
        };
        let refused = &create.key[..] == b"refused";
        let responses = if refused {
            let cancel_reason = "mvcc: watcher range is empty".into();
            vec![WatchResponse {
                created: true,
                canceled: true,
                watch_id: -1,
                cancel_reason,
                ..plain()
            }]
        } else {
            vec![
                WatchResponse {
                    created: true,
                    ..plain()
                },
                WatchResponse { events, ..plain() },
                plain(),
                WatchResponse {
                    header: cluster_header(),
                    canceled: true,
                    compact_revision: 9,
                    ..Default::default()
                },
            ]
        };
        answer(Box::pin(tokio_stream::iter(responses.into_iter().map(Ok))))
    }
}

#[tonic::async_trait]
impl Lease for Server {
    async fn lease_grant(
        &self,
        request: Request<LeaseGrantRequest>,
    ) -> Answered<LeaseGrantResponse> {
        match self.note(request).ttl {
            ttl if ttl > 9_000_000_000 => Err(refusal(ApiError::LeaseTtlTooLarge)),
            ttl => answer(LeaseGrantResponse {
                header: header(),
                id: 0x1f,
                ttl,
                error: String::new(),
            }),
        }
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Answered<LeaseRevokeResponse> {
        match self.note(request).id {
            0x404 => Err(refusal(ApiError::LeaseNotFound)),
            _ => answer(LeaseRevokeResponse { header: header() }),
        }
    }

    type LeaseKeepAliveStream = Stream1<LeaseKeepAliveResponse>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Answered<Stream1<LeaseKeepAliveResponse>> {
        // The lease is gone at the second renewal.
        let mut ttl = 2;
        let answers = request.into_inner().map(move |request| {
            let LeaseKeepAliveRequest { id } = request?;
            ttl = if id == 0x404 { 0 } else { ttl - 1 };
            Ok(LeaseKeepAliveResponse {
                header: header(),
                id,
                ttl,
            })
        });
        answer(Box::pin(answers))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Answered<LeaseTimeToLiveResponse> {
        let LeaseTimeToLiveRequest { id, keys } = self.note(request);
        let (ttl, granted_ttl) = if id == 0x404 { (-1, 0) } else { (481, 500) };
        let attached = keys && id != 0x404;
        let keys = if attached {
            vec!["foo2".into(), "foo1".into()]
        } else {
            vec![]
        };
        answer(LeaseTimeToLiveResponse {
            header: header(),
            id,
            ttl,
            granted_ttl,
            keys,
        })
    }

    async fn lease_leases(
        &self,
        request: Request<LeaseLeasesRequest>,
    ) -> Answered<LeaseLeasesResponse> {
        self.note(request);
        let leases = vec![
            LeaseStatus { id: 0x1f },
            LeaseStatus {
                id: 0x694d_5765_fc71_500b,
            },
        ];
        answer(LeaseLeasesResponse {
            header: header(),
            leases,
        })
    }
}

#[tonic::async_trait]
impl Cluster for Server {
    async fn member_list(
        &self,
        request: Request<MemberListRequest>,
    ) -> Answered<MemberListResponse> {
        self.note(request);
        answer(MemberListResponse {
            header: cluster_header(),
            members: self.members(),
        })
    }

    async fn member_add(&self, request: Request<MemberAddRequest>) -> Answered<MemberAddResponse> {
        let request = self.note(request);
        let member = Member {
            id: 0xced0_00fd_a4d0_5edf,
            peer_ur_ls: request.peer_ur_ls,
            is_learner: request.is_learner,
            ..Default::default()
        };
        let mut members = self.members();
        members.push(member.clone());
        answer(MemberAddResponse {
            header: cluster_header(),
            member: Some(member),
            members,
        })
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Answered<MemberRemoveResponse> {
        if self.note(request).id == 1 {
            return Err(refusal(ApiError::MemberNotFound));
        }
        answer(MemberRemoveResponse {
            header: cluster_header(),
            members: self.members(),
        })
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Answered<MemberUpdateResponse> {
        self.note(request);
        answer(MemberUpdateResponse {
            header: cluster_header(),
            members: self.members(),
        })
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Answered<MemberPromoteResponse> {
        if self.note(request).id == 1 {
            return Err(refusal(ApiError::LearnerNotReady));
        }
        answer(MemberPromoteResponse {
            header: cluster_header(),
            members: self.members(),
        })
    }
}

#[tonic::async_trait]
impl Maintenance for Server {
    async fn alarm(&self, request: Request<AlarmRequest>) -> Answered<AlarmResponse> {
        let request = self.note(request);
        let member_id = 13_803_658_152_347_727_308;
        let alarms = match request.action() {
            AlarmAction::Get => {
                vec![
                    AlarmMember {
                        member_id,
                        alarm: 1,
                    },
                    AlarmMember {
                        member_id: 0xab,
                        alarm: 2,
                    },
                ]
            }
            _ => vec![AlarmMember {
                member_id: request.member_id,
                alarm: request.alarm,
            }],
        };
        answer(AlarmResponse {
            header: header(),
            alarms,
        })
    }

    async fn status(&self, request: Request<StatusRequest>) -> Answered<StatusResponse> {
        self.note(request);
        answer(StatusResponse {
            header: header(),
            version: "3.7.1".into(),
            db_size: 20_480,
            leader: 10_276_657_743_932_975_437,
            raft_index: 8,
            raft_term: 2,
            raft_applied_index: 8,
            errors: vec!["memberID:171 alarm:NOSPACE".into(), "b".into()],
            db_size_in_use: 16_384,
            is_learner: false,
            storage_version: "3.7.0".into(),
            db_size_quota: 2_147_483_648,
            downgrade_info: Some(DowngradeInfo {
                enabled: true,
                target_version: "3.6.0".into(),
            }),
        })
    }

    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Answered<HashKvResponse> {
        self.note(request);
        answer(HashKvResponse {
            header: header(),
            hash: 2_064_120_424,
            compact_revision: -1,
            hash_revision: 13,
        })
    }

    async fn defragment(
        &self,
        request: Request<DefragmentRequest>,
    ) -> Answered<DefragmentResponse> {
        self.note(request);
        answer(DefragmentResponse { header: None })
    }

    async fn hash(&self, _: Request<HashRequest>) -> Answered<HashResponse> {
        Err(Status::unimplemented(""))
    }

    type SnapshotStream = Stream1<SnapshotResponse>;

    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Answered<Stream1<SnapshotResponse>> {
        Err(Status::unimplemented(""))
    }

    async fn move_leader(
        &self,
        request: Request<MoveLeaderRequest>,
    ) -> Answered<MoveLeaderResponse> {
        if self.note(request).target_id == 1 {
            return Err(refusal(ApiError::BadLeaderTransferee));
        }
        answer(MoveLeaderResponse { header: None })
    }

    async fn downgrade(&self, _: Request<DowngradeRequest>) -> Answered<DowngradeResponse> {
        Err(Status::unimplemented(""))
    }
}
