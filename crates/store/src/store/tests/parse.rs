//! Commands of the scripts.
//!
//! `a` is one key, `a..c` a span, `a..` all keys from one on, `''` no bytes. A transaction reads
//! `txn if version a = 0 , value b > x then put a 1 ; ( then delete b.. ) else range a`.

use std::iter::Peekable;
use std::str::SplitWhitespace;

use bytes::Bytes;
use ferrod_mvcc::RowRef;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::compare::{CompareTarget, TargetUnion};
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::request_op::Request as Op;
use ferrod_proto::etcdserverpb::{
    AlarmRequest, AuthEnableRequest, CompactionRequest, Compare, DeleteRangeRequest,
    LeaseCheckpoint, LeaseCheckpointRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest,
    RangeRequest, RangeResponse, RequestOp, TxnRequest,
};
use ferrod_proto::membershippb::{
    Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest,
};

use super::session::{Entry, Session};
use super::show;
use crate::answer::header;
use crate::convert::key_value;
use crate::{Error, Member, MemberChange, query, read_txn, validate};

type Words<'l> = Peekable<SplitWhitespace<'l>>;

/// The limit of a server that nobody configured.
const OPS_MAX: usize = 128;

impl Session {
    /// Carries out a command and shows what it came to.
    pub(super) fn command(&mut self, line: &str) -> String {
        let mut words = line.split_whitespace().peekable();
        let name = words.next().unwrap();
        match name {
            "range" => self.range(&range(&mut words)),
            "read" => self.read(&txn(&mut words)),
            "events" => show::changes(self.last.as_ref().and_then(|a| a.changes.as_ref())),
            "effect" => show::effect(self.last.as_ref().and_then(|a| a.effect.as_ref())),
            "leases" => show::leases(&self.state()),
            "cluster" => show::cluster(&self.state()),
            "conf" => format!("{:?}", self.store.conf_state().unwrap()),
            "flush" => {
                self.flush();
                "ok".into()
            }
            "settle" => {
                self.settle();
                "ok".into()
            }
            "restart" => {
                self.flush();
                self.crash();
                format!(
                    "applied {:?} revision {}",
                    self.store.applied(),
                    self.store.revision()
                )
            }
            "crash" => format!("replayed {} entries, same state", self.crash()),
            "add" | "promote" | "remove" | "update" => {
                let change = member_change(name, &mut words);
                self.change_members(change)
            }
            // Entries that a validating member would not have proposed.
            "raw" => self.propose(line.trim_start_matches("raw ")),
            _ => match validated(line) {
                Ok(()) => self.propose(line),
                Err(error) => format!("invalid: {}", error.text()),
            },
        }
    }

    fn propose(&mut self, line: &str) -> String {
        self.apply(Entry::request(request(line)));
        show::answer(&self.last.as_ref().unwrap().answer)
    }

    fn range(&mut self, request: &RangeRequest) -> String {
        if let Err(error) = validate::range(request) {
            return format!("invalid: {}", error.text());
        }
        let mut reader = self.store.keyspace().views().reader();
        let view = reader.view();
        let mut kvs = Vec::new();
        let mut push = |row: RowRef<'_>| kvs.push(key_value(row.encoded.to_vec()));
        match reader.range(&view, &query(request).unwrap(), &mut push) {
            Err(error) => format!("error: {error}"),
            Ok(found) => show::range(&RangeResponse {
                header: header(found.revision),
                kvs,
                more: found.more,
                count: found.count,
            }),
        }
    }

    fn read(&mut self, request: &TxnRequest) -> String {
        if let Err(error) = validate::txn(request, OPS_MAX) {
            return format!("invalid: {}", error.text());
        }
        let mut reader = self.store.keyspace().views().reader();
        match read_txn(&mut reader, request) {
            Ok(response) => show::txn(&response),
            Err(Error::Refused(error)) => format!("error: {}", error.text()),
            Err(error) => panic!("{error}"),
        }
    }
}

