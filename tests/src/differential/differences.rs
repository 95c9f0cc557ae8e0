//! Every difference between etcd 3.5.1, which the test can have as a package, and etcd 3.7.1, which ferrod matches.
//!
//! This file is the whole list. Each entry says what changed and why the test may look away; where the later answer
//! can be computed from the earlier one it is, so that as little as possible goes uncompared. Nothing here applies
//! when both servers claim the same version.
//!
//! Some things are not asked at all, because 3.5.1 does not survive them or does not do the same twice; `generate.rs`
//! leaves them out: a put that keeps the value or lease of a key that the same transaction removes; a compaction at a
//! revision that removed and wrote; a lease with a negative ID over a restart, which forgets it; nested puts while the
//! space alarm is raised, which are not counted before 3.7.1. And 3.5.1 is never killed: it applies entries twice, or
//! loses acknowledged ones, when that happens to a sole member.

use std::collections::BTreeSet;

use ferrod_proto::etcdserverpb::range_request::SortTarget;
use ferrod_proto::etcdserverpb::{
    RangeRequest, RangeResponse, RequestOp, ResponseHeader, TxnRequest, TxnResponse, WatchResponse,
    request_op::Request, response_op::Response,
};
use tonic::Code;

use super::answer::Answer;
use super::op::Op;

/// What the run has gone through, as far as a difference depends on it.
#[derive(Debug)]
pub(crate) struct Context {
    /// Whether the two claim different versions.
    pub(crate) differ: bool,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    /// Revisions that a compaction was asked for, whose hashes 3.7 remembers.
    compactions: BTreeSet<i64>,
    versions: String,
}

impl Context {
    pub(crate) fn new(reference: &str, subject: &str) -> Self {
        Self {
            differ: reference != subject,
            revision: 1,
            compacted: -1,
            compactions: BTreeSet::new(),
            versions: format!("{subject} against {reference}"),
        }
    }

    pub(crate) fn learn(&mut self, op: &Op, answer: &Answer) {
        // A watch that is refused or cancelled by a compaction shows revision 0.
        self.revision = self.revision.max(answer.revision().unwrap_or(0));
        if let (Op::Compact(request), Answer::Compact(_)) = (op, answer) {
            self.compacted = request.revision;
            self.compactions.insert(request.revision);
        }
    }

    pub(crate) fn summary(&self) -> String {
        self.versions.clone()
    }
}

/// What 3.5.1 is not asked, with the answer that 3.7.1 gives.
pub(crate) fn only_subject(op: &Op, context: &Context) -> Option<Answer> {
    if !context.differ {
        let beyond = is_fatal(op) || matches!(op, Op::RangeStream(_));
        return beyond.then_some(Answer::Nothing);
    }
    match op {
        Op::Watch { create, .. } if create.start_revision < 0 => {
            Some(Answer::Watch(refused_watch(context.revision)))
        }
        Op::Range(range) | Op::RangeStream(range) if range.key.is_empty() && is_fatal(op) => {
            Some(invalid("etcdserver: key is not provided"))
        }
        op => is_fatal(op).then(|| invalid("etcdserver: invalid sort option")),
    }
}

fn invalid(text: &str) -> Answer {
    Answer::Failed(Code::InvalidArgument, text.to_owned())
}

/// An unknown sort order or target ends a process of 3.5.1: it sorts by nothing and follows a null pointer. Since 3.5.5
/// it is refused.
fn is_fatal(op: &Op) -> bool {
    match op {
        Op::Range(range) | Op::RangeStream(range) => is_unsortable(range),
        Op::Txn(txn) => any_range(txn, &is_unsortable),
        _ => false,
    }
}

/// 3.5.1 takes a negative start revision as one in the past: the watcher is created, and cancelled a moment later if it
/// lies below the compacted revision, which is -1 in the beginning. Later versions refuse it at once.
fn refused_watch(revision: i64) -> WatchResponse {
    WatchResponse {
        header: Some(ResponseHeader {
            revision,
            raft_term: 1,
            ..Default::default()
        }),
        watch_id: -1,
        created: true,
        canceled: true,
        cancel_reason: "etcdserver: mvcc: required revision has been compacted".to_owned(),
        ..Default::default()
    }
}

/// A transaction with an unknown sort order or target, cut down to that: which of several faults is found first, only
/// a server that survives them can tell.
pub(crate) fn isolate_fatal(txn: TxnRequest) -> TxnRequest {
    let mut ops: Vec<&RequestOp> = txn.success.iter().chain(&txn.failure).collect();
    while let Some(op) = ops.pop() {
        match &op.request {
            Some(Request::RequestRange(range)) if is_unsortable(range) => {
                let success = vec![op.clone()];
                return TxnRequest {
                    success,
                    ..TxnRequest::default()
                };
            }
            Some(Request::RequestTxn(nested)) => {
                ops.extend(nested.success.iter().chain(&nested.failure));
            }
            _ => {}
        }
    }
    txn
}

/// An empty key is found before.
fn is_unsortable(range: &RangeRequest) -> bool {
    let known = (0..=2).contains(&range.sort_order) && (0..=4).contains(&range.sort_target);
    !range.key.is_empty() && !known
}

