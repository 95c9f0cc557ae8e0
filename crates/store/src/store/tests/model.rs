//! The rules for keys and leases, as simply as they can be written down: every revision is kept as a whole map.

use std::collections::BTreeMap;

use bytes::Bytes;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::compare::TargetUnion;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::request_op::Request as Op;
use ferrod_proto::etcdserverpb::response_op::Response;
use ferrod_proto::etcdserverpb::{
    CompactionResponse, Compare, DeleteRangeRequest, DeleteRangeResponse, LeaseCheckpointResponse,
    LeaseGrantResponse, LeaseRevokeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use ferrod_proto::mvccpb::KeyValue;

use crate::Answer;
use crate::answer::header;

type Keys = BTreeMap<Bytes, KeyValue>;

const TTL_MAX: i64 = 9_000_000_000;

pub(super) struct Model {
    /// The keys at each revision; the last is current. None is ever forgotten.
    history: Vec<Keys>,
    compacted: i64,
    /// Those that exist.
    leases: Vec<i64>,
}

/// A request being carried out: the keys as they are so far.
struct Step {
    keys: Keys,
    /// Of the first change, whether it happens or not.
    next: i64,
    changed: bool,
}

impl Model {
    pub(super) fn new() -> Model {
        Model {
            history: vec![Keys::new(); 2],
            compacted: -1,
            leases: Vec::new(),
        }
    }

    pub(super) fn revision(&self) -> i64 {
        self.history.len() as i64 - 1
    }

    fn now(&self) -> &Keys {
        self.history.last().unwrap()
    }

    pub(super) fn apply(&mut self, request: &Request) -> Result<Answer, ApiError> {
        match request {
            Request::Put(r) => {
                self.check_put(r)?;
                Ok(Answer::Put(self.step(|_, step| step.put(r))))
            }
            Request::DeleteRange(r) => Ok(Answer::DeleteRange(
                self.step(|_, step| step.delete_range(r)),
            )),
            Request::Txn(r) => {
                self.check_txn(r)?;
                Ok(Answer::Txn(self.step(|model, step| model.run(r, step))))
            }
            Request::Compaction(r) => {
                if r.revision <= self.compacted {
                    return Err(ApiError::Compacted);
                }
                if r.revision > self.revision() {
                    return Err(ApiError::FutureRevision);
                }
                self.compacted = r.revision;
                let header = header(self.revision());
                Ok(Answer::Compaction(CompactionResponse { header }))
            }
            Request::LeaseGrant(r) => {
                if r.id == 0 {
                    return Err(ApiError::LeaseNotFound);
                }
                if r.ttl > TTL_MAX {
                    return Err(ApiError::LeaseTtlTooLarge);
                }
                if self.leases.contains(&r.id) {
                    return Err(ApiError::LeaseExists);
                }
                self.leases.push(r.id);
                Ok(Answer::LeaseGrant(LeaseGrantResponse {
                    header: header(self.revision()),
                    id: r.id,
                    ttl: r.ttl.max(0),
                    error: String::new(),
                }))
            }
            Request::LeaseRevoke(r) => {
                let before = self.leases.len();
                self.leases.retain(|id| *id != r.id);
                if self.leases.len() == before {
                    return Err(ApiError::LeaseNotFound);
                }
                self.step(|_, step| step.delete(|kv| kv.lease == r.id));
                let header = header(self.revision());
                Ok(Answer::LeaseRevoke(LeaseRevokeResponse { header }))
            }
            Request::LeaseCheckpoint(r) => {
                if r.checkpoints.iter().any(|c| c.remaining_ttl > TTL_MAX) {
                    return Err(ApiError::LeaseTtlTooLarge);
                }
                let header = header(self.revision());
                Ok(Answer::LeaseCheckpoint(LeaseCheckpointResponse { header }))
            }
            other => panic!("not modelled: {other:?}"),
        }
    }

    fn step<A>(&mut self, run: impl FnOnce(&Model, &mut Step) -> A) -> A {
        let mut step = Step {
            keys: self.now().clone(),
            next: self.revision() + 1,
            changed: false,
        };
        let answer = run(self, &mut step);
        if step.changed {
            self.history.push(step.keys);
        }
        answer
    }

    fn branch<'r>(&self, txn: &'r TxnRequest) -> (bool, &'r [RequestOp]) {
        let holds = txn.compare.iter().all(|compare| self.holds(compare));
        (holds, if holds { &txn.success } else { &txn.failure })
    }

    fn holds(&self, compare: &Compare) -> bool {
        let found: Vec<&KeyValue> = select(self.now(), &compare.key, &compare.range_end).collect();
        if found.is_empty() {
            return compare.target != 3 && holds_for(compare, &KeyValue::default());
        }
        found.into_iter().all(|kv| holds_for(compare, kv))
    }

    fn check_txn(&self, txn: &TxnRequest) -> Result<(), ApiError> {
        for op in self.branch(txn).1 {
            match &op.request {
                None => return Err(ApiError::KeyNotFound),
                Some(Op::RequestPut(put)) => self.check_put_in_txn(put)?,
                Some(Op::RequestTxn(nested)) => self.check_txn(nested)?,
                Some(Op::RequestDeleteRange(_)) => {}
                Some(Op::RequestRange(range)) => {
                    let revision = range.revision;
                    if !(0..3).contains(&range.sort_order) {
                        return Err(ApiError::InvalidSortOption);
                    }
                    if revision > self.revision() {
                        return Err(ApiError::FutureRevision);
                    }
                    if revision != 0 && revision < self.compacted {
                        return Err(ApiError::Compacted);
                    }
                }
            }
        }
        Ok(())
    }

    /// A put in a transaction looks for the key first.
    fn check_put_in_txn(&self, put: &PutRequest) -> Result<(), ApiError> {
        if (put.ignore_value || put.ignore_lease) && !self.now().contains_key(&put.key) {
            return Err(ApiError::KeyNotFound);
        }
        self.check_put(put)
    }

    fn check_put(&self, put: &PutRequest) -> Result<(), ApiError> {
        if put.lease != 0 && !self.leases.contains(&put.lease) {
            return Err(ApiError::LeaseNotFound);
        }
        if (put.ignore_value || put.ignore_lease) && !self.now().contains_key(&put.key) {
            return Err(ApiError::KeyNotFound);
        }
        Ok(())
    }

    fn run(&self, txn: &TxnRequest, step: &mut Step) -> TxnResponse {
        let (succeeded, ops) = self.branch(txn);
        let mut responses = Vec::new();
        for op in ops {
            let response = match op.request.as_ref().unwrap() {
                Op::RequestPut(put) => Response::ResponsePut(step.put(put)),
                Op::RequestDeleteRange(delete) => {
                    Response::ResponseDeleteRange(step.delete_range(delete))
                }
                Op::RequestRange(range) => Response::ResponseRange(self.range(range, step)),
                Op::RequestTxn(nested) => Response::ResponseTxn(TxnResponse {
                    header: Some(ResponseHeader::default()),
                    ..self.run(nested, step)
                }),
            };
            let response = Some(response);
            responses.push(ResponseOp { response });
        }
        TxnResponse {
            header: step.header(),
            succeeded,
            responses,
        }
    }

    fn range(&self, range: &RangeRequest, step: &Step) -> RangeResponse {
        let keys = match usize::try_from(range.revision) {
            Ok(0) | Err(_) => &step.keys,
            Ok(revision) => &self.history[revision],
        };
        let mut kvs: Vec<KeyValue> = select(keys, &range.key, &range.range_end)
            .cloned()
            .collect();
        let count = kvs.len() as i64;
        let mut more = false;
        if range.count_only {
            kvs.clear();
        } else if range.limit > 0 {
            more = count > range.limit;
            kvs.truncate(range.limit as usize);
        }
        RangeResponse {
            header: step.header(),
            kvs,
            more,
            count,
        }
    }
}

