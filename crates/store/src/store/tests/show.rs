//! Answers as text.
//!
//! A key is `key=value[create mod version lease]`, a header's revision `@revision`. An answer without a header ends in
//! `@none`; one whose header is present and empty in `@0`.

use ferrod_mvcc::{ChangeKind, Changes, KeyValue as Row};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{
    AlarmMember, DeleteRangeResponse, PutResponse, RangeResponse, ResponseHeader, TxnResponse,
    response_op::Response,
};
use ferrod_proto::mvccpb::KeyValue;

use super::session::State;
use crate::{Answer, Effect, Member};

pub(super) fn answer(answer: &Result<Answer, ApiError>) -> String {
    match answer {
        Err(error) => format!("error: {}", error.text()),
        Ok(Answer::Put(response)) => put(response),
        Ok(Answer::DeleteRange(response)) => delete_range(response),
        Ok(Answer::Txn(response)) => txn(response),
        Ok(Answer::Compaction(response)) => format!("ok {}", at(&response.header)),
        Ok(Answer::LeaseGrant(r)) => format!("lease {} ttl {} {}", r.id, r.ttl, at(&r.header)),
        Ok(Answer::LeaseRevoke(response)) => format!("ok {}", at(&response.header)),
        Ok(Answer::LeaseCheckpoint(response)) => format!("ok {}", at(&response.header)),
        Ok(Answer::Alarm(r)) => format!("{} {}", list(&r.alarms, alarm), at(&r.header)),
        Ok(Answer::Stored) => "stored".into(),
    }
}

pub(super) fn txn(response: &TxnResponse) -> String {
    let branch = if response.succeeded { "then" } else { "else" };
    let responses = list(&response.responses, |op| match &op.response {
        Some(Response::ResponseRange(r)) => range(r),
        Some(Response::ResponsePut(r)) => put(r),
        Some(Response::ResponseDeleteRange(r)) => delete_range(r),
        Some(Response::ResponseTxn(r)) => txn(r),
        None => "nothing".into(),
    });
    format!("{branch} {responses} {}", at(&response.header))
}

pub(super) fn range(response: &RangeResponse) -> String {
    let more = if response.more { ", more" } else { "" };
    let mut words: Vec<String> = response.kvs.iter().map(kv).collect();
    words.push(format!(
        "count {}{more} {}",
        response.count,
        at(&response.header)
    ));
    words.join(" ")
}

fn put(response: &PutResponse) -> String {
    let previous = response.prev_kv.as_ref().map(|p| format!("was {} ", kv(p)));
    format!(
        "put {}{}",
        previous.unwrap_or_default(),
        at(&response.header)
    )
}

fn delete_range(response: &DeleteRangeResponse) -> String {
    let previous: String = response
        .prev_kvs
        .iter()
        .map(|p| format!("was {} ", kv(p)))
        .collect();
    format!(
        "deleted {} {previous}{}",
        response.deleted,
        at(&response.header)
    )
}

fn at(header: &Option<ResponseHeader>) -> String {
    let Some(header) = header else {
        return "@none".into();
    };
    // Whoever answers fills these in: they are not replicated.
    assert_eq!(
        (header.cluster_id, header.member_id, header.raft_term),
        (0, 0, 0)
    );
    format!("@{}", header.revision)
}

fn kv(kv: &KeyValue) -> String {
    let lease = match kv.lease {
        0 => String::new(),
        lease => format!(" lease {lease}"),
    };
    let (key, value) = (bytes(&kv.key), bytes(&kv.value));
    let (create, modified, version) = (kv.create_revision, kv.mod_revision, kv.version);
    format!("{key}={value}[{create} {modified} {version}{lease}]")
}

/// What happened to keys, for watchers.
pub(super) fn changes(changes: Option<&Changes>) -> String {
    let Some(changes) = changes else {
        return "none".into();
    };
    list(&changes.list, |change| {
        let row = Row::decode(&change.row).unwrap();
        let what = match change.kind {
            ChangeKind::Put => format!("put {}={}", bytes(row.key), bytes(row.value)),
            ChangeKind::Delete => format!("delete {}", bytes(row.key)),
        };
        format!("{}.{} {what}", change.revision.main, change.revision.sub)
    })
}

pub(super) fn effect(effect: Option<&Effect>) -> String {
    match effect {
        None => "none".into(),
        Some(Effect::Granted(id, ttl)) => format!("granted {} for {} s", id.0, ttl.seconds()),
        Some(Effect::Revoked(id)) => format!("revoked {}", id.0),
        Some(Effect::Checkpointed(all)) => format!(
            "checkpointed {}",
            list(all, |(id, left)| match left {
                Some(left) => format!("{}: {} s", id.0, left.seconds()),
                None => format!("{}: full time", id.0),
            })
        ),
        Some(Effect::AlarmRaised(of)) => format!("raised {}", alarm(of)),
        Some(Effect::AlarmCleared(of)) => format!("cleared {}", alarm(of)),
        Some(Effect::Cluster) => "cluster".into(),
    }
}

pub(super) fn leases(state: &State) -> String {
    let all: Vec<_> = state.leases.iter().collect();
    list(&all, |(id, lease)| {
        let left = lease
            .checkpoint()
            .map(|left| format!(" left {}", left.seconds()));
        let keys: String = lease.keys().map(|key| format!(" {}", bytes(key))).collect();
        let (ttl, left) = (lease.ttl().seconds(), left.unwrap_or_default());
        format!("{} ttl {ttl}{left}:{keys}", id.0)
    })
}

pub(super) fn cluster(state: &State) -> String {
    let members: Vec<&Member> = state.cluster.members.present.values().collect();
    let members = list(&members, |m| {
        let learner = if m.is_learner { " learner" } else { "" };
        let (peers, clients) = (m.peer_urls.join(" "), m.client_urls.join(" "));
        format!(
            "{:x} '{}'{learner} peers {peers} clients {clients}",
            m.id, m.name
        )
    });
    let removed: Vec<String> = state
        .cluster
        .members
        .removed
        .iter()
        .map(|id| format!("{id:x}"))
        .collect();
    let version = state.cluster.version.as_deref().unwrap_or("unknown");
    let alarms = list(&state.cluster.alarms.list(0), alarm);
    format!("members {members} removed {removed:?} version {version} alarms {alarms}")
}

fn alarm(alarm: &AlarmMember) -> String {
    format!("{:x} {}", alarm.member_id, alarm.alarm().as_str_name())
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    let items: Vec<String> = items.iter().map(show).collect();
    format!("[{}]", items.join("; "))
}

fn bytes(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "''".into();
    }
    bytes.escape_ascii().to_string().replace("\\x00", "\\0")
}
