//! `/debug/vars`.

use serde_json::{Value, json};

use super::{Probe, RaftStatus};

/// The variables as a JSON object with one line for each, in order of name.
pub(crate) fn text<P: Probe>(probe: &P, file_descriptor_limit: u64) -> String {
    let command_line: Vec<String> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let variables = [
        ("cmdline", json!(command_line)),
        ("file_descriptor_limit", json!(file_descriptor_limit)),
        // Statistics of a garbage collector, which there is none of.
        ("memstats", json!({})),
        ("raft.status", raft_status(&probe.raft_status())),
    ];
    let lines = variables.map(|(name, value)| format!("\"{name}\": {value}"));
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn raft_status(status: &RaftStatus) -> Value {
    let hex = |id: u64| format!("{id:x}");
    let progress: serde_json::Map<String, Value> = status
        .progress
        .iter()
        .map(|(id, (matched, next))| {
            let value = json!({"match": matched, "next": next, "state": "StateReplicate"});
            (hex(*id), value)
        })
        .collect();
    json!({
        "id": hex(status.id),
        "term": status.term,
        "vote": hex(status.vote),
        "commit": status.commit,
        "lead": hex(status.lead),
        "raftState": status.raft_state,
        "applied": status.applied,
        "progress": progress,
        "leadtransferee": hex(status.lead_transferee),
    })
}
