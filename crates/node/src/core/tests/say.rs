//! What a peer says, as words of a trace.

use bytes::Bytes;

use crate::{
    ConfState, Entry, EntryKind, Forward, LogIndex, MemberId, PeerBody, PeerMessage, StateMeta,
    Term,
};

/// `FROM TO TERM KIND ..`; a place in a log is `INDEX@TERM`.
///
/// ```text
/// append PLACE COMMIT [PLACE ..]    after that, and entries
/// heartbeat COMMIT                  heartbeat-answer COMMIT
/// accepted INDEX COMMIT             rejected INDEX PLACE COMMIT
/// vote PLACE PLACE                  last and commit; also `pre-vote`, `transfer`
/// granted                           refused PLACE; also `pre-granted`
/// timeout-now                       state PLACE MEMBER ..
/// read MEMBER                       in whose name
/// read-answer INDEX MEMBER          propose NUMBER BYTES
/// ```
pub(super) fn message(words: &[&str]) -> PeerMessage {
    let [from, to, term, kind, rest @ ..] = words else {
        panic!("too few words: {words:?}")
    };
    PeerMessage {
        from: MemberId(number(from)),
        to: MemberId(number(to)),
        term: Term(number(term)),
        body: body(kind, rest),
    }
}

fn body(kind: &str, words: &[&str]) -> PeerBody {
    match (kind, words) {
        ("append", [prev, commit, entries @ ..]) => PeerBody::Append {
            prev_index: place(prev).0,
            prev_term: place(prev).1,
            commit: index(commit),
            entries: entries.iter().map(|entry| self::entry(entry)).collect(),
        },
        ("heartbeat", [commit]) => PeerBody::Heartbeat {
            commit: index(commit),
            context: Bytes::new(),
        },
        ("heartbeat-answer", [commit]) => PeerBody::HeartbeatAnswer {
            commit: index(commit),
            context: Bytes::new(),
        },
        ("accepted", [accepted, commit]) => PeerBody::Accepted {
            index: index(accepted),
            commit: index(commit),
        },
        ("rejected", [rejected, hint, commit]) => PeerBody::Rejected {
            index: index(rejected),
            hint_index: place(hint).0,
            hint_term: place(hint).1,
            commit: index(commit),
        },
        ("vote" | "pre-vote" | "transfer", [last, commit]) => PeerBody::Vote {
            pre: kind == "pre-vote",
            last_index: place(last).0,
            last_term: place(last).1,
            commit: place(commit).0,
            commit_term: place(commit).1,
            transfer: kind == "transfer",
        },
        ("granted" | "pre-granted", []) => vote_answer(kind == "pre-granted", true, "0@0"),
        ("refused", [commit]) => vote_answer(false, false, commit),
        ("timeout-now", []) => PeerBody::TimeoutNow,
        ("state", [of, members @ ..]) => PeerBody::State(StateMeta {
            index: place(of).0,
            term: place(of).1,
            conf: ConfState {
                voters: members.iter().map(|id| MemberId(number(id))).collect(),
                learners: Vec::new(),
            },
        }),
        ("read", [member]) => PeerBody::ReadIndex {
            context: context(member),
        },
        ("read-answer", [answer, member]) => PeerBody::ReadIndexAnswer {
            index: index(answer),
            context: context(member),
        },
        ("propose", [count, bytes]) => PeerBody::Propose(Forward {
            nonce: 1,
            number: number(count),
            proposals: vec![(EntryKind::Normal, vec![b'x'; number(bytes) as usize].into())],
        }),
        other => panic!("nobody says {other:?}"),
    }
}

fn vote_answer(pre: bool, granted: bool, commit: &str) -> PeerBody {
    PeerBody::VoteAnswer {
        pre,
        granted,
        commit: place(commit).0,
        commit_term: place(commit).1,
    }
}

fn entry(word: &str) -> Entry {
    let (index, term) = place(word);
    Entry {
        index,
        term,
        kind: EntryKind::Normal,
        payload: Bytes::from_static(b"x"),
    }
}

fn context(member: &str) -> Bytes {
    [number(member), 1, 1].map(u64::to_be_bytes).concat().into()
}

fn place(word: &str) -> (LogIndex, Term) {
    let (index, term) = word.split_once('@').expect("INDEX@TERM");
    (self::index(index), Term(number(term)))
}

fn index(word: &str) -> LogIndex {
    LogIndex(number(word))
}

/// `max` is the largest there is.
fn number(word: &str) -> u64 {
    match word {
        "max" => u64::MAX,
        word => word.parse().expect("a number"),
    }
}
