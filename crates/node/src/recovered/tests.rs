use super::*;
use crate::{EntryKind, MemberId};

fn entry(index: u64, term: u64) -> Entry {
    Entry {
        index: LogIndex(index),
        term: Term(term),
        kind: EntryKind::Normal,
        payload: bytes::Bytes::new(),
    }
}

fn state(term: u64, commit: u64) -> HardState {
    HardState {
        term: Term(term),
        vote: MemberId(1),
        commit: LogIndex(commit),
    }
}

fn log(entries: &[(u64, u64)], hard_state: HardState) -> Recovered {
    let mut log = Recovered::default();
    for (index, term) in entries {
        log.push_entry(entry(*index, *term)).unwrap();
    }
    log.push_hard_state(hard_state);
    log
}

fn at(applied: u64, term: u64) -> StartingPoint {
    let conf_state = ConfState::new(vec![MemberId(1)], vec![]);
    StartingPoint {
        applied: LogIndex(applied),
        applied_term: Term(term),
        conf_state,
    }
}

#[test]
fn later_entries_replace_earlier_ones() {
    let mut log = log(&[(1, 1), (2, 1), (3, 1)], state(1, 1));
    log.push_entry(entry(2, 2)).unwrap();
    assert_eq!(log.last(), LogIndex(2));
    assert_eq!(log.entries()[1].term, Term(2));
}

#[test]
fn impossible_logs_are_refused() {
    let mut log = log(&[(5, 2), (6, 2)], state(2, 5));
    assert!(matches!(
        log.push_entry(entry(8, 2)),
        Err(Error::Gap {
            before: LogIndex(6),
            ..
        })
    ));
    assert!(matches!(
        log.push_entry(entry(5, 3)),
        Err(Error::CommittedReplaced { .. })
    ));
    assert!(matches!(
        log.push_entry(entry(7, 1)),
        Err(Error::TermOrder { .. })
    ));
    let mut log = self::log(&[(5, 2)], state(2, 0));
    assert!(matches!(
        log.push_entry(entry(4, 2)),
        Err(Error::Gap { .. })
    ));
}

///
#[test]
fn the_commit_index_is_lifted_to_what_was_applied() {
    let log = log(&[(1, 1), (2, 1), (3, 2)], state(2, 1));
    let hard_state = log.into_start(&at(3, 2)).unwrap().hard_state;
    assert_eq!(hard_state.commit, LogIndex(3));
}

///
#[test]
fn a_state_machine_of_another_log_is_refused() {
    let log = log(&[(4, 1), (5, 1), (6, 2)], state(2, 5));
    let start = |from: StartingPoint| log.clone().into_start(&from);
    assert!(start(at(6, 2)).is_ok());
    assert!(matches!(
        start(at(6, 1)),
        Err(Error::AppliedTerm {
            logged: Term(2),
            ..
        })
    ));
    assert!(matches!(
        start(at(7, 2)),
        Err(Error::AppliedOutsideLog { .. })
    ));
    assert!(matches!(
        start(at(3, 1)),
        Err(Error::AppliedOutsideLog { .. })
    ));
    assert!(matches!(
        start(at(0, 0)),
        Err(Error::AppliedOutsideLog { .. })
    ));
    let twice = ConfState::new(vec![MemberId(1), MemberId(1)], vec![]);
    assert!(matches!(
        start(StartingPoint {
            conf_state: twice,
            ..at(6, 2)
        }),
        Err(Error::Membership(_))
    ));
}

#[test]
fn a_log_without_its_end_is_refused() {
    let log = self::log(&[(1, 1), (2, 1)], state(1, 3));
    assert!(matches!(
        log.into_start(&at(1, 1)),
        Err(Error::CommitBeyondLog { .. })
    ));
    let log = self::log(&[(1, 1), (2, 3)], state(2, 1));
    assert!(matches!(
        log.into_start(&at(1, 1)),
        Err(Error::TermOrder { .. })
    ));
}

/// A segment starts with the hard state as of then, so older ones come again behind newer entries.
#[test]
fn an_empty_log_starts() {
    let Start {
        before,
        entries,
        hard_state,
    } = Recovered::default()
        .into_start(&StartingPoint::default())
        .unwrap();
    assert_eq!(before, (LogIndex::ZERO, Some(Term(0))));
    assert!(entries.is_empty());
    assert_eq!(hard_state, HardState::default());
}
