//! Fixed operations that every run begins with: the checks that the specification names one by one.

use ferrod_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest,
    RequestOp, TxnRequest, WatchCreateRequest, compare::TargetUnion, request_op::Request,
};

use super::op::Op;

/// The operations, on an empty store.
pub(crate) fn ops() -> Vec<Op> {
    let mut ops = Vec::new();
    ops.extend(counters());
    ops.extend(ranges());
    ops.extend(txns());
    ops.extend(watches());
    ops.extend(leases());
    ops.extend(compactions());
    ops
}

fn put(key: &str, value: &str) -> Op {
    Op::Put(put_request(key, value))
}

fn put_request(key: &str, value: &str) -> PutRequest {
    PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..Default::default()
    }
}

fn range(key: &str, end: &str) -> RangeRequest {
    RangeRequest {
        key: key.to_owned().into(),
        range_end: end.to_owned().into(),
        ..Default::default()
    }
}

fn delete(key: &str, end: &str) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: key.to_owned().into(),
        range_end: end.to_owned().into(),
        prev_kv: true,
    }
}

fn counters() -> Vec<Op> {
    vec![
        Op::HashKv(0),
        Op::Range(range("foo", "")),
        put("foo", "bar"),
        Op::HashKv(0),
        put("foo", "bar"),
        Op::Delete(delete("foo", "")),
        put("foo", "bar"),
        Op::Range(range("foo", "")),
        Op::Delete(delete("nothing", "")),
        Op::Delete(delete("x", "a")),
        Op::HashKv(0),
        Op::Status,
        Op::Members { linearizable: true },
    ]
}

fn ranges() -> Vec<Op> {
    let all = range("a", "z");
    let mut ops: Vec<Op> = ["b", "a", "c", "d", "c"].map(|key| put(key, "v")).into();
    ops.extend([
        Op::Range(RangeRequest {
            limit: 2,
            ..all.clone()
        }),
        Op::Range(RangeRequest {
            limit: 3,
            ..all.clone()
        }),
        Op::Range(RangeRequest {
            limit: 10,
            ..all.clone()
        }),
        Op::Range(RangeRequest {
            limit: 1,
            count_only: true,
            ..all.clone()
        }),
        Op::Range(range("c", "c")),
        Op::Range(range("d", "b")),
        Op::Range(RangeRequest {
            limit: 10,
            sort_target: 2,
            ..all.clone()
        }),
        Op::Range(RangeRequest {
            limit: 1,
            sort_order: 2,
            sort_target: 3,
            ..all.clone()
        }),
        Op::Range(RangeRequest {
            limit: 2,
            sort_target: 3,
            ..all.clone()
        }),
        Op::Range(RangeRequest {
            min_mod_revision: 7,
            ..all.clone()
        }),
        Op::Range(RangeRequest {
            revision: -5,
            limit: -5,
            ..all.clone()
        }),
        Op::Range(RangeRequest {
            revision: 1_000,
            ..all.clone()
        }),
        Op::Range(range("", "")),
        Op::Range(range("\0", "\0")),
        Op::RangeStream(all.clone()),
        Op::RangeStream(RangeRequest { limit: 2, ..all }),
    ]);
    ops
}

fn txn(compare: Vec<Compare>, success: Vec<Request>, failure: Vec<Request>) -> Op {
    let ops = |requests: Vec<Request>| {
        requests
            .into_iter()
            .map(|r| RequestOp { request: Some(r) })
            .collect()
    };
    Op::Txn(TxnRequest {
        compare,
        success: ops(success),
        failure: ops(failure),
    })
}

fn compare(key: &str, end: &str, target: i32, operand: TargetUnion, result: i32) -> Compare {
    Compare {
        key: key.to_owned().into(),
        range_end: end.to_owned().into(),
        target,
        result,
        target_union: Some(operand),
    }
}