impl Step {
    fn header(&self) -> Option<ResponseHeader> {
        header(self.next - i64::from(!self.changed))
    }

    fn put(&mut self, put: &PutRequest) -> PutResponse {
        let old = self.keys.get(&put.key).cloned();
        let kept = old.clone().unwrap_or_default();
        let new = KeyValue {
            key: put.key.clone(),
            create_revision: old.as_ref().map_or(self.next, |old| old.create_revision),
            mod_revision: self.next,
            version: kept.version + 1,
            value: if put.ignore_value {
                kept.value
            } else {
                put.value.clone()
            },
            lease: if put.ignore_lease {
                kept.lease
            } else {
                put.lease
            },
        };
        self.keys.insert(put.key.clone(), new);
        self.changed = true;
        PutResponse {
            header: self.header(),
            prev_kv: old.filter(|_| put.prev_kv),
        }
    }

    fn delete_range(&mut self, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let deleted = self.delete(|kv| within(&kv.key, &delete.key, &delete.range_end));
        DeleteRangeResponse {
            header: self.header(),
            deleted: deleted.len() as i64,
            prev_kvs: if delete.prev_kv { deleted } else { Vec::new() },
        }
    }

    fn delete(&mut self, which: impl Fn(&KeyValue) -> bool) -> Vec<KeyValue> {
        let deleted: Vec<KeyValue> = self.keys.values().filter(|kv| which(kv)).cloned().collect();
        self.keys.retain(|_, kv| !which(kv));
        self.changed |= !deleted.is_empty();
        deleted
    }
}

fn holds_for(compare: &Compare, kv: &KeyValue) -> bool {
    use std::cmp::Ordering;
    let operand = compare.target_union.as_ref();
    let number = |of: i64, operand: Option<i64>| of.cmp(&operand.unwrap_or(0));
    let ordering = match compare.target {
        0 => number(
            kv.version,
            operand.and_then(|o| match o {
                TargetUnion::Version(n) => Some(*n),
                _ => None,
            }),
        ),
        1 => number(
            kv.create_revision,
            operand.and_then(|o| match o {
                TargetUnion::CreateRevision(n) => Some(*n),
                _ => None,
            }),
        ),
        2 => number(
            kv.mod_revision,
            operand.and_then(|o| match o {
                TargetUnion::ModRevision(n) => Some(*n),
                _ => None,
            }),
        ),
        3 => match operand {
            Some(TargetUnion::Value(value)) => kv.value.cmp(value),
            _ => kv.value.cmp(&Bytes::new()),
        },
        4 => number(
            kv.lease,
            operand.and_then(|o| match o {
                TargetUnion::Lease(n) => Some(*n),
                _ => None,
            }),
        ),
        _ => Ordering::Equal,
    };
    match compare.result {
        0 => ordering == Ordering::Equal,
        1 => ordering == Ordering::Greater,
        2 => ordering == Ordering::Less,
        3 => ordering != Ordering::Equal,
        _ => true,
    }
}

fn select<'k>(keys: &'k Keys, low: &'k [u8], end: &'k [u8]) -> impl Iterator<Item = &'k KeyValue> {
    keys.values().filter(move |kv| within(&kv.key, low, end))
}

fn within(key: &[u8], low: &[u8], end: &[u8]) -> bool {
    match end {
        b"" => key == low,
        b"\0" => low <= key,
        _ => low <= key && key < end,
    }
}
