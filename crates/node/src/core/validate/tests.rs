use bytes::Bytes;

use super::*;
use crate::{Forward, LogIndex};

/// A leader of term 5 in a cluster of 1, 2 and 3, with entries up to 10.
fn judge(from: u64, term: u64, body: PeerBody) -> Result<(), Refusal> {
    judge_as(true, false, from, term, body)
}

fn judge_as(
    leads: bool,
    writing: bool,
    from: u64,
    term: u64,
    body: PeerBody,
) -> Result<(), Refusal> {
    let view = View {
        member: MemberId(1),
        term: Term(5),
        leads,
        last_index: 10,
        writing,
        is_member: &|member| (1..=3).contains(&member.0),
    };
    let message = PeerMessage {
        from: MemberId(from),
        to: MemberId(1),
        term: Term(term),
        body,
    };
    validate(&message, &view)
}

fn accepted(index: u64) -> PeerBody {
    PeerBody::Accepted {
        index: LogIndex(index),
        commit: LogIndex(1),
    }
}

fn heartbeat(commit: u64) -> PeerBody {
    PeerBody::Heartbeat {
        commit: LogIndex(commit),
        context: Bytes::new(),
    }
}

fn entry(index: u64, term: u64) -> Entry {
    let (index, term) = (LogIndex(index), Term(term));
    Entry {
        index,
        term,
        kind: EntryKind::Normal,
        payload: Bytes::new(),
    }
}

fn append(prev: (u64, u64), entries: Vec<Entry>) -> PeerBody {
    let (prev_index, prev_term) = (LogIndex(prev.0), Term(prev.1));
    PeerBody::Append {
        prev_index,
        prev_term,
        commit: LogIndex(1),
        entries,
    }
}

#[test]
fn senders() {
    assert_eq!(judge(2, 5, accepted(3)), Ok(()));
    assert_eq!(judge(0, 5, accepted(3)), Err(Refusal::Sender));
    assert_eq!(judge(1, 5, accepted(3)), Err(Refusal::Sender));
    assert_eq!(judge(9, 5, accepted(3)), Err(Refusal::Stranger));
    // A leader that this member has not heard of yet.
    assert_eq!(judge(9, 6, heartbeat(3)), Ok(()));
    let view = View {
        member: MemberId(2),
        term: Term(5),
        leads: false,
        last_index: 1,
        writing: false,
        is_member: &|_| true,
    };
    let message = PeerMessage {
        from: MemberId(3),
        to: MemberId(1),
        term: Term(5),
        body: heartbeat(1),
    };
    assert_eq!(validate(&message, &view), Err(Refusal::Misdirected));
}

#[test]
fn terms_and_numbers() {
    assert_eq!(judge(2, 0, heartbeat(1)), Err(Refusal::Term));
    assert_eq!(judge(2, u64::MAX, heartbeat(1)), Err(Refusal::Number));
    let read = || PeerBody::ReadIndex {
        context: Bytes::from_static(b"c"),
    };
    assert_eq!(judge(2, 0, read()), Ok(()));
    assert_eq!(judge(2, 5, read()), Err(Refusal::Term));
    assert_eq!(
        judge_as(false, false, 2, 0, read()),
        Err(Refusal::NotLeader)
    );
    let long = PeerBody::ReadIndex {
        context: vec![0; 65].into(),
    };
    assert_eq!(judge(2, 0, long), Err(Refusal::Context));
}

///
#[test]
fn what_is_beyond_the_log() {
    assert_eq!(judge(2, 5, accepted(11)), Err(Refusal::BeyondLog));
    assert_eq!(
        judge_as(false, false, 2, 5, accepted(11)),
        Ok(()),
        "a follower takes no answers"
    );
    assert_eq!(judge(2, 5, heartbeat(10)), Ok(()));
    assert_eq!(judge(2, 5, heartbeat(11)), Err(Refusal::BeyondLog));
    assert_eq!(
        judge(2, 4, heartbeat(11)),
        Ok(()),
        "an old leader only hears that it is old"
    );
}

///
#[test]
fn entries() {
    assert_eq!(
        judge(2, 5, append((0, 0), vec![entry(1, 1), entry(2, 5)])),
        Ok(())
    );
    let refused = [
        append((3, 2), vec![entry(5, 2)]),
        append((3, 2), vec![entry(4, 2), entry(4, 2)]),
        append((3, 2), vec![entry(4, 1)]),
        append((3, 2), vec![entry(4, 6)]),
        append((3, 6), vec![]),
        append((0, 1), vec![]),
        append((3, 0), vec![]),
        append((u64::MAX >> 2, 1), vec![entry((u64::MAX >> 2) + 1, 1)]),
    ];
    for body in refused {
        assert!(judge(2, 5, body.clone()).is_err(), "{body:?}");
    }
    let malformed = Entry {
        kind: EntryKind::ConfChange,
        ..entry(4, 2)
    };
    assert_eq!(
        judge(2, 5, append((3, 2), vec![malformed])),
        Err(Refusal::ConfChange)
    );
}

///
#[test]
fn votes_while_a_write_is_in_flight() {
    let vote = || PeerBody::VoteAnswer {
        pre: false,
        granted: true,
        commit: LogIndex(0),
        commit_term: Term(0),
    };
    assert_eq!(judge_as(false, false, 2, 5, vote()), Ok(()));
    assert_eq!(judge_as(false, true, 2, 5, vote()), Err(Refusal::EarlyVote));
}

///
#[test]
fn forwarded_proposals() {
    let propose = |kind| {
        let proposals = vec![(kind, Bytes::from_static(b"\xff"))];
        PeerBody::Propose(Forward {
            nonce: 1,
            number: 1,
            proposals,
        })
    };
    assert_eq!(judge(2, 5, propose(EntryKind::Normal)), Ok(()));
    assert_eq!(
        judge(2, 4, propose(EntryKind::Normal)),
        Err(Refusal::NotLeader)
    );
    assert_eq!(
        judge(2, 5, propose(EntryKind::ConfChange)),
        Err(Refusal::ConfChange)
    );
    assert_eq!(
        judge_as(false, false, 2, 5, propose(EntryKind::Normal)),
        Err(Refusal::NotLeader)
    );
}
