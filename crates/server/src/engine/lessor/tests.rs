//! One leader after the other, on the same replicated leases.

use std::sync::Arc;

use ferrod_lease::{Leases, Ttl};
use ferrod_node::MemberId;
use parking_lot::RwLock;

use super::*;

const LEASE: LeaseId = LeaseId(7);
/// One election timeout.
const EXTENSION: u64 = 1;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lessor(leases: &SharedLeases) -> Lessor {
    let pace = Pace {
        checkpoint_interval: Some(at(300)),
        ..Pace::default()
    };
    Lessor::new(leases.clone(), at(EXTENSION), pace)
}

fn lead(lessor: &Lessor, term: u64, now: u64) {
    lessor.role_changed(&SoftState {
        role: Role::Leader,
        leader: MemberId(1),
        term: Term(term),
    });
    lessor.term_began(Term(term), at(now));
    // Loads what there is.
    assert_eq!(lessor.expired(at(now), 9), Some((Term(term), vec![])));
}

/// What is recorded at this time: as it would go through the log, and into the replicated leases.
fn record(lessor: &Lessor, leases: &SharedLeases, now: u64) -> Vec<(u64, i64)> {
    let mut recorded = Vec::new();
    let offer = |term: Term, due: Vec<Checkpoint>| {
        for due in due {
            recorded.push((term.0, due.remaining.seconds()));
            let mut leases = leases.write();
            leases.checkpoint(due.id, Some(due.remaining)).unwrap();
        }
    };
    lessor.record(at(now), 10, offer);
    recorded
}

fn granted(ttl: i64) -> (SharedLeases, Lessor) {
    let leases: SharedLeases = Arc::new(RwLock::new(Leases::new()));
    let first = lessor(&leases);
    lead(&first, 2, 0);
    let ttl = Ttl::new(ttl, 1).unwrap();
    leases.write().grant(LEASE, ttl).unwrap();
    first.heard(&Effect::Granted(LEASE, ttl), at(0));
    (leases, first)
}

/// covers: P-L-03, R-041
#[test]
fn the_next_leader_goes_on_from_what_was_recorded() {
    let (leases, first) = granted(1000);
    assert_eq!(record(&first, &leases, 299), []);
    assert_eq!(record(&first, &leases, 300), [(2, 700)]);
    let second = lessor(&leases);
    lead(&second, 3, 500);
    let left = second.remaining(LEASE, at(500));
    assert_eq!(left, Some(700 + EXTENSION as i64));
    // And records it in its turn, so that a row of leaders cannot keep it.
    assert_eq!(record(&second, &leases, 810), [(3, 391)]);
    let third = lessor(&leases);
    lead(&third, 4, 900);
    assert_eq!(third.remaining(LEASE, at(900)), Some(392));
    assert_eq!(third.expired(at(1291), 9), Some((Term(4), vec![])));
    assert_eq!(third.expired(at(1292), 9), Some((Term(4), vec![LEASE])));
}

/// covers: P-L-01, P-L-03
#[test]
fn a_renewal_wants_the_record_cleared_before_anyone_hears_of_it() {
    let (leases, first) = granted(1000);
    record(&first, &leases, 300);
    let (renewed, recording) = first.renew(LEASE, at(400));
    assert_eq!(renewed, KeepAlive::Renewed(1000));
    let recording = recording.expect("there is a record");
    // As long as it is not cleared, each renewal wants it to be: the clearing may have been lost.
    assert_eq!(first.renew(LEASE, at(401)).1, Some(recording));
    leases.write().checkpoint(LEASE, None).unwrap();
    first.cleared(Term(2), &[(LEASE, recording)]);
    assert_eq!(first.renew(LEASE, at(402)).1, None);
    let second = lessor(&leases);
    lead(&second, 3, 500);
    let left = second.remaining(LEASE, at(500));
    assert_eq!(left, Some(1000 + EXTENSION as i64));
}

///
#[test]
fn who_does_not_lead_records_nothing() {
    let (leases, first) = granted(1000);
    first.role_changed(&SoftState::default());
    assert_eq!(record(&first, &leases, 300), []);
    // The clearing of an earlier term means nothing to a later one.
    lead(&first, 3, 400);
    record(&first, &leases, 800);
    let (_, recording) = first.renew(LEASE, at(801));
    first.cleared(Term(2), &[(LEASE, recording.unwrap())]);
    assert_eq!(first.renew(LEASE, at(802)).1, recording);
}

/// A leader is bound by what earlier terms have granted and renewed, so it must know all of it first; and who leads no more is
/// silent, however much has run out by its clock.
///
/// covers: P-L-02, R-040
#[test]
fn only_a_leader_that_has_applied_everything_ends_or_renews() {
    let (leases, first) = granted(10);
    let silent = |lessor: &Lessor| {
        assert_eq!(lessor.leading(), None);
        assert_eq!(lessor.expired(at(100), 9), None);
        assert_eq!(lessor.renew(LEASE, at(100)).0, KeepAlive::NotLeader);
        assert_eq!(lessor.remaining(LEASE, at(100)), None);
    };
    let second = lessor(&leases);
    silent(&second);
    second.role_changed(&SoftState {
        role: Role::Leader,
        leader: MemberId(2),
        term: Term(3),
    });
    silent(&second);
    // The first entry of an earlier term says nothing of this one.
    second.term_began(Term(2), at(99));
    silent(&second);
    second.term_began(Term(3), at(100));
    assert_eq!(second.expired(at(100), 9), Some((Term(3), vec![])));
    assert_eq!(second.renew(LEASE, at(100)).0, KeepAlive::Renewed(10));

    // The old leader says what has run out in its own term only, which is over, and then nothing.
    assert_eq!(first.expired(at(100), 9), Some((Term(2), vec![LEASE])));
    first.role_changed(&SoftState {
        role: Role::Follower,
        leader: MemberId(2),
        term: Term(3),
    });
    silent(&first);
}
