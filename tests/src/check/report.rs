//! Histories in the layout of etcd's robustness reports, so that judges that others have written can read them.
//!
//! ```text
//! client-1/operations.json    what a client asked and heard, one JSON object after the other, in order
//! client-5/watch.json         what a watcher asked and heard, one object for each connection
//! persisted.json              the changes of each revision, as requests in their order
//! ```
//!
//! The first two are as etcd's `tests/robustness/report` loads them, version 3.7; in etcd's own runs the third is read from
//! the log of a member. That layout knows fewer requests than there are. What it cannot tell is left out if nobody can miss
//! it (reads of whatever is old on a member, watches with filters), and is an error if it may have changed something.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use ferrod_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseOp,
    TxnRequest, TxnResponse, request_op, response_op,
};
use ferrod_proto::mvccpb::{Event, KeyValue, event::EventType};
use serde_json::{Value, json};

use super::history::{Operation, Outcome};
use super::watch::{Heard, Subscription};
use super::{Request, Response, Timeline};

/// Writes a report into `folder`, which must be there and empty.
///
/// # Errors
/// If it cannot be written, or holds what cannot be told in this layout.
pub fn write(
    folder: &Path,
    operations: &[Operation],
    subscriptions: &[Subscription],
    timeline: &Timeline,
) -> Result<()> {
    let clients = operations.iter().map(|operation| operation.client);
    let clients: std::collections::BTreeSet<u64> = clients.collect();
    // After a write of which nobody knows how it ended a client goes on under a new name: it may still be under way.
    let mut next_name = clients.last().map_or(0, |last| last + 1);
    for client in &clients {
        let mut name = *client;
        let mut lines = Vec::new();
        for operation in operations.iter().filter(|o| o.client == *client) {
            let Some(line) = self::operation(name, operation)? else {
                continue;
            };
            lines.push(line);
            if operation.outcome == Outcome::Unknown {
                name = next_name;
                next_name += 1;
            }
        }
        save(folder, *client, "operations.json", &lines)?;
    }
    let first = clients.last().map_or(0, |last| last + 1);
    for (client, subscription) in (first..).zip(subscriptions) {
        if !subscription.no_put && !subscription.no_delete {
            save(folder, client, "watch.json", &watches(subscription)?)?;
        }
    }
    let persisted: Vec<Value> = (2..=timeline.last())
        .map(|revision| persisted(timeline, revision))
        .collect();
    save_lines(&folder.join("persisted.json"), &persisted)
}

fn save(folder: &Path, client: u64, name: &str, lines: &[Value]) -> Result<()> {
    // Clients count from 1 there.
    let folder = folder.join(format!("client-{}", client + 1));
    std::fs::create_dir_all(&folder)?;
    save_lines(&folder.join(name), lines)
}

