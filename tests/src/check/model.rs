//! What a request must be answered, and what it must change, in the state at a revision.

use std::collections::BTreeMap;

use bytes::Bytes;
use ferrod_proto::etcdserverpb::compare::{CompareResult, TargetUnion};
use ferrod_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, Compare, DeleteRangeRequest, DeleteRangeResponse,
    LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
    request_op, response_op,
};
use ferrod_proto::mvccpb::KeyValue;

use super::timeline::contains;
use super::{Change, Timeline};

/// A request that the judges understand. Ranges have no filters and no sort order.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "named after the requests")]
pub enum Request {
    Range(RangeRequest),
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(TxnRequest),
    Compaction(CompactionRequest),
    LeaseGrant(LeaseGrantRequest),
    LeaseRevoke(LeaseRevokeRequest),
}

/// The answer to a [`Request`]. Of headers, only the outermost revision counts.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "named after the requests")]
pub enum Response {
    Range(RangeResponse),
    Put(PutResponse),
    DeleteRange(DeleteRangeResponse),
    Txn(TxnResponse),
    Compaction(CompactionResponse),
    LeaseGrant(LeaseGrantResponse),
    LeaseRevoke(LeaseRevokeResponse),
}

impl Response {
    fn header(&mut self) -> &mut Option<ResponseHeader> {
        match self {
            Response::Range(r) => &mut r.header,
            Response::Put(r) => &mut r.header,
            Response::DeleteRange(r) => &mut r.header,
            Response::Txn(r) => &mut r.header,
            Response::Compaction(r) => &mut r.header,
            Response::LeaseGrant(r) => &mut r.header,
            Response::LeaseRevoke(r) => &mut r.header,
        }
    }

    /// The revision in the header, and the response without any header.
    #[must_use]
    pub fn split(mut self) -> (i64, Response) {
        let revision = self.header().take().map_or(0, |header| header.revision);
        if let Response::Txn(txn) = &mut self {
            strip(txn);
        }
        (revision, self)
    }
}

fn strip(txn: &mut TxnResponse) {
    txn.header = None;
    for op in &mut txn.responses {
        match &mut op.response {
            Some(response_op::Response::ResponseRange(r)) => r.header = None,
            Some(response_op::Response::ResponsePut(r)) => r.header = None,
            Some(response_op::Response::ResponseDeleteRange(r)) => r.header = None,
            Some(response_op::Response::ResponseTxn(r)) => strip(r),
            None => {}
        }
    }
}

/// Carries a request out in the state at revision `at`: the answer without headers, and the changes, which make
/// revision `at + 1` unless there are none.
#[must_use]
pub fn execute(timeline: &Timeline, at: i64, request: &Request) -> (Response, Vec<Change>) {
    let mut step = Step {
        timeline,
        at,
        now: BTreeMap::new(),
        changes: Vec::new(),
    };
    let response = match request {
        Request::Range(r) => Response::Range(step.range(r)),
        Request::Put(r) => Response::Put(step.put(r)),
        Request::DeleteRange(r) => Response::DeleteRange(step.delete_range(r)),
        Request::Txn(r) => Response::Txn(step.txn(r)),
        Request::Compaction(_) => Response::Compaction(CompactionResponse::default()),
        Request::LeaseGrant(r) => Response::LeaseGrant(LeaseGrantResponse {
            id: r.id,
            ttl: r.ttl,
            ..LeaseGrantResponse::default()
        }),
        Request::LeaseRevoke(r) => {
            step.delete(|kv| kv.lease == r.id);
            Response::LeaseRevoke(LeaseRevokeResponse::default())
        }
    };
    (response, step.changes)
}

/// A request under way.
struct Step<'t> {
    timeline: &'t Timeline,
    at: i64,
    /// What differs from the state at `at`.
    now: BTreeMap<Bytes, Option<KeyValue>>,
    changes: Vec<Change>,
}