fn txns() -> Vec<Op> {
    let get = || Request::RequestRange(range("a", ""));
    let write = |key: &str| Request::RequestPut(put_request(key, "t"));
    let none = Vec::new;
    vec![
        txn(none(), vec![get()], vec![]),
        txn(
            none(),
            vec![Request::RequestDeleteRange(delete("none", ""))],
            vec![],
        ),
        txn(none(), vec![get(), write("a"), get()], vec![]),
        txn(none(), vec![write("a"), write("a")], vec![]),
        txn(
            none(),
            vec![Request::RequestDeleteRange(delete("a", "c")), write("b")],
            vec![],
        ),
        txn(
            none(),
            vec![Request::RequestDeleteRange(delete("d", "")), write("e")],
            vec![],
        ),
        txn(
            vec![compare("missing", "", 3, TargetUnion::Value("v".into()), 3)],
            vec![write("a")],
            vec![get()],
        ),
        txn(
            vec![compare("missing", "", 0, TargetUnion::Version(0), 0)],
            vec![write("n")],
            vec![get()],
        ),
        txn(
            vec![compare("a", "d", 1, TargetUnion::CreateRevision(6), 1)],
            vec![write("a")],
            vec![get()],
        ),
        txn(
            vec![compare("a", "", 0, TargetUnion::ModRevision(6), 0)],
            vec![write("a")],
            vec![get()],
        ),
        txn(
            none(),
            vec![
                write("x"),
                Request::RequestRange(RangeRequest {
                    revision: 999,
                    ..range("a", "")
                }),
            ],
            vec![],
        ),
        Op::Txn(TxnRequest {
            success: vec![RequestOp { request: None }],
            ..Default::default()
        }),
        Op::Txn(TxnRequest::default()),
        txn(
            vec![compare("", "", 0, TargetUnion::Version(0), 0)],
            vec![],
            vec![],
        ),
    ]
}

fn watches() -> Vec<Op> {
    let watch = |key: &str, end: &str, start_revision| Op::Watch {
        stream: 1,
        create: WatchCreateRequest {
            key: key.to_owned().into(),
            range_end: end.to_owned().into(),
            start_revision,
            prev_kv: true,
            ..Default::default()
        },
    };
    let pair = vec![
        Request::RequestPut(put_request("w1", "v")),
        Request::RequestPut(put_request("w2", "v")),
    ];
    vec![
        watch("x", "x", 0),
        watch("w", "x", 0),
        watch("", "", 0),
        watch("", "\0", 2),
        watch("w", "x", -3),
        txn(Vec::new(), pair, vec![]),
        Op::Delete(delete("w1", "")),
        Op::Progress { stream: 1 },
        Op::Progress { stream: 2 },
        Op::Unwatch { stream: 1, id: 0 },
        Op::Unwatch { stream: 1, id: 0 },
        put("w1", "unseen"),
    ]
}

fn leases() -> Vec<Op> {
    let with_lease = PutRequest {
        lease: 5,
        ..put_request("leased", "v")
    };
    vec![
        Op::KeepAlive(4711),
        Op::TimeToLive {
            lease: 4711,
            keys: true,
        },
        Op::Grant(LeaseGrantRequest { ttl: 7_200, id: 5 }),
        Op::Grant(LeaseGrantRequest { ttl: 7_200, id: 5 }),
        Op::Grant(LeaseGrantRequest { ttl: 7_200, id: -1 }),
        Op::Grant(LeaseGrantRequest {
            ttl: 9_000_000_001,
            id: 6,
        }),
        Op::Put(with_lease.clone()),
        Op::Put(PutRequest {
            lease: 6,
            ..with_lease
        }),
        Op::Put(PutRequest {
            ignore_lease: true,
            ..put_request("leased", "w")
        }),
        Op::Put(PutRequest {
            ignore_value: true,
            ..put_request("absent", "")
        }),
        Op::Range(RangeRequest {
            keys_only: true,
            ..range("leased", "")
        }),
        Op::TimeToLive {
            lease: 5,
            keys: true,
        },
        Op::Revoke(5),
        Op::Revoke(5),
        Op::Revoke(-1),
        Op::GrantAny(1),
        Op::Leases,
    ]
}

fn compactions() -> Vec<Op> {
    let compact = |revision| {
        Op::Compact(CompactionRequest {
            revision,
            physical: true,
        })
    };
    let old = |revision| {
        Op::Range(RangeRequest {
            revision,
            ..range("a", "z")
        })
    };
    vec![
        compact(-1),
        compact(0),
        compact(4),
        compact(4),
        compact(9_999),
        old(4),
        old(3),
        Op::HashKv(3),
        Op::HashKv(4),
        Op::HashKv(6),
        Op::HashKv(0),
        Op::HashKv(9_999),
        Op::Watch {
            stream: 3,
            create: WatchCreateRequest {
                key: "a".into(),
                start_revision: 2,
                ..Default::default()
            },
        },
        Op::Watch {
            stream: 3,
            create: WatchCreateRequest {
                key: "a".into(),
                start_revision: 5,
                ..Default::default()
            },
        },
        Op::Restart { kill: true },
        Op::HashKv(0),
        Op::HashKv(6),
        Op::Range(range("\0", "\0")),
    ]
}