fn save_lines(path: &Path, lines: &[Value]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        serde_json::to_writer(&mut file, line)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

/// What was asked and heard; `None` if it is left out.
fn operation(name: u64, operation: &Operation) -> Result<Option<Value>> {
    let Some((input, inverted)) = request(&operation.request)
        .with_context(|| format!("it cannot be told: {:?}", operation.request))?
    else {
        return Ok(None);
    };
    let output = match &operation.outcome {
        Outcome::Answered(answer) => response(answer, inverted)?,
        Outcome::Unknown => json!({ "Error": "nobody knows how it ended" }),
        // It was not carried out.
        Outcome::Refused(_) => return Ok(None),
    };
    Ok(Some(json!({
        "ClientID": name,
        "Input": input,
        // Both count from the same moment, and no call takes no time.
        "Call": operation.called,
        "Output": output,
        "Return": operation.returned.max(operation.called + 1),
    })))
}

/// A request, and whether its condition is told the other way round; `None` if it is left out.
fn request(request: &Request) -> Result<Option<(Value, bool)>> {
    let told = match request {
        Request::Range(range) if range.serializable => return Ok(None),
        Request::Range(range) => {
            let mut told = self::range(range)?;
            told["Revision"] = range.revision.into();
            json!({ "Type": "range", "Range": told })
        }
        Request::Put(put) => transaction(&[self::put(put)?]),
        Request::DeleteRange(delete) => transaction(&[self::delete(delete)?]),
        Request::Txn(txn) => return txn_request(txn).map(Some),
        other => bail!("{other:?}"),
    };
    Ok(Some((told, false)))
}

fn transaction(on_success: &[Value]) -> Value {
    json!({ "Type": "txn", "Txn": { "OperationsOnSuccess": on_success } })
}

/// Conditions are there of one kind: that a key has been written at a revision, or not at all. That it *has* been
/// written is the opposite of the second, so the branches change places.
fn txn_request(txn: &TxnRequest) -> Result<(Value, bool)> {
    let ops = |ops: &[RequestOp]| ops.iter().map(op).collect::<Result<Vec<_>>>();
    let (mut success, mut failure) = (ops(&txn.success)?, ops(&txn.failure)?);
    let inverted = matches!(txn.compare.as_slice(), [compare] if exists(compare));
    let conditions = if inverted {
        std::mem::swap(&mut success, &mut failure);
        let absent = |compare: &Compare| json!({ "Key": text(&compare.key) });
        txn.compare.iter().map(absent).collect()
    } else {
        let conditions = txn.compare.iter().map(condition);
        conditions.collect::<Result<Vec<_>>>()?
    };
    let told = json!({
        "Conditions": conditions,
        "OperationsOnSuccess": success,
        "OperationsOnFailure": failure,
    });
    Ok((json!({ "Type": "txn", "Txn": told }), inverted))
}

fn exists(compare: &Compare) -> bool {
    compare.result() == CompareResult::Greater
        && compare.target() == CompareTarget::Version
        && compare.range_end.is_empty()
        && matches!(compare.target_union, Some(TargetUnion::Version(0)))
}

fn condition(compare: &Compare) -> Result<Value> {
    let equal = compare.result() == CompareResult::Equal && compare.range_end.is_empty();
    let key = text(&compare.key);
    match compare.target_union {
        Some(TargetUnion::ModRevision(revision)) if equal => {
            Ok(json!({ "Key": key, "ExpectedRevision": revision }))
        }
        Some(TargetUnion::Version(version)) if equal && version > 0 => {
            Ok(json!({ "Key": key, "ExpectedVersion": version }))
        }
        _ => bail!("a condition of another kind"),
    }
}

fn op(op: &RequestOp) -> Result<Value> {
    match &op.request {
        Some(request_op::Request::RequestRange(range)) => {
            Ok(json!({ "Type": "range-operation", "Range": self::range(range)? }))
        }
        Some(request_op::Request::RequestPut(put)) => self::put(put),
        Some(request_op::Request::RequestDeleteRange(delete)) => self::delete(delete),
        Some(request_op::Request::RequestTxn(_)) | None => bail!("a transaction inside another"),
    }
}

fn range(range: &RangeRequest) -> Result<Value> {
    let open = range.range_end.as_ref() == [0];
    ensure!(!open && !range.count_only, "a range of another kind");
    Ok(json!({
        "Start": text(&range.key),
        "End": text(&range.range_end),
        "Limit": range.limit,
        "KeysOnly": range.keys_only,
    }))
}

fn put(put: &PutRequest) -> Result<Value> {
    ensure!(
        !put.ignore_value && !put.ignore_lease,
        "a put of another kind"
    );
    let told = json!({ "Key": text(&put.key), "Value": value(&put.value), "LeaseID": put.lease });
    Ok(json!({ "Type": "put-operation", "Put": told }))
}

fn delete(delete: &DeleteRangeRequest) -> Result<Value> {
    ensure!(delete.range_end.is_empty(), "a deletion of several keys");
    let told = json!({ "Key": text(&delete.key) });
    Ok(json!({ "Type": "delete-operation", "Delete": told }))
}

fn response(response: &Response, inverted: bool) -> Result<Value> {
    let (revision, response) = response.clone().split();
    let mut told = match &response {
        Response::Range(range) => json!({ "Range": rows(range) }),
        Response::Put(_) => results(false, &[json!({})]),
        Response::DeleteRange(delete) => results(false, &[json!({ "Deleted": delete.deleted })]),
        Response::Txn(txn) => txn_response(txn, inverted)?,
        other => bail!("{other:?}"),
    };
    told["Revision"] = revision.into();
    Ok(told)
}

fn results(failure: bool, results: &[Value]) -> Value {
    json!({ "Txn": { "Failure": failure, "Results": results } })
}

fn txn_response(txn: &TxnResponse, inverted: bool) -> Result<Value> {
    let result = |op: &ResponseOp| {
        Ok(match &op.response {
            Some(response_op::Response::ResponseRange(range)) => rows(range),
            Some(response_op::Response::ResponsePut(_)) => json!({}),
            Some(response_op::Response::ResponseDeleteRange(delete)) => {
                json!({ "Deleted": delete.deleted })
            }
            Some(response_op::Response::ResponseTxn(_)) | None => {
                bail!("a transaction inside another")
            }
        })
    };
    let told: Result<Vec<_>> = txn.responses.iter().map(result).collect();
    Ok(results(txn.succeeded == inverted, &told?))
}

fn rows(range: &RangeResponse) -> Value {
    let row = |row: &KeyValue| {
        let mut told = version(row);
        told["Key"] = text(&row.key).into();
        told
    };
    let rows: Vec<Value> = range.kvs.iter().map(row).collect();
    json!({ "KVs": rows, "Count": range.count })
}

fn version(row: &KeyValue) -> Value {
    json!({
        "Value": value(&row.value),
        "ModRevision": row.mod_revision,
        "Version": row.version,
    })
}

/// One object for each connection.
fn watches(subscription: &Subscription) -> Result<Vec<Value>> {
    let key = text(&subscription.key);
    let next = key.bytes().last().map(|last| last + 1);
    let is_prefix = key.len() == 1 && next.is_some_and(|next| subscription.range_end == [next][..]);
    ensure!(is_prefix, "a watch of what is no prefix of one byte");
    let mut watches: Vec<Value> = Vec::new();
    for heard in &subscription.heard {
        let response = match heard {
            Heard::Created { start, .. } => {
                watches.push(json!({
                    "Request": {
                        "Key": key,
                        "Revision": start,
                        "WithPrefix": true,
                        "WithPrevKV": subscription.prev_kv,
                    },
                    "Responses": [],
                }));
                continue;
            }
            Heard::Events { revision, events } => {
                let events = events.iter().map(event).collect::<Result<Vec<_>>>()?;
                json!({ "Events": events, "Revision": revision })
            }
            Heard::Progress(revision) => {
                json!({ "IsProgressNotify": true, "Revision": revision })
            }
            Heard::Compacted(_) | Heard::Disconnected => continue,
        };
        let watch = watches.last_mut().context("heard before it began")?;
        let responses = watch["Responses"].as_array_mut();
        responses.context("they are a list")?.push(response);
    }
    Ok(watches)
}

fn event(event: &Event) -> Result<Value> {
    let row = event.kv.as_ref().context("an event has a key")?;
    let is_put = event.r#type() == EventType::Put;
    let mut told = json!({
        "Type": if is_put { "put-operation" } else { "delete-operation" },
        "Key": text(&row.key),
        "Revision": row.mod_revision,
        "IsCreate": is_put && row.version == 1,
    });
    if is_put {
        told["Value"] = value(&row.value);
    }
    if let Some(before) = &event.prev_kv {
        told["PrevValue"] = version(before);
    }
    Ok(told)
}

/// What a revision changed, as the request that changes just that.
fn persisted(timeline: &Timeline, revision: i64) -> Value {
    let changes = timeline.changes(revision).iter().map(|change| {
        let key = text(&change.key);
        match &change.row {
            Some(row) => {
                let put = json!({ "Key": key, "Value": value(&row.value), "LeaseID": row.lease });
                json!({ "Type": "put-operation", "Put": put })
            }
            None => json!({ "Type": "delete-operation", "Delete": { "Key": key } }),
        }
    });
    transaction(&changes.collect::<Vec<_>>())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Short values as they are, longer ones by their FNV-1a hash of 32 bits.
fn value(bytes: &[u8]) -> Value {
    if bytes.len() < 20 {
        return json!({ "Value": text(bytes) });
    }
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619);
    json!({ "Hash": bytes.iter().fold(2_166_136_261, step) })
}

#[cfg(test)]
mod tests;
