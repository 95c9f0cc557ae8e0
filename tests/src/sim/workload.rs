//! What clients ask for.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use ferrod_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use ferrod_proto::etcdserverpb::internal_raft_request::Request as LogRequest;
use ferrod_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, InternalRaftRequest, LeaseGrantRequest,
    LeaseRevokeRequest, PutRequest, RangeRequest, RequestHeader, RequestOp, TxnRequest, request_op,
};
use prost::Message;

use super::plan::Plan;
use crate::check::Request;

/// One thing that a client asks of a member.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Do(Request),
    KeepAlive(i64),
}

impl Ask {
    /// The lease whose end is asked for.
    pub(super) fn revoked_lease(&self) -> Option<i64> {
        match self {
            Ask::Do(Request::LeaseRevoke(revoke)) => Some(revoke.id),
            _ => None,
        }
    }
}

/// One client, with one call at a time.
pub(super) struct Client {
    number: usize,
    /// The member that it talks to until that disappoints it.
    pub(super) host: Option<u64>,
    count: u64,
    /// Only clients of this kind have leases.
    holds_leases: bool,
    lease: Option<Lease>,
    keys: u64,
    /// The highest revision it has heard of, roughly.
    pub(super) revision: i64,
}

/// A lease that a client keeps alive for a while, and then ends or forgets.
struct Lease {
    id: i64,
    granted: bool,
    /// Between two renewals: some clients are eager, some let nearly all of the time go by.
    renew_every: Duration,
    renew_at: Duration,
    renew_until: Duration,
    /// Whether the client revokes it in the end.
    is_revoked: bool,
}

impl Client {
    pub(super) fn new(number: usize, plan: &Plan, rng: &mut Rng) -> Client {
        Client {
            number,
            host: None,
            count: 0,
            holds_leases: rng.u8(0..3) == 0,
            lease: None,
            keys: plan.keys,
            revision: 1,
        }
    }

    /// What it asks next.
    pub(super) fn next(&mut self, now: Duration, rng: &mut Rng) -> Ask {
        self.count += 1;
        if self.holds_leases && rng.u8(0..2) == 0 {
            return self.next_of_lease(now, rng);
        }
        Ask::Do(match rng.u8(0..100) {
            0..35 => Request::Put(self.put(rng)),
            35..43 => Request::DeleteRange(self.delete(rng)),
            43..60 => Request::Txn(self.txn(rng, true)),
            60..75 => Request::Range(self.range(rng, false)),
            75..85 => Request::Range(self.range(rng, true)),
            85..93 => Request::Range(self.past(rng)),
            93..97 => Request::Compaction(CompactionRequest {
                revision: (self.revision - rng.i64(0..30)).max(1),
                physical: false,
            }),
            _ => Request::Range(RangeRequest {
                count_only: true,
                ..self.range(rng, false)
            }),
        })
    }

    fn next_of_lease(&mut self, now: Duration, rng: &mut Rng) -> Ask {
        match &self.lease {
            Some(lease) if lease.granted && now < lease.renew_until => {
                if now >= lease.renew_at && rng.u8(0..4) > 0 {
                    Ask::KeepAlive(lease.id)
                } else {
                    Ask::Do(Request::Put(self.put(rng)))
                }
            }
            Some(lease) if lease.granted && lease.is_revoked => {
                Ask::Do(Request::LeaseRevoke(LeaseRevokeRequest { id: lease.id }))
            }
            _ => self.grant(now, rng),
        }
    }

    fn grant(&mut self, now: Duration, rng: &mut Rng) -> Ask {
        let id = (self.number as i64 + 1) << 32 | self.count as i64;
        let ttl = rng.i64(1..9);
        let renew_every = Duration::from_millis(rng.u64(0..1_000 * ttl.unsigned_abs()));
        self.lease = Some(Lease {
            id,
            granted: false,
            renew_every,
            renew_at: now + renew_every,
            renew_until: now + Duration::from_millis(rng.u64(1..20_000)),
            is_revoked: rng.u8(0..3) == 0,
        });
        Ask::Do(Request::LeaseGrant(LeaseGrantRequest { id, ttl }))
    }

    /// The outcome of a call.
    pub(super) fn concluded(&mut self, ask: &Ask, succeeded: bool, now: Duration) {
        if !succeeded {
            self.host = None;
        }
        if let (Some(lease), Ask::Do(Request::LeaseGrant(_))) = (&mut self.lease, ask) {
            lease.granted = succeeded;
            if !succeeded {
                lease.renew_until = now;
            }
        }
        if let (Some(lease), Ask::KeepAlive(_)) = (&mut self.lease, ask)
            && succeeded
        {
            lease.renew_at = now + lease.renew_every;
        }
        if let (Some(_), Ask::Do(Request::LeaseRevoke(_))) = (&self.lease, ask) {
            self.lease = None;
        }
    }

    fn key(&self, rng: &mut Rng) -> Bytes {
        format!("k{:02}", rng.u64(0..self.keys)).into()
    }

    /// A value that nobody else writes.
    fn value(&mut self, rng: &mut Rng) -> Bytes {
        self.count += 1;
        let padding = "x".repeat(rng.usize(0..40));
        format!("{}.{}{padding}", self.number, self.count).into()
    }

