//! Clients of all members, which remember what they asked, what they heard, and when.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ferrod_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use ferrod_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, request_op,
};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::check::history::{Operation, Outcome, Refusal};
use crate::check::{Request, Response};
use crate::clock::now;
use crate::wire::Wire;

/// Clients of each member.
const CLIENTS_PER_MEMBER: usize = 3;

/// Keys that all clients share.
const KEYS: u64 = 24;

/// After that a client gives up on a call, not knowing what became of it.
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// A value that nobody else writes: by it a write without an answer is found again.
fn unique_value() -> Bytes {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("value{}", NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// What clients have in common.
struct Shared {
    began: Instant,
    stop: AtomicBool,
    writes: AtomicUsize,
    /// The last answered write, and the longest time between two, of all clients together.
    pace: Mutex<(Option<Instant>, Duration)>,
}

impl Shared {
    fn wrote(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = now();
        if let Some(last) = pace.0.replace(moment) {
            pace.1 = pace.1.max(moment.duration_since(last));
        }
    }

    fn nanoseconds(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }
}

/// Clients at work.
pub(super) struct Clients {
    shared: Arc<Shared>,
    /// Before all others.
    first: Operation,
    tasks: JoinSet<Vec<Operation>>,
}

impl Clients {
    /// Starts them, after one read of the empty store: etcd's judge wants to see that it is.
    pub(super) async fn start(endpoints: &[String], seed: u64) -> anyhow::Result<Clients> {
        let shared = Arc::new(Shared {
            began: now(),
            stop: AtomicBool::new(false),
            writes: AtomicUsize::new(0),
            pace: Mutex::default(),
        });
        let count = endpoints.len() * CLIENTS_PER_MEMBER;
        let first = first_read(&shared, &endpoints[0], count as u64).await?;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut tasks = JoinSet::new();
        for (number, endpoint) in endpoints.iter().cycle().take(count).enumerate() {
            let client = Client {
                number: number as u64,
                endpoint: endpoint.clone(),
                rng: rng.fork(),
                shared: shared.clone(),
                operations: Vec::new(),
            };
            tasks.spawn(client.work());
        }
        Ok(Clients {
            shared,
            first,
            tasks,
        })
    }

    /// Writes that were answered so far.
    pub(super) fn writes(&self) -> usize {
        self.shared.writes.load(Ordering::Relaxed)
    }

    /// Ends the work; gives everything that was asked, and the longest time without an answered write.
    pub(super) async fn stop(mut self) -> anyhow::Result<(Vec<Operation>, Duration)> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = vec![self.first];
        while let Some(operations) = self.tasks.join_next().await {
            all.extend(operations?);
        }
        let pace = self.shared.pace.lock();
        let longest = pace.unwrap_or_else(PoisonError::into_inner).1;
        Ok((all, longest))
    }
}

async fn first_read(shared: &Shared, endpoint: &str, client: u64) -> anyhow::Result<Operation> {
    let wire = Wire::connect(endpoint).await?;
    let request = Request::Range(all(false));
    let called = shared.nanoseconds();
    let response = call(&wire, request.clone()).await?;
    Ok(Operation {
        client,
        request,
        called,
        returned: shared.nanoseconds(),
        outcome: Outcome::Answered(response),
    })
}

struct Client {
    number: u64,
    endpoint: String,
    rng: fastrand::Rng,
    shared: Arc<Shared>,
    operations: Vec<Operation>,
}

impl Client {
    async fn work(mut self) -> Vec<Operation> {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let connecting = Wire::connect(&self.endpoint);
            if let Ok(Ok(wire)) = tokio::time::timeout(CALL_LIMIT, connecting).await {
                self.talk(&wire).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.operations
    }

    /// Calls until the connection fails.
    async fn talk(&mut self, wire: &Wire) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let request = self.request();
            let called = self.shared.nanoseconds();
            let calling = tokio::time::timeout(CALL_LIMIT, call(wire, request.clone()));
            let outcome = match calling.await {
                Ok(Ok(response)) => Outcome::Answered(response),
                Ok(Err(status)) => judge_error(&status),
                Err(_) => Outcome::Unknown,
            };
            if matches!(
                outcome,
                Outcome::Answered(Response::Put(_) | Response::Txn(_))
            ) {
                self.shared.wrote();
            }
            let failed = outcome == Outcome::Unknown;
            self.operations.push(Operation {
                client: self.number,
                request,
                called,
                returned: self.shared.nanoseconds(),
                outcome,
            });
            if failed {
                return;
            }
            // Pauses now and then, so that calls of different clients meet in many ways.
            tokio::time::sleep(Duration::from_micros(self.rng.u64(0..3000))).await;
        }
    }

    fn key(&mut self) -> Bytes {
        format!("key{:02}", self.rng.u64(0..KEYS)).into()
    }

    fn request(&mut self) -> Request {
        let key = self.key();
        match self.rng.u32(0..10) {
            0..4 => Request::Put(put(key)),
            4 => Request::DeleteRange(DeleteRangeRequest {
                key,
                ..Default::default()
            }),
            5 | 6 => Request::Txn(self.swap(key)),
            7 => Request::Range(all(true)),
            8 => Request::Range(all(false)),
            _ => Request::Range(RangeRequest {
                key,
                ..Default::default()
            }),
        }
    }

    /// Puts two keys if one exists, else reads.
    fn swap(&mut self, key: Bytes) -> TxnRequest {
        let mut other = self.key();
        if other == key {
            other = "other".into();
        }
        let op = |request| RequestOp {
            request: Some(request),
        };
        TxnRequest {
            compare: vec![Compare {
                result: CompareResult::Greater.into(),
                target: CompareTarget::Version.into(),
                key: key.clone(),
                target_union: Some(TargetUnion::Version(0)),
                ..Default::default()
            }],
            success: vec![
                op(request_op::Request::RequestPut(put(key.clone()))),
                op(request_op::Request::RequestPut(put(other))),
            ],
            failure: vec![op(request_op::Request::RequestRange(RangeRequest {
                key,
                ..Default::default()
            }))],
        }
    }
}

fn put(key: Bytes) -> PutRequest {
    PutRequest {
        key,
        value: unique_value(),
        ..Default::default()
    }
}

fn all(serializable: bool) -> RangeRequest {
    RangeRequest {
        key: "k".into(),
        range_end: "l".into(),
        serializable,
        ..Default::default()
    }
}

async fn call(wire: &Wire, request: Request) -> Result<Response, Status> {
    let mut kv = wire.kv();
    Ok(match request {
        Request::Range(r) => Response::Range(kv.range(r).await?.into_inner()),
        Request::Put(r) => Response::Put(kv.put(r).await?.into_inner()),
        Request::DeleteRange(r) => Response::DeleteRange(kv.delete_range(r).await?.into_inner()),
        Request::Txn(r) => Response::Txn(kv.txn(r).await?.into_inner()),
        _ => return Err(Status::unimplemented("not asked here")),
    })
}

/// Only what says that a request is at fault says that it was not carried out.
fn judge_error(status: &Status) -> Outcome {
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => Outcome::Refused(Refusal::Other),
        _ => Outcome::Unknown,
    }
}
