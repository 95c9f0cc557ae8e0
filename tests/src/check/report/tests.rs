use super::*;
use crate::check::{Change, execute};
use ferrod_proto::etcdserverpb::ResponseHeader;

fn row(key: &str, value: &str, revision: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        ..KeyValue::default()
    }
}

fn put_request(key: &str, value: &str) -> PutRequest {
    PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..PutRequest::default()
    }
}

fn done(client: u64, called: u64, request: Request, outcome: Outcome) -> Operation {
    Operation {
        client,
        request,
        called,
        returned: called + 5,
        outcome,
    }
}

/// What the model answers at the end of a revision, with a header.
fn answered(timeline: &Timeline, at: i64, revision: i64, request: &Request) -> Outcome {
    let (mut response, _) = execute(timeline, at, request);
    let header = Some(ResponseHeader {
        revision,
        ..ResponseHeader::default()
    });
    match &mut response {
        Response::Range(r) => r.header = header,
        Response::Put(r) => r.header = header,
        Response::DeleteRange(r) => r.header = header,
        Response::Txn(r) => r.header = header,
        other => panic!("{other:?}"),
    }
    Outcome::Answered(response)
}

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn a_history_has_the_layout_that_etcds_judges_load() {
    let mut timeline = Timeline::default();
    let change = |key: &str, row| Change {
        key: key.to_owned().into(),
        row,
    };
    timeline
        .push(2, vec![change("ka", Some(row("ka", "1", 2)))])
        .unwrap();
    timeline.push(3, vec![change("ka", None)]).unwrap();

    let read = Request::Range(RangeRequest {
        key: "k".into(),
        range_end: "l".into(),
        ..RangeRequest::default()
    });
    let stale = Request::Range(RangeRequest {
        key: "k".into(),
        serializable: true,
        ..RangeRequest::default()
    });
    let write = Request::Put(put_request("ka", "1"));
    let lost = Request::Put(put_request("kb", "a value of twenty-one"));
    let delete = Request::DeleteRange(DeleteRangeRequest {
        key: "ka".into(),
        ..DeleteRangeRequest::default()
    });
    let swap = Request::Txn(TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Greater.into(),
            target: CompareTarget::Version.into(),
            key: "ka".into(),
            target_union: Some(TargetUnion::Version(0)),
            ..Compare::default()
        }],
        success: vec![RequestOp {
            request: Some(request_op::Request::RequestPut(put_request("ka", "2"))),
        }],
        failure: vec![RequestOp {
            request: Some(request_op::Request::RequestRange(RangeRequest {
                key: "ka".into(),
                ..RangeRequest::default()
            })),
        }],
    });
    let operations = [
        done(0, 10, read.clone(), answered(&timeline, 1, 1, &read)),
        done(0, 20, write.clone(), answered(&timeline, 1, 2, &write)),
        done(0, 30, stale.clone(), answered(&timeline, 2, 2, &stale)),
        done(1, 12, lost, Outcome::Unknown),
        done(1, 40, delete.clone(), answered(&timeline, 2, 3, &delete)),
        done(1, 50, swap.clone(), answered(&timeline, 3, 3, &swap)),
    ];
    let watcher = Subscription {
        key: "k".into(),
        range_end: "l".into(),
        prev_kv: true,
        heard: vec![
            Heard::Created {
                start: 1,
                revision: 1,
            },
            Heard::Events {
                revision: 3,
                events: vec![
                    Event {
                        kv: Some(row("ka", "1", 2)),
                        ..Event::default()
                    },
                    Event {
                        r#type: EventType::Delete.into(),
                        kv: Some(KeyValue {
                            key: "ka".into(),
                            mod_revision: 3,
                            ..KeyValue::default()
                        }),
                        prev_kv: Some(row("ka", "1", 2)),
                    },
                ],
            },
            Heard::Progress(3),
            Heard::Disconnected,
        ],
        ..Subscription::default()
    };
    let folder = tempfile::tempdir().unwrap();
    write_report(folder.path(), &operations, &[watcher], &timeline);

    let first = lines(folder.path(), "client-1/operations.json");
    let put_ka = json!({
        "Type": "put-operation",
        "Put": { "Key": "ka", "Value": { "Value": "1" }, "LeaseID": 0 },
    });
    let range = json!({ "Start": "k", "End": "l", "Limit": 0, "KeysOnly": false, "Revision": 0 });
    assert_eq!(
        first,
        [
            json!({
                "ClientID": 0,
                "Input": { "Type": "range", "Range": range },
                "Call": 10,
                "Output": { "Range": { "KVs": [], "Count": 0 }, "Revision": 1 },
                "Return": 15,
            }),
            json!({
                "ClientID": 0,
                "Input": { "Type": "txn", "Txn": { "OperationsOnSuccess": [put_ka] } },
                "Call": 20,
                "Output": { "Txn": { "Failure": false, "Results": [{}] }, "Revision": 2 },
                "Return": 25,
            }),
        ],
        "a stale read is left out"
    );
    let second = lines(folder.path(), "client-2/operations.json");
    assert_eq!(
        second[0]["Output"],
        json!({ "Error": "nobody knows how it ended" })
    );
    assert_eq!(
        second[0]["Input"]["Txn"]["OperationsOnSuccess"][0]["Put"]["Value"],
        // By Go's hash/fnv.
        json!({ "Hash": 1_181_656_354_u32 })
    );
    assert_eq!(
        (&second[0]["ClientID"], &second[1]["ClientID"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        second[1]["Output"]["Txn"]["Results"],
        json!([{ "Deleted": 1 }])
    );
    let swap = &second[2];
    assert_eq!(swap["Input"]["Txn"]["Conditions"], json!([{ "Key": "ka" }]));
    assert_eq!(
        swap["Input"]["Txn"]["OperationsOnSuccess"][0]["Type"],
        "range-operation"
    );
    assert_eq!(swap["Output"]["Txn"]["Failure"], false, "it is not there");

    let watch = lines(folder.path(), "client-3/watch.json");
    let before = json!({ "Value": { "Value": "1" }, "ModRevision": 2, "Version": 1 });
    assert_eq!(
        watch,
        [json!({
            "Request": { "Key": "k", "Revision": 1, "WithPrefix": true, "WithPrevKV": true },
            "Responses": [
                {
                    "Events": [
                        {
                            "Type": "put-operation", "Key": "ka", "Value": { "Value": "1" },
                            "Revision": 2, "IsCreate": true,
                        },
                        {
                            "Type": "delete-operation", "Key": "ka", "Revision": 3,
                            "IsCreate": false, "PrevValue": before,
                        },
                    ],
                    "Revision": 3,
                },
                { "IsProgressNotify": true, "Revision": 3 },
            ],
        })]
    );
    let persisted = lines(folder.path(), "persisted.json");
    assert_eq!(persisted.len(), 2);
    assert_eq!(
        persisted[1]["Txn"]["OperationsOnSuccess"],
        json!([{ "Type": "delete-operation", "Delete": { "Key": "ka" } }])
    );
}

fn write_report(
    folder: &Path,
    operations: &[Operation],
    subscriptions: &[Subscription],
    timeline: &Timeline,
) {
    super::write(folder, operations, subscriptions, timeline).unwrap();
}

#[test]
fn what_cannot_be_told_is_an_error_if_it_may_have_changed_something() {
    let several = Request::DeleteRange(DeleteRangeRequest {
        key: "k".into(),
        range_end: "l".into(),
        ..DeleteRangeRequest::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let operations = [done(0, 1, several, Outcome::Unknown)];
    assert!(super::write(folder.path(), &operations, &[], &Timeline::default()).is_err());
}