fn validated(line: &str) -> Result<(), ApiError> {
    match request(line) {
        Request::Put(r) => validate::put(&r),
        Request::DeleteRange(r) => validate::delete_range(&r),
        Request::Txn(r) => validate::txn(&r, OPS_MAX),
        _ => Ok(()),
    }
}

fn request(line: &str) -> Request {
    let mut words = line.split_whitespace().peekable();
    let words = &mut words;
    let request = match words.next().unwrap() {
        "put" => Request::Put(put(words)),
        "delete" => Request::DeleteRange(delete_range(words)),
        "txn" => Request::Txn(txn(words)),
        "compact" => Request::Compaction(CompactionRequest {
            revision: number(words),
            physical: false,
        }),
        "grant" => Request::LeaseGrant(LeaseGrantRequest {
            id: number(words),
            ttl: number(words),
        }),
        "revoke" => Request::LeaseRevoke(LeaseRevokeRequest { id: number(words) }),
        "checkpoint" => Request::LeaseCheckpoint(LeaseCheckpointRequest {
            checkpoints: std::iter::from_fn(|| words.peek().is_some().then(|| checkpoint(words)))
                .collect(),
        }),
        "alarm" => Request::Alarm(AlarmRequest {
            action: number(words),
            member_id: number(words),
            alarm: number(words),
        }),
        "attributes" => Request::ClusterMemberAttrSet(ClusterMemberAttrSetRequest {
            member_id: number(words),
            member_attributes: words.next().map(|name| Attributes {
                name: name.into(),
                client_urls: words.map(Into::into).collect(),
            }),
        }),
        "version" => Request::ClusterVersionSet(ClusterVersionSetRequest {
            ver: words.next().unwrap().into(),
        }),
        "auth-enable" => Request::AuthEnable(AuthEnableRequest {}),
        other => panic!("no such command: {other}"),
    };
    assert_eq!(words.next(), None, "words left: {line}");
    request
}

fn member_change(name: &str, words: &mut Words<'_>) -> MemberChange {
    let id = number(words);
    let mut urls: Vec<String> = words.map(Into::into).collect();
    let learners_max = urls.pop_if(|last| last.starts_with("max="));
    let is_learner = urls.pop_if(|last| last == "learner").is_some();
    let member = Member {
        id,
        peer_urls: urls,
        is_learner,
        ..Member::default()
    };
    match name {
        "add" => match learners_max {
            Some(max) => MemberChange::AddLearner(member, max["max=".len()..].parse().unwrap()),
            None => MemberChange::Add(member),
        },
        "promote" => MemberChange::Promote(id),
        "remove" => MemberChange::Remove(id),
        _ => MemberChange::Update(member),
    }
}

fn checkpoint(words: &mut Words<'_>) -> LeaseCheckpoint {
    LeaseCheckpoint {
        id: number(words),
        remaining_ttl: number(words),
    }
}

fn txn(words: &mut Words<'_>) -> TxnRequest {
    let mut txn = TxnRequest::default();
    if words.next_if_eq(&"if").is_some() {
        txn.compare = separated(words, ",", compare);
    }
    if words.next_if_eq(&"then").is_some() {
        txn.success = separated(words, ";", op);
    }
    if words.next_if_eq(&"else").is_some() {
        txn.failure = separated(words, ";", op);
    }
    txn
}

fn separated<T>(words: &mut Words<'_>, by: &str, one: fn(&mut Words<'_>) -> T) -> Vec<T> {
    let mut all = vec![one(words)];
    while words.next_if_eq(&by).is_some() {
        all.push(one(words));
    }
    all
}

fn op(words: &mut Words<'_>) -> RequestOp {
    let request = match words.next().unwrap() {
        "put" => Some(Op::RequestPut(put(words))),
        "delete" => Some(Op::RequestDeleteRange(delete_range(words))),
        "range" => Some(Op::RequestRange(range(words))),
        "(" => {
            let nested = txn(words);
            assert_eq!(words.next(), Some(")"));
            Some(Op::RequestTxn(nested))
        }
        "nothing" => None,
        other => panic!("no such operation: {other}"),
    };
    RequestOp { request }
}

