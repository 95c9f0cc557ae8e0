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
        leads,
        leader: MemberId(u64::from(leads)),
        writing,
        ..view(&|member| (1..=3).contains(&member.0))
    };
    let message = PeerMessage {
        from: MemberId(from),
        to: MemberId(1),
        term: Term(term),
        body,
    };
    validate(&message, &view)
}

/// Entries up to 10, those up to 4 of term 2, the others of term 5; committed up to 6.
fn view(is_member: &dyn Fn(MemberId) -> bool) -> View<'_> {
    View {
        member: MemberId(1),
        term: Term(5),
        leads: false,
        leader: MemberId::NONE,
        last_index: 10,
        committed: 6,
        writing: false,
        reads_waiting: 0,
        proposal_bytes_max: 100,
        is_member,
        term_at: &|index| match index {
            // What is compacted.
            0 | 1 => None,
            2..=4 => Some(Term(2)),
            _ => Some(Term(5)),
        },
    }
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

/// covers: R-055, S-03
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
        ..view(&|_| true)
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
    assert_eq!(
        judge_as(false, false, 2, 5 + (1 << 32), heartbeat(1)),
        Ok(())
    );
    assert_eq!(
        judge(2, 6 + (1 << 32), heartbeat(1)),
        Err(Refusal::Number),
        "one message must not use up the terms"
    );
    let read = || PeerBody::ReadIndex {
        context: context(2),
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
    assert_eq!(
        judge(3, 0, read()),
        Err(Refusal::Context),
        "a read in another one's name would take its place"
    );
    let view = View {
        leads: true,
        reads_waiting: 1024,
        ..view(&|_| true)
    };
    let message = PeerMessage {
        from: MemberId(2),
        to: MemberId(1),
        term: Term(0),
        body: read(),
    };
    assert_eq!(validate(&message, &view), Err(Refusal::Busy));
}

fn context(member: u64) -> Bytes {
    [member, 7, 1].map(u64::to_be_bytes).concat().into()
}

fn vote(last: (u64, u64), commit: (u64, u64)) -> PeerBody {
    PeerBody::Vote {
        pre: false,
        last_index: LogIndex(last.0),
        last_term: Term(last.1),
        commit: LogIndex(commit.0),
        commit_term: Term(commit.1),
        transfer: false,
    }
}

/// covers: P-M-04
#[test]
fn candidates() {
    let judge = |body| judge_as(false, false, 2, 6, body);
    assert_eq!(judge(vote((12, 5), (10, 5))), Ok(()));
    assert_eq!(judge(vote((0, 0), (0, 0))), Ok(()), "of a new member");
    for (last, commit) in [
        ((12, 6), (10, 5)),
        ((12, 5), (13, 5)),
        ((12, 4), (10, 5)),
        ((0, 5), (0, 0)),
        ((12, 0), (0, 0)),
    ] {
        assert_eq!(
            judge(vote(last, commit)),
            Err(Refusal::Vote),
            "{last:?} {commit:?}"
        );
    }
    let contradiction = Refusal::Contradiction {
        index: LogIndex(4),
        ours: Term(2),
        theirs: Term(3),
    };
    assert_eq!(judge(vote((12, 5), (4, 3))), Err(contradiction));
    let refused = PeerBody::VoteAnswer {
        pre: false,
        granted: false,
        commit: LogIndex(4),
        commit_term: Term(3),
    };
    assert_eq!(judge(refused), Err(contradiction));
}

/// covers: P-M-04
#[test]
fn second_leaders() {
    assert_eq!(judge(2, 5, heartbeat(1)), Err(Refusal::SecondLeader));
    assert_eq!(
        judge(2, 5, append((5, 5), vec![])),
        Err(Refusal::SecondLeader)
    );
    let view = View {
        leader: MemberId(2),
        ..view(&|_| true)
    };
    let judge = |from, term, body| {
        let message = PeerMessage {
            from: MemberId(from),
            to: MemberId(1),
            term: Term(term),
            body,
        };
        validate(&message, &view)
    };
    assert_eq!(judge(2, 5, heartbeat(1)), Ok(()));
    assert_eq!(judge(3, 5, heartbeat(1)), Err(Refusal::SecondLeader));
    assert_eq!(judge(3, 6, heartbeat(1)), Ok(()));
    assert_eq!(judge(3, 5, PeerBody::TimeoutNow), Err(Refusal::NotLeader));
    let answer = PeerBody::ReadIndexAnswer {
        index: LogIndex(6),
        context: context(1),
    };
    assert_eq!(judge(2, 5, answer.clone()), Ok(()));
    assert_eq!(judge(3, 5, answer), Err(Refusal::NotLeader));
}

