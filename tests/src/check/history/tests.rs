use super::*;
use ferrod_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, PutResponse, RangeRequest, RangeResponse,
    ResponseHeader,
};
use ferrod_proto::mvccpb::KeyValue;

/// Puts of the key `k`, one each revision, with the values `v2`, `v3`, ...
fn timeline(last: i64) -> Timeline {
    let mut timeline = Timeline::default();
    for revision in 2..=last {
        let change = Change {
            key: "k".into(),
            row: Some(row(revision)),
        };
        timeline.push(revision, vec![change]).unwrap();
    }
    timeline
}

fn row(revision: i64) -> KeyValue {
    KeyValue {
        key: "k".into(),
        create_revision: 2,
        mod_revision: revision,
        version: revision - 1,
        value: format!("v{revision}").into(),
        lease: 0,
    }
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision,
        ..ResponseHeader::default()
    })
}

fn operation(called: u64, returned: u64, request: Request, outcome: Outcome) -> Operation {
    Operation {
        client: 0,
        request,
        called,
        returned,
        outcome,
    }
}

fn put(called: u64, returned: u64, revision: i64) -> Operation {
    let answer = PutResponse {
        header: header(revision),
        prev_kv: None,
    };
    let outcome = Outcome::Answered(Response::Put(answer));
    operation(called, returned, put_request(revision), outcome)
}

fn put_request(revision: i64) -> Request {
    Request::Put(PutRequest {
        key: "k".into(),
        value: format!("v{revision}").into(),
        ..PutRequest::default()
    })
}

fn get(called: u64, returned: u64, revision: i64, seen: i64) -> Operation {
    let request = Request::Range(RangeRequest {
        key: "k".into(),
        ..RangeRequest::default()
    });
    let answer = RangeResponse {
        header: header(revision),
        kvs: vec![row(seen)],
        more: false,
        count: 1,
    };
    operation(
        called,
        returned,
        request,
        Outcome::Answered(Response::Range(answer)),
    )
}

fn promise(result: Result<Summary, Violation>) -> &'static str {
    result.unwrap_err().promise
}

/// covers: P-KV-01
#[test]
fn an_order_that_fits_is_accepted() {
    let operations = [put(0, 5, 3), put(1, 4, 2), get(6, 7, 3, 3)];
    assert_eq!(check(&timeline(3), &operations).unwrap().answered, 3);
}

/// covers: P-KV-01
#[test]
fn real_time_is_kept() {
    let swapped = [put(0, 1, 3), put(2, 3, 2)];
    assert_eq!(promise(check(&timeline(3), &swapped)), "P-KV-01");
    let stale = [put(0, 1, 2), put(2, 3, 3), get(4, 5, 2, 2)];
    assert_eq!(promise(check(&timeline(3), &stale)), "P-KV-01");
    let future = [put(0, 1, 2), put(9, 10, 3), get(4, 5, 3, 3)];
    assert_eq!(promise(check(&timeline(3), &future)), "P-KV-01");
    let overlapping = [put(0, 1, 2), put(2, 9, 3), get(4, 5, 2, 2)];
    assert!(check(&timeline(3), &overlapping).is_ok());
}

/// covers: P-KV-01, P-KV-06
#[test]
fn answers_are_what_the_model_says() {
    let wrong = [put(0, 1, 2), put(2, 3, 3), get(4, 5, 3, 2)];
    assert_eq!(promise(check(&timeline(3), &wrong)), "P-KV-01");
    let deletes_nothing = operation(
        4,
        5,
        Request::DeleteRange(DeleteRangeRequest {
            key: "none".into(),
            ..DeleteRangeRequest::default()
        }),
        Outcome::Answered(Response::DeleteRange(Default::default())),
    );
    assert_eq!(promise(check(&timeline(3), &[deletes_nothing])), "P-KV-04");
}

/// covers: P-KV-08
#[test]
fn what_nobody_heard_of_is_found_and_what_was_refused_is_not_there() {
    let unknown = |revision| operation(0, 9, put_request(revision), Outcome::Unknown);
    let summary = check(&timeline(3), &[unknown(2), unknown(3), unknown(4)]).unwrap();
    assert_eq!((summary.unknown, summary.found), (3, 2));
    let refused = operation(0, 9, put_request(3), Outcome::Refused(Refusal::Other));
    assert_eq!(
        promise(check(&timeline(3), &[unknown(2), refused])),
        "P-KV-08"
    );
    assert_eq!(promise(check(&timeline(3), &[unknown(2)])), "P-KV-08");
}

/// covers: P-KV-07, P-KV-11
#[test]
fn the_past_ends_at_a_compaction() {
    let old = |called, outcome| {
        let request = Request::Range(RangeRequest {
            key: "k".into(),
            revision: 2,
            ..RangeRequest::default()
        });
        operation(called, called + 1, request, outcome)
    };
    let compaction = operation(
        10,
        11,
        Request::Compaction(CompactionRequest {
            revision: 3,
            physical: false,
        }),
        Outcome::Answered(Response::Compaction(
            ferrod_proto::etcdserverpb::CompactionResponse { header: header(3) },
        )),
    );
    let answer = Outcome::Answered(Response::Range(RangeResponse {
        header: header(3),
        kvs: vec![row(2)],
        more: false,
        count: 1,
    }));
    let gone = Outcome::Refused(Refusal::Compacted);
    let with = |operation| vec![put(0, 1, 2), put(2, 3, 3), compaction.clone(), operation];
    assert!(check(&timeline(3), &with(old(5, answer.clone()))).is_ok());
    assert_eq!(
        promise(check(&timeline(3), &with(old(20, answer)))),
        "P-KV-11"
    );
    assert!(check(&timeline(3), &with(old(20, gone.clone()))).is_ok());
    assert_eq!(promise(check(&timeline(3), &with(old(5, gone)))), "P-KV-07");
}
