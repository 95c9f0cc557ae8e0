use super::*;
use ferrod_proto::etcdserverpb::{Compare, RequestOp};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn put_op(key: &'static str) -> RequestOp {
    op(Request::RequestPut(PutRequest {
        key: key.into(),
        ..Default::default()
    }))
}

fn delete_op(key: &'static str, range_end: &'static str) -> RequestOp {
    let request = DeleteRangeRequest {
        key: key.into(),
        range_end: range_end.into(),
        prev_kv: false,
    };
    op(Request::RequestDeleteRange(request))
}

fn branches(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        compare: vec![],
        success,
        failure,
    }
}

fn nested(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
    op(Request::RequestTxn(branches(success, failure)))
}

fn check(ops: Vec<RequestOp>) -> Result<(), ApiError> {
    txn(&branches(ops, vec![]), 128)
}

const DUPLICATE: Result<(), ApiError> = Err(ApiError::DuplicateKey);

#[test]
fn a_key_is_put_once_and_not_inside_a_delete() {
    assert_eq!(check(vec![put_op("a"), put_op("b")]), Ok(()));
    assert_eq!(check(vec![put_op("a"), put_op("a")]), DUPLICATE);
    assert_eq!(check(vec![put_op("b"), delete_op("a", "c")]), DUPLICATE);
    assert_eq!(check(vec![put_op("c"), delete_op("a", "c")]), Ok(()));
    assert_eq!(check(vec![put_op("a"), delete_op("a", "")]), DUPLICATE);
    assert_eq!(
        txn(&branches(vec![put_op("a")], vec![put_op("a")]), 128),
        Ok(())
    );
}

/// The holes of the rule, which clients may rely on.
#[test]
fn what_looks_like_a_conflict_and_passes() {
    assert_eq!(
        check(vec![delete_op("a", "c"), delete_op("b", "d")]),
        Ok(())
    );
    assert_eq!(check(vec![delete_op("a", "\0"), put_op("b")]), Ok(()));
    assert_eq!(
        check(vec![nested(vec![put_op("a")], vec![put_op("a")])]),
        Ok(())
    );
    let put_then_delete = vec![
        nested(vec![put_op("a")], vec![]),
        nested(vec![delete_op("a", "")], vec![]),
    ];
    assert_eq!(check(put_then_delete), Ok(()));
}

#[test]
fn nested_branches_count() {
    assert_eq!(
        check(vec![nested(vec![put_op("a")], vec![]), put_op("a")]),
        DUPLICATE
    );
    assert_eq!(
        check(vec![nested(vec![], vec![put_op("a")]), put_op("a")]),
        DUPLICATE
    );
    assert_eq!(
        check(vec![nested(vec![delete_op("a", "")], vec![]), put_op("a")]),
        DUPLICATE
    );
    let delete_then_put = vec![
        nested(vec![delete_op("a", "")], vec![]),
        nested(vec![put_op("a")], vec![]),
    ];
    assert_eq!(check(delete_then_put), DUPLICATE);
    let siblings = vec![
        nested(vec![put_op("a")], vec![]),
        nested(vec![], vec![put_op("a")]),
    ];
    assert_eq!(check(siblings), DUPLICATE);
}

#[test]
fn the_widest_list_of_each_level_is_taken_from_the_budget() {
    let keys: Vec<String> = (0..200).map(|i| format!("{i:03}")).collect();
    let puts = |from: usize, n: usize| -> Vec<RequestOp> {
        keys[from..from + n]
            .iter()
            .map(|k| {
                op(Request::RequestPut(PutRequest {
                    key: k.clone().into(),
                    ..Default::default()
                }))
            })
            .collect()
    };
    assert_eq!(check(puts(0, 128)), Ok(()));
    assert_eq!(check(puts(0, 129)), Err(ApiError::TooManyOps));
    let compare = Compare {
        key: "a".into(),
        ..Default::default()
    };
    let wide = TxnRequest {
        compare: vec![compare; 129],
        ..Default::default()
    };
    assert_eq!(txn(&wide, 128), Err(ApiError::TooManyOps));
    let level = |outer: usize, inner: usize| {
        let mut ops = vec![nested(puts(0, inner), vec![])];
        ops.extend((1..outer).map(|_| nested(vec![], vec![])));
        check(ops)
    };
    assert_eq!(level(64, 64), Ok(()));
    assert_eq!(level(65, 64), Err(ApiError::TooManyOps));
    assert_eq!(level(65, 63), Ok(()));
}