/// covers: Q-13, P-M-05
#[test]
fn what_contradicts_the_committed() {
    let judge = |term, body| judge_as(false, false, 2, term, body);
    let differs = |index, theirs| {
        Err(Refusal::Contradiction {
            index: LogIndex(index),
            ours: Term(if index < 5 { 2 } else { 5 }),
            theirs: Term(theirs),
        })
    };
    let entries = |terms: &[u64]| (4..).zip(terms).map(|(i, t)| entry(i, *t)).collect();
    assert_eq!(judge(5, append((3, 2), entries(&[2, 5, 5]))), Ok(()));
    assert_eq!(judge(6, append((3, 2), entries(&[2, 5, 6]))), differs(6, 6));
    assert_eq!(judge(6, append((3, 1), vec![])), differs(3, 1));
    assert_eq!(
        judge(6, append((3, 2), entries(&[2, 5, 5, 6]))),
        Ok(()),
        "what is not committed may be replaced"
    );
    assert_eq!(
        judge(4, append((3, 1), vec![])),
        Ok(()),
        "an old leader only hears that it is old"
    );
    assert_eq!(
        judge(6, append((1, 1), entries(&[]))),
        Ok(()),
        "nothing is known of what was compacted"
    );
    let state = |index, term| {
        PeerBody::State(StateMeta {
            index: LogIndex(index),
            term: Term(term),
            conf: ConfState::new(vec![MemberId(1), MemberId(2)], vec![]),
        })
    };
    assert_eq!(judge(6, state(4, 2)), Ok(()));
    assert_eq!(judge(6, state(4, 3)), differs(4, 3));
    assert_eq!(judge(6, state(7, 6)), Ok(()));
    let unsorted = PeerBody::State(StateMeta {
        index: LogIndex(7),
        term: Term(6),
        conf: ConfState {
            voters: vec![MemberId(2), MemberId(1)],
            learners: vec![],
        },
    });
    assert_eq!(judge(6, unsorted), Err(Refusal::State));
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
    let commits = |index| PeerBody::HeartbeatAnswer {
        commit: LogIndex(index),
        context: Bytes::new(),
    };
    assert_eq!(judge(2, 5, commits(10)), Ok(()));
    assert_eq!(judge(2, 5, commits(11)), Err(Refusal::BeyondLog));
}

///
#[test]
fn entries() {
    let judge = |from, term, body| judge_as(false, false, from, term, body);
    assert_eq!(
        judge(2, 5, append((0, 0), vec![entry(1, 1), entry(2, 2)])),
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
    let numbered = |number, len| {
        PeerBody::Propose(Forward {
            nonce: 1,
            number,
            proposals: vec![(EntryKind::Normal, vec![0; len].into())],
        })
    };
    assert_eq!(judge(2, 5, numbered(u64::MAX, 1)), Err(Refusal::Number));
    assert_eq!(judge(2, 5, numbered(1, 100)), Ok(()));
    assert_eq!(judge(2, 5, numbered(1, 101)), Err(Refusal::Size));
    assert_eq!(
        judge(2, 6, propose(EntryKind::Normal)),
        Err(Refusal::NotLeader)
    );
    assert_eq!(
        judge(2, 5, propose(EntryKind::ConfChange)),
        Err(Refusal::ConfChange)
    );
    // Sent to the leader of an earlier term: they go on from here.
    assert_eq!(judge(2, 4, propose(EntryKind::Normal)), Ok(()));
    let late = judge_as(false, false, 2, 4, propose(EntryKind::Normal));
    assert_eq!(late, Ok(()));
    let view = View {
        leads: false,
        leader: MemberId(3),
        ..view(&|_| true)
    };
    let astray = PeerMessage {
        from: MemberId(2),
        to: MemberId(1),
        term: Term(5),
        body: propose(EntryKind::Normal),
    };
    assert_eq!(validate(&astray, &view), Err(Refusal::NotLeader));
}

/// covers: D-17, Q-13, S-04
#[test]
fn only_the_leader_that_is_followed_knows_what_was_forgotten() {
    let follower = |leader: u64, from: u64, term: u64, commit: u64| {
        let view = View {
            leader: MemberId(leader),
            ..view(&|member| (1..=3).contains(&member.0))
        };
        let message = PeerMessage {
            from: MemberId(from),
            to: MemberId(1),
            term: Term(term),
            body: heartbeat(commit),
        };
        validate(&message, &view)
    };
    let forgotten = Err(Refusal::Forgotten {
        counted: LogIndex(11),
        last: LogIndex(10),
    });
    assert_eq!(follower(2, 2, 5, 11), forgotten);
    assert_eq!(follower(2, 2, 5, 10), Ok(()), "it is all there");
    assert_eq!(follower(0, 2, 5, 11), Ok(()), "it does not lead yet");
    assert_eq!(follower(2, 2, 6, 11), Ok(()), "nor that term");
    assert_eq!(follower(3, 2, 5, 11), Err(Refusal::SecondLeader));
    assert_eq!(follower(2, 2, 4, 11), Ok(()), "an old leader hears that");
    let beyond = 10 + INDEX_LEAP_MAX + 1;
    for (from, term) in [(2, 5), (3, 6)] {
        let refused = follower(2, from, term, beyond);
        assert_eq!(refused, Err(Refusal::BeyondLog), "from {from}");
    }
}