/// What the reference is asked instead.
///
/// RangeStream is new in 3.7: what it gives in pieces must be what Range gives at once. It refuses orders and filters.
pub(crate) fn as_reference(op: &Op) -> Option<Op> {
    match op {
        Op::RangeStream(range) => Some(Op::Range(RangeRequest {
            sort_order: 0,
            sort_target: 0,
            ..range.clone()
        })),
        _ => None,
    }
}

/// What 3.7.1 answers where 3.5.1 answers `reference`.
pub(crate) fn expected(op: &Op, reference: Answer, context: &Context) -> Answer {
    if !context.differ {
        return reference;
    }
    match (op, reference) {
        (Op::RangeStream(_), invalid @ Answer::Failed(Code::InvalidArgument, _)) => invalid,
        (Op::RangeStream(request), answer) => match (refuses_stream(request), answer) {
            (Some(refusal), _) => refusal,
            (None, Answer::Range(mut answer)) => {
                drop_lease_of_keys_only(request, &mut answer);
                Answer::Range(answer)
            }
            (None, other) => other,
        },
        (Op::Range(request), Answer::Range(mut answer)) => {
            drop_lease_of_keys_only(request, &mut answer);
            Answer::Range(answer)
        }
        (Op::Txn(request), Answer::Txn(mut answer)) => {
            drop_leases_in_txn(request, &mut answer);
            Answer::Txn(answer)
        }
        (Op::HashKv(revision), Answer::HashKv(mut answer)) => {
            // New field of 3.6.
            answer.hash_revision = if *revision == 0 {
                context.revision
            } else {
                *revision
            };
            Answer::HashKv(answer)
        }
        (_, other) => other,
    }
}

fn refuses_stream(range: &RangeRequest) -> Option<Answer> {
    let natural = range.sort_order == 0 || (range.sort_order == 1 && range.sort_target == 0);
    let bounds = [
        range.min_mod_revision,
        range.max_mod_revision,
        range.min_create_revision,
        range.max_create_revision,
    ];
    let text = match (natural, bounds.iter().any(|b| *b != 0)) {
        (false, _) => "RangeStream does not support custom sort orders",
        (true, true) => "RangeStream does not support revision filters",
        (true, false) => return None,
    };
    Some(Answer::Failed(Code::Unimplemented, text.to_owned()))
}

/// `keys_only` answers without the lease since 3.7, which does not read the record any more, unless it sorts by value.
fn drop_lease_of_keys_only(request: &RangeRequest, answer: &mut RangeResponse) {
    if request.keys_only && request.sort_target != SortTarget::Value as i32 {
        answer.kvs.iter_mut().for_each(|kv| kv.lease = 0);
    }
}

fn drop_leases_in_txn(request: &TxnRequest, answer: &mut TxnResponse) {
    let branch = if answer.succeeded {
        &request.success
    } else {
        &request.failure
    };
    for (op, answer) in branch.iter().zip(&mut answer.responses) {
        match (&op.request, &mut answer.response) {
            (Some(Request::RequestRange(r)), Some(Response::ResponseRange(a))) => {
                drop_lease_of_keys_only(r, a);
            }
            (Some(Request::RequestTxn(r)), Some(Response::ResponseTxn(a))) => {
                drop_leases_in_txn(r, a);
            }
            _ => {}
        }
    }
}

/// Whether a difference is one of versions that cannot be computed away.
pub(crate) fn excuses(op: &Op, reference: &Answer, subject: &Answer, context: &Context) -> bool {
    let failed = |answer: &Answer| match answer {
        Answer::Failed(code, _) => Some(*code),
        _ => None,
    };
    match op {
        // Texts for bytes that are no message, and for methods that are none, come from the gRPC library: only the
        // code is part of the API.
        Op::Raw { .. } => failed(reference).is_some() && failed(reference) == failed(subject),
        _ if !context.differ => false,
        // The first fault decides, and another may come before the sort option that 3.5.1 must not see.
        Op::Txn(_) if is_fatal(op) => failed(subject) == Some(Code::InvalidArgument),
        // 3.5.1 looks at all puts of the chosen path and then at all ranges; later versions at each operation in turn.
        Op::Txn(_) => {
            let put_fault = matches!(
                failed(reference),
                Some(Code::NotFound | Code::InvalidArgument)
            );
            put_fault && failed(subject) == Some(Code::OutOfRange)
        }
        // The hash of a compacted revision is remembered since 3.5.5 and answered with the compacted revision before
        // that compaction. 3.5.1 refuses the compacted revision itself, which is allowed since.
        Op::HashKv(revision) => {
            *revision == context.compacted || context.compactions.contains(revision)
        }
        _ => false,
    }
}

fn any_range(txn: &TxnRequest, wanted: &impl Fn(&RangeRequest) -> bool) -> bool {
    let found = |op: &RequestOp| match &op.request {
        Some(Request::RequestRange(range)) => wanted(range),
        Some(Request::RequestTxn(txn)) => any_range(txn, wanted),
        _ => false,
    };
    txn.success.iter().chain(&txn.failure).any(found)
}