/// covers: U-02
#[test]
fn nesting_has_an_end() {
    let mut deep = branches(vec![], vec![]);
    for _ in 0..TXN_DEPTH_MAX - 1 {
        deep = branches(vec![op(Request::RequestTxn(deep))], vec![]);
    }
    assert_eq!(txn(&deep, 128), Ok(()));
    let deeper = branches(vec![op(Request::RequestTxn(deep))], vec![]);
    assert_eq!(txn(&deeper, 128), Err(ApiError::TooManyOps));
}

#[test]
fn contents_are_checked_before_duplicates() {
    let duplicate_inside = nested(vec![put_op("a"), put_op("a")], vec![]);
    let fault_behind = vec![duplicate_inside, RequestOp { request: None }];
    assert_eq!(check(fault_behind), Err(ApiError::KeyNotFound));
    assert_eq!(
        check(vec![RequestOp { request: None }]),
        Err(ApiError::KeyNotFound)
    );
    assert_eq!(
        check(vec![put_op("a"), put_op("a"), put_op("")]),
        Err(ApiError::EmptyKey)
    );
    let bad_sort = RangeRequest {
        key: "a".into(),
        sort_order: 9,
        ..Default::default()
    };
    assert_eq!(range(&bad_sort), Err(ApiError::InvalidSortOption));
    let with_value = PutRequest {
        key: "a".into(),
        value: "v".into(),
        ignore_value: true,
        ..Default::default()
    };
    assert_eq!(put(&with_value), Err(ApiError::ValueIsProvided));
    let with_lease = PutRequest {
        key: "a".into(),
        lease: 1,
        ignore_lease: true,
        ..Default::default()
    };
    assert_eq!(put(&with_lease), Err(ApiError::LeaseIsProvided));
}

/// The rule as it is written down, without a thought for time.
mod naive {
    use super::*;

    pub(super) struct Writes {
        puts: Vec<String>,
        deletes: Vec<(String, String)>,
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    pub(super) fn branch(ops: &[RequestOp]) -> Result<Writes, ApiError> {
        let mut writes = Writes {
            puts: vec![],
            deletes: vec![],
        };
        let requests = || ops.iter().filter_map(|op| op.request.as_ref());
        for request in requests() {
            if let Request::RequestDeleteRange(r) = request {
                writes.deletes.push((text(&r.key), text(&r.range_end)));
            }
        }
        for request in requests() {
            if let Request::RequestTxn(txn) = request {
                let (success, failure) = (branch(&txn.success)?, branch(&txn.failure)?);
                let refused = |key: &String| writes.puts.contains(key) || deleted(&writes, key);
                if success.puts.iter().chain(&failure.puts).any(refused) {
                    return Err(ApiError::DuplicateKey);
                }
                for one in [success, failure] {
                    writes.puts.extend(one.puts);
                    writes.deletes.extend(one.deletes);
                }
            }
        }
        for request in requests() {
            if let Request::RequestPut(put) = request {
                let key = text(&put.key);
                if writes.puts.contains(&key) || deleted(&writes, &key) {
                    return Err(ApiError::DuplicateKey);
                }
                writes.puts.push(key);
            }
        }
        Ok(writes)
    }

    fn deleted(writes: &Writes, key: &str) -> bool {
        writes.deletes.iter().any(|(low, high)| {
            if high.is_empty() {
                low == key
            } else {
                low.as_str() <= key && key < high.as_str()
            }
        })
    }
}

const KEYS: [&str; 8] = ["a", "b", "bb", "c", "d", "e", "f", "g"];
const ENDS: [&str; 8] = ["", "\0", "b", "bb", "c", "d", "f", "g"];

fn random_ops(rng: &mut SmallRng, depth: u32) -> Vec<RequestOp> {
    let len = rng.random_range(0..4);
    let one = |_| match rng.random_range(0..4) {
        0 if depth > 0 => nested(random_ops(rng, depth - 1), random_ops(rng, depth - 1)),
        1 | 2 => delete_op(KEYS[rng.random_range(0..8)], ENDS[rng.random_range(0..8)]),
        _ => put_op(KEYS[rng.random_range(0..8)]),
    };
    (0..len).map(one).collect()
}

#[test]
fn duplicates_are_found_as_by_the_naive_rule() {
    let mut rng = SmallRng::seed_from_u64(5);
    let mut refused = 0;
    for round in 0..20_000 {
        let txn_request = branches(random_ops(&mut rng, 3), random_ops(&mut rng, 3));
        let expected = naive::branch(&txn_request.success)
            .and_then(|_| naive::branch(&txn_request.failure))
            .map(|_| ());
        assert_eq!(
            txn(&txn_request, 128),
            expected,
            "round {round}: {txn_request:?}"
        );
        refused += u32::from(expected.is_err());
    }
    assert!(
        (2_000..18_000).contains(&refused),
        "{refused} refused tell little"
    );
}
