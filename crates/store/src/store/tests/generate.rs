//! Random requests over few keys, few leases and near revisions, so that they meet each other.

use bytes::Bytes;
use ferrod_proto::etcdserverpb::compare::TargetUnion;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::request_op::Request as Op;
use ferrod_proto::etcdserverpb::{
    AlarmRequest, AuthEnableRequest, CompactionRequest, Compare, DeleteRangeRequest,
    LeaseCheckpoint, LeaseCheckpointRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest,
    RangeRequest, RequestOp, TxnRequest,
};
use ferrod_proto::membershippb::{ClusterMemberAttrSetRequest, ClusterVersionSetRequest};
use rand::Rng;
use rand::rngs::SmallRng;

const KEYS: [&str; 7] = ["", "\0", "a", "aa", "b", "c", "d"];
const LEASES: [i64; 6] = [0, 1, 2, -1, i64::MIN, 77];

/// A request about keys and leases: what the model knows.
pub(super) fn key_request(rng: &mut SmallRng, revision: i64) -> Request {
    match rng.random_range(0..100) {
        0..30 => Request::Put(put(rng)),
        30..40 => Request::DeleteRange(delete_range(rng)),
        40..80 => Request::Txn(txn(rng, revision, 3)),
        80..85 => Request::Compaction(CompactionRequest {
            revision: near(rng, revision),
            physical: rng.random(),
        }),
        85..93 => Request::LeaseGrant(LeaseGrantRequest {
            id: lease(rng),
            ttl: pick(rng, &[-1, 0, 5, 9_000_000_000, 9_000_000_001]),
        }),
        93..96 => Request::LeaseRevoke(LeaseRevokeRequest { id: lease(rng) }),
        _ => Request::LeaseCheckpoint(checkpoints(rng)),
    }
}

/// Any request.
pub(super) fn request(rng: &mut SmallRng, revision: i64) -> Request {
    match rng.random_range(0..100) {
        0..4 => Request::Alarm(AlarmRequest {
            // Cleared more often than raised, so that most requests get through.
            action: pick(rng, &[0, 1, 2, 2, 2, 2, 3]),
            member_id: rng.random_range(0..2),
            alarm: rng.random_range(0..4),
        }),
        4..6 => Request::ClusterVersionSet(ClusterVersionSetRequest {
            ver: format!("3.{}.0", rng.random_range(0..9)),
        }),
        6..8 => Request::ClusterMemberAttrSet(ClusterMemberAttrSetRequest {
            member_id: rng.random_range(0..2),
            member_attributes: None,
        }),
        8..9 => Request::AuthEnable(AuthEnableRequest {}),
        9..10 => Request::Range(range(rng, revision)),
        _ => key_request(rng, revision),
    }
}

pub(super) fn txn(rng: &mut SmallRng, revision: i64, depth: u32) -> TxnRequest {
    let ops = |rng: &mut SmallRng| -> Vec<RequestOp> {
        let len = rng.random_range(0..4);
        (0..len).map(|_| op(rng, revision, depth)).collect()
    };
    TxnRequest {
        success: ops(rng),
        failure: ops(rng),
        compare: (0..rng.random_range(0..3))
            .map(|_| compare(rng, revision))
            .collect(),
    }
}

fn op(rng: &mut SmallRng, revision: i64, depth: u32) -> RequestOp {
    let request = match rng.random_range(0..100) {
        0..40 => Some(Op::RequestPut(put(rng))),
        40..60 => Some(Op::RequestDeleteRange(delete_range(rng))),
        60..80 => Some(Op::RequestRange(range(rng, revision))),
        80..99 if depth > 0 => Some(Op::RequestTxn(txn(rng, revision, depth - 1))),
        99 => None,
        _ => Some(Op::RequestPut(put(rng))),
    };
    RequestOp { request }
}

fn compare(rng: &mut SmallRng, revision: i64) -> Compare {
    let (key, range_end) = key_range(rng);
    let target = rng.random_range(0..6);
    let member = if rng.random_ratio(9, 10) {
        target
    } else {
        rng.random_range(0..6)
    };
    Compare {
        result: rng.random_range(0..5),
        target,
        key,
        range_end,
        target_union: match member {
            0 => Some(TargetUnion::Version(rng.random_range(0..3))),
            1 => Some(TargetUnion::CreateRevision(near(rng, revision))),
            2 => Some(TargetUnion::ModRevision(near(rng, revision))),
            3 => Some(TargetUnion::Value(value(rng))),
            4 => Some(TargetUnion::Lease(lease(rng))),
            _ => None,
        },
    }
}

pub(super) fn put(rng: &mut SmallRng) -> PutRequest {
    let mut put = PutRequest {
        key: key(rng),
        value: value(rng),
        lease: if rng.random_ratio(1, 4) {
            lease(rng)
        } else {
            0
        },
        prev_kv: rng.random(),
        ignore_value: rng.random_ratio(1, 8),
        ignore_lease: rng.random_ratio(1, 8),
    };
    if rng.random_ratio(4, 5) {
        // What validation lets pass.
        put.value = if put.ignore_value {
            Bytes::new()
        } else {
            put.value
        };
        put.lease = if put.ignore_lease { 0 } else { put.lease };
    }
    put
}

pub(super) fn delete_range(rng: &mut SmallRng) -> DeleteRangeRequest {
    let (key, range_end) = key_range(rng);
    DeleteRangeRequest {
        key,
        range_end,
        prev_kv: rng.random(),
    }
}

pub(super) fn range(rng: &mut SmallRng, revision: i64) -> RangeRequest {
    let (key, range_end) = key_range(rng);
    RangeRequest {
        key,
        range_end,
        limit: rng.random_range(-1..3),
        revision: if rng.random() { 0 } else { near(rng, revision) },
        sort_order: if rng.random_ratio(1, 20) { 9 } else { 0 },
        count_only: rng.random_ratio(1, 4),
        ..Default::default()
    }
}

fn checkpoints(rng: &mut SmallRng) -> LeaseCheckpointRequest {
    let mut checkpoint = || LeaseCheckpoint {
        id: lease(rng),
        remaining_ttl: pick(rng, &[-1, 0, 3, 4, 5, 9_000_000_001]),
    };
    LeaseCheckpointRequest {
        checkpoints: vec![checkpoint(), checkpoint()],
    }
}

fn key_range(rng: &mut SmallRng) -> (Bytes, Bytes) {
    let end = if rng.random() { Bytes::new() } else { key(rng) };
    (key(rng), end)
}

fn key(rng: &mut SmallRng) -> Bytes {
    Bytes::from_static(pick(rng, &KEYS).as_bytes())
}

fn value(rng: &mut SmallRng) -> Bytes {
    Bytes::from_static(pick(rng, &["", "1", "2", "3"]).as_bytes())
}

fn lease(rng: &mut SmallRng) -> i64 {
    pick(rng, &LEASES)
}

/// A revision that was, is, or will be soon.
fn near(rng: &mut SmallRng, revision: i64) -> i64 {
    rng.random_range((revision - 12).max(-2)..revision + 3)
}

fn pick<T: Copy>(rng: &mut SmallRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}