    fn put(&mut self, rng: &mut Rng) -> PutRequest {
        let lease = self.lease.as_ref().filter(|lease| lease.granted);
        PutRequest {
            key: self.key(rng),
            lease: lease.map_or(0, |lease| lease.id),
            value: self.value(rng),
            prev_kv: rng.bool(),
            ..PutRequest::default()
        }
    }

    fn delete(&mut self, rng: &mut Rng) -> DeleteRangeRequest {
        let range_end = if rng.u8(0..4) == 0 {
            self.key(rng)
        } else {
            Bytes::new()
        };
        DeleteRangeRequest {
            key: self.key(rng),
            range_end,
            prev_kv: rng.bool(),
        }
    }

    fn range(&mut self, rng: &mut Rng, serializable: bool) -> RangeRequest {
        let (key, range_end) = match rng.u8(0..3) {
            0 => (Bytes::from_static(b"k"), Bytes::from_static(b"l")),
            1 => (self.key(rng), Bytes::from_static(b"\0")),
            _ => (self.key(rng), Bytes::new()),
        };
        RangeRequest {
            key,
            range_end,
            limit: if rng.bool() { 0 } else { rng.i64(1..5) },
            serializable,
            keys_only: rng.u8(0..5) == 0,
            ..RangeRequest::default()
        }
    }

    /// A read of the past, now and then of the future.
    fn past(&mut self, rng: &mut Rng) -> RangeRequest {
        let serializable = rng.bool();
        RangeRequest {
            revision: (self.revision - rng.i64(-3..40)).max(1),
            ..self.range(rng, serializable)
        }
    }

    fn txn(&mut self, rng: &mut Rng, may_nest: bool) -> TxnRequest {
        let compare = (0..rng.usize(0..3)).map(|_| self.compare(rng)).collect();
        TxnRequest {
            compare,
            success: self.ops(rng, may_nest),
            failure: self.ops(rng, may_nest),
        }
    }

    fn compare(&mut self, rng: &mut Rng) -> Compare {
        let (target, union) = match rng.u8(0..3) {
            0 => (CompareTarget::Version, TargetUnion::Version(rng.i64(0..3))),
            1 => (
                CompareTarget::Create,
                TargetUnion::CreateRevision(rng.i64(0..2)),
            ),
            _ => (
                CompareTarget::Mod,
                TargetUnion::ModRevision((self.revision - rng.i64(0..10)).max(0)),
            ),
        };
        let result = [
            CompareResult::Equal,
            CompareResult::NotEqual,
            CompareResult::Greater,
            CompareResult::Less,
        ][rng.usize(0..4)];
        Compare {
            key: self.key(rng),
            target: target.into(),
            result: result.into(),
            target_union: Some(union),
            ..Compare::default()
        }
    }

    /// Operations that write different keys.
    fn ops(&mut self, rng: &mut Rng, may_nest: bool) -> Vec<RequestOp> {
        let mut keys: Vec<u64> = (0..self.keys).collect();
        rng.shuffle(&mut keys);
        let mut ops = Vec::new();
        for _ in 0..rng.usize(0..4) {
            let Some(key) = keys.pop() else { break };
            let key = Bytes::from(format!("k{key:02}"));
            let request = match rng.u8(0..if may_nest { 10 } else { 9 }) {
                0..5 => request_op::Request::RequestPut(PutRequest {
                    key,
                    lease: 0,
                    ..self.put(rng)
                }),
                5..7 => request_op::Request::RequestDeleteRange(DeleteRangeRequest {
                    key,
                    range_end: Bytes::new(),
                    prev_kv: true,
                }),
                7..9 => request_op::Request::RequestRange(self.range(rng, false)),
                _ => {
                    // What it writes must not collide with what is written around it: it only reads.
                    let reads = request_op::Request::RequestRange(self.range(rng, false));
                    let reads = vec![RequestOp {
                        request: Some(reads),
                    }];
                    request_op::Request::RequestTxn(TxnRequest {
                        compare: vec![self.compare(rng)],
                        success: reads.clone(),
                        failure: reads,
                    })
                }
            };
            ops.push(RequestOp {
                request: Some(request),
            });
        }
        ops
    }
}

/// The request as the log carries it.
pub(super) fn to_log(request: &Request) -> LogRequest {
    match request.clone() {
        Request::Range(r) => LogRequest::Range(r),
        Request::Put(r) => LogRequest::Put(r),
        Request::DeleteRange(r) => LogRequest::DeleteRange(r),
        Request::Txn(r) => LogRequest::Txn(r),
        Request::Compaction(r) => LogRequest::Compaction(r),
        Request::LeaseGrant(r) => LogRequest::LeaseGrant(r),
        Request::LeaseRevoke(r) => LogRequest::LeaseRevoke(r),
    }
}

/// The payload of an entry.
pub(super) fn encode(id: u64, request: LogRequest) -> Bytes {
    let entry = InternalRaftRequest {
        header: Some(RequestHeader {
            id,
            ..RequestHeader::default()
        }),
        id: 0,
        request: Some(request),
    };
    entry.encode_to_vec().into()
}