impl Step<'_> {
    fn get(&self, key: &[u8]) -> Option<KeyValue> {
        match self.now.get(key) {
            Some(row) => row.clone(),
            None => self.timeline.get(key, self.at).cloned(),
        }
    }

    /// All rows as they are so far, that a test lets through, in key order.
    fn rows(&self, low: &[u8], range_end: &[u8]) -> Vec<KeyValue> {
        let mut rows: BTreeMap<Bytes, KeyValue> = self
            .timeline
            .range(low, range_end, self.at)
            .map(|kv| (kv.key.clone(), kv.clone()))
            .collect();
        for (key, row) in &self.now {
            match row {
                Some(row) if contains(key, low, range_end) => {
                    rows.insert(key.clone(), row.clone());
                }
                _ => {
                    rows.remove(key);
                }
            }
        }
        rows.into_values().collect()
    }

    fn set(&mut self, key: &Bytes, row: Option<KeyValue>) {
        self.now.insert(key.clone(), row.clone());
        self.changes.push(Change {
            key: key.clone(),
            row,
        });
    }

    fn put(&mut self, request: &PutRequest) -> PutResponse {
        let old = self.get(&request.key);
        let next = self.at + 1;
        let (create_revision, version) = old
            .as_ref()
            .map_or((next, 1), |old| (old.create_revision, old.version + 1));
        let row = KeyValue {
            key: request.key.clone(),
            create_revision,
            mod_revision: next,
            version,
            value: request.value.clone(),
            lease: request.lease,
        };
        self.set(&request.key, Some(row));
        PutResponse {
            header: None,
            prev_kv: old.filter(|_| request.prev_kv),
        }
    }

    fn delete(&mut self, is_meant: impl Fn(&KeyValue) -> bool) -> Vec<KeyValue> {
        let mut rows = self.rows(b"", b"\0");
        rows.retain(is_meant);
        for row in &rows {
            self.set(&row.key, None);
        }
        rows
    }

    fn delete_range(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let rows = self.delete(|kv| contains(&kv.key, &request.key, &request.range_end));
        DeleteRangeResponse {
            header: None,
            deleted: rows.len() as i64,
            prev_kvs: if request.prev_kv { rows } else { Vec::new() },
        }
    }

    fn range(&self, request: &RangeRequest) -> RangeResponse {
        let mut kvs = if request.revision > 0 && request.revision <= self.at {
            self.timeline
                .range(&request.key, &request.range_end, request.revision)
                .cloned()
                .collect()
        } else {
            self.rows(&request.key, &request.range_end)
        };
        let count = kvs.len() as i64;
        if request.count_only {
            kvs.clear();
        }
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        if request.keys_only {
            for kv in &mut kvs {
                kv.value.clear();
                kv.lease = 0;
            }
        }
        RangeResponse {
            header: None,
            kvs,
            more,
            count,
        }
    }

    fn txn(&mut self, request: &TxnRequest) -> TxnResponse {
        let succeeded = request.compare.iter().all(|compare| self.holds(compare));
        let ops = if succeeded {
            &request.success
        } else {
            &request.failure
        };
        let responses = ops
            .iter()
            .map(|op| ResponseOp {
                response: op.request.as_ref().map(|op| self.op(op)),
            })
            .collect();
        TxnResponse {
            header: None,
            succeeded,
            responses,
        }
    }

    fn op(&mut self, op: &request_op::Request) -> response_op::Response {
        use request_op::Request as Op;
        use response_op::Response as Answer;
        match op {
            Op::RequestRange(r) => Answer::ResponseRange(self.range(r)),
            Op::RequestPut(r) => Answer::ResponsePut(self.put(r)),
            Op::RequestDeleteRange(r) => Answer::ResponseDeleteRange(self.delete_range(r)),
            Op::RequestTxn(r) => Answer::ResponseTxn(self.txn(r)),
        }
    }

    /// A comparison with a missing key: its numbers are zero, its value equals nothing. All comparisons of a request,
    /// nested ones too, are made in the state before it.
    fn holds(&self, compare: &Compare) -> bool {
        let row = self.timeline.get(&compare.key, self.at);
        let kv = row.cloned().unwrap_or_default();
        let order = match &compare.target_union {
            Some(TargetUnion::Version(v)) => kv.version.cmp(v),
            Some(TargetUnion::CreateRevision(v)) => kv.create_revision.cmp(v),
            Some(TargetUnion::ModRevision(v)) => kv.mod_revision.cmp(v),
            Some(TargetUnion::Lease(v)) => kv.lease.cmp(v),
            Some(TargetUnion::Value(v)) if row.is_some() => kv.value.cmp(v),
            Some(TargetUnion::Value(_)) | None => return false,
        };
        match compare.result() {
            CompareResult::Equal => order.is_eq(),
            CompareResult::NotEqual => order.is_ne(),
            CompareResult::Greater => order.is_gt(),
            CompareResult::Less => order.is_lt(),
        }
    }
}