/// Target, range, relation, operand. A number as target or relation is one that does not exist; an operand `mod:5` sits in
/// the member of another target than its own, and `none` in no member.
fn compare(words: &mut Words<'_>) -> Compare {
    let target = words.next().unwrap();
    let (key, range_end) = key_range(words.next().unwrap());
    let result = match words.next().unwrap() {
        "=" => 0,
        ">" => 1,
        "<" => 2,
        "!=" => 3,
        unknown => unknown.parse().unwrap(),
    };
    let word = words.next().unwrap();
    let (member, operand) = word.split_once(':').unwrap_or((target, word));
    let number = || operand.parse().unwrap();
    let target_union = match member {
        _ if operand == "none" => None,
        "version" => Some(TargetUnion::Version(number())),
        "create" => Some(TargetUnion::CreateRevision(number())),
        "mod" => Some(TargetUnion::ModRevision(number())),
        "lease" => Some(TargetUnion::Lease(number())),
        _ => Some(TargetUnion::Value(bytes(operand))),
    };
    let target = CompareTarget::from_str_name(&target.to_uppercase());
    Compare {
        result,
        target: target.map_or(9, |known| known as i32),
        key,
        range_end,
        target_union,
    }
}

fn put(words: &mut Words<'_>) -> PutRequest {
    let mut put = PutRequest {
        key: bytes(words.next().unwrap()),
        value: bytes(words.next().unwrap()),
        ..Default::default()
    };
    while let Some((name, value)) = option(words) {
        match name {
            "lease" => put.lease = value.parse().unwrap(),
            "prev" => put.prev_kv = true,
            "ignore_value" => put.ignore_value = true,
            "ignore_lease" => put.ignore_lease = true,
            _ => panic!("no such option: {name}"),
        }
    }
    put
}

fn delete_range(words: &mut Words<'_>) -> DeleteRangeRequest {
    let (key, range_end) = key_range(words.next().unwrap());
    let mut prev_kv = false;
    while let Some((name, _)) = option(words) {
        assert_eq!(name, "prev");
        prev_kv = true;
    }
    DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    }
}

fn range(words: &mut Words<'_>) -> RangeRequest {
    let (key, range_end) = key_range(words.next().unwrap());
    let mut range = RangeRequest {
        key,
        range_end,
        ..Default::default()
    };
    while let Some((name, value)) = option(words) {
        match name {
            "rev" => range.revision = value.parse().unwrap(),
            "limit" => range.limit = value.parse().unwrap(),
            "order" => range.sort_order = value.parse().unwrap(),
            "by" => range.sort_target = value.parse().unwrap(),
            "min_mod" => range.min_mod_revision = value.parse().unwrap(),
            "keys_only" => range.keys_only = true,
            "count_only" => range.count_only = true,
            _ => panic!("no such option: {name}"),
        }
    }
    range
}

/// The next option, unless the operation ends here.
fn option<'l>(words: &mut Words<'l>) -> Option<(&'l str, &'l str)> {
    let word = words.next_if(|word| !matches!(*word, ";" | "else" | ")"))?;
    Some(word.split_once('=').unwrap_or((word, "")))
}

fn number<N: std::str::FromStr<Err: std::fmt::Debug>>(words: &mut Words<'_>) -> N {
    words.next().unwrap().parse().unwrap()
}

fn key_range(word: &str) -> (Bytes, Bytes) {
    match word.split_once("..") {
        None => (bytes(word), Bytes::new()),
        Some((low, "")) => (bytes(low), Bytes::from_static(b"\0")),
        Some((low, high)) => (bytes(low), bytes(high)),
    }
}

fn bytes(word: &str) -> Bytes {
    if word == "''" {
        Bytes::new()
    } else {
        word.replace("\\0", "\0").into_bytes().into()
    }
}
