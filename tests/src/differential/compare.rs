//! Equality of two answers, as far as the API defines them.

use ferrod_proto::etcdserverpb::range_request::SortTarget;
use ferrod_proto::etcdserverpb::{
    RangeRequest, RangeResponse, TxnRequest, TxnResponse, request_op::Request,
    response_op::Response,
};
use ferrod_proto::mvccpb::KeyValue;

use super::answer::Answer;
use super::op::Op;

/// Whether both answers to `op` are the same.
///
/// Only one thing is left open by the API: the order of keys that sort alike.
pub(crate) fn same(op: &Op, reference: &Answer, subject: &Answer) -> bool {
    match (op, reference, subject) {
        (Op::Range(r) | Op::RangeStream(r), Answer::Range(a), Answer::Range(b)) => {
            same_range(r, a, b)
        }
        (Op::Txn(r), Answer::Txn(a), Answer::Txn(b)) => same_txn(r, a, b),
        (_, a, b) => a == b && *b != Answer::Silence,
    }
}

fn same_txn(request: &TxnRequest, a: &TxnResponse, b: &TxnResponse) -> bool {
    let branch = if a.succeeded {
        &request.success
    } else {
        &request.failure
    };
    let outside = a.header == b.header
        && a.succeeded == b.succeeded
        && a.responses.len() == b.responses.len()
        && a.responses.len() == branch.len();
    let pairs = a.responses.iter().zip(&b.responses);
    outside
        && branch.iter().zip(pairs).all(|(op, (a, b))| {
            match (&op.request, &a.response, &b.response) {
                (
                    Some(Request::RequestRange(r)),
                    Some(Response::ResponseRange(a)),
                    Some(Response::ResponseRange(b)),
                ) => same_range(r, a, b),
                (
                    Some(Request::RequestTxn(r)),
                    Some(Response::ResponseTxn(a)),
                    Some(Response::ResponseTxn(b)),
                ) => same_txn(r, a, b),
                (_, a, b) => a == b,
            }
        })
}

fn same_range(request: &RangeRequest, a: &RangeResponse, b: &RangeResponse) -> bool {
    if a == b {
        return true;
    }
    let outside = a.header == b.header
        && a.count == b.count
        && a.more == b.more
        && a.kvs.len() == b.kvs.len();
    let target = request.sort_target();
    if !outside || target == SortTarget::Key {
        return false;
    }
    // Both must be sorted alike, and hold the same keys in each group of equals but the one that the limit has cut.
    let equals = |x: &KeyValue, y: &KeyValue| match target {
        // The value that was sorted by is not in the answer.
        SortTarget::Value if request.keys_only => true,
        SortTarget::Value => x.value == y.value,
        SortTarget::Version => x.version == y.version,
        SortTarget::Create => x.create_revision == y.create_revision,
        SortTarget::Mod => x.mod_revision == y.mod_revision,
        SortTarget::Key => x.key == y.key,
    };
    let aligned = a.kvs.iter().zip(&b.kvs).all(|(x, y)| equals(x, y));
    let mut groups = a
        .kvs
        .chunk_by(equals)
        .zip(b.kvs.chunk_by(equals))
        .peekable();
    let mut same = aligned;
    while let Some((x, y)) = groups.next() {
        let cut = groups.peek().is_none() && a.more;
        same &= cut || sorted(x) == sorted(y);
    }
    same
}

fn sorted(kvs: &[KeyValue]) -> Vec<&KeyValue> {
    let mut kvs: Vec<&KeyValue> = kvs.iter().collect();
    kvs.sort_by(|x, y| x.key.cmp(&y.key));
    kvs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, version: i64) -> KeyValue {
        KeyValue {
            key: key.to_owned().into(),
            version,
            ..Default::default()
        }
    }

    fn answer(kvs: &[(&str, i64)], more: bool) -> RangeResponse {
        RangeResponse {
            kvs: kvs.iter().map(|(k, v)| kv(k, *v)).collect(),
            more,
            ..Default::default()
        }
    }

    #[test]
    fn keys_that_sort_alike_may_come_in_any_order() {
        let request = RangeRequest {
            sort_target: SortTarget::Version as i32,
            ..Default::default()
        };
        let a = answer(&[("a", 1), ("b", 1), ("c", 2)], false);
        assert!(same_range(
            &request,
            &a,
            &answer(&[("b", 1), ("a", 1), ("c", 2)], false)
        ));
        assert!(!same_range(
            &request,
            &a,
            &answer(&[("a", 1), ("c", 2), ("b", 1)], false)
        ));
        assert!(!same_range(
            &request,
            &a,
            &answer(&[("a", 1), ("d", 1), ("c", 2)], false)
        ));
        assert!(!same_range(
            &RangeRequest::default(),
            &a,
            &answer(&[("b", 1), ("a", 1), ("c", 2)], false)
        ));
    }

    #[test]
    fn the_group_that_a_limit_cuts_may_hold_other_keys() {
        let request = RangeRequest {
            sort_target: SortTarget::Mod as i32,
            limit: 2,
            ..Default::default()
        };
        let (a, b) = (
            answer(&[("a", 0), ("b", 0)], true),
            answer(&[("c", 0), ("b", 0)], true),
        );
        assert!(same_range(&request, &a, &b));
    }
}
