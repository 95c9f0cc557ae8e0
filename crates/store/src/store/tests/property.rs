//! Random entries: the answers are the model's, and a member that crashes and starts again is the one that does not.

use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::generate;
use super::model::Model;
use super::session::{Entry, Session};
use crate::{Member, MemberChange};

/// covers: P-KV-02, P-KV-07, P-KV-10, P-KV-12, P-L-05
#[test]
fn answers_are_the_models() {
    for seed in 0..60 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut session = Session::new();
        let mut model = Model::new();
        for step in 0..200 {
            let request = generate::key_request(&mut rng, model.revision());
            let expected = model.apply(&request);
            session.apply(Entry::request(request.clone()));
            let applied = session.last.as_ref().unwrap();
            assert_eq!(
                applied.answer, expected,
                "seed {seed}, step {step}: {request:?}"
            );
            assert_eq!(
                session.store.revision(),
                model.revision(),
                "seed {seed}, step {step}"
            );
            if rng.random_ratio(1, 20) {
                session.settle();
            }
        }
    }
}

/// covers: P-KV-03, P-KV-09, P-L-06, R-046, C-02
#[test]
fn crashes_change_nothing() {
    for seed in 0..40 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut calm = Session::new();
        let mut rough = Session::new();
        for step in 0..150 {
            let entry = entry(&mut rng, &calm);
            let answer = calm.apply(entry.clone());
            let context = || format!("seed {seed}, step {step}: {entry:?}");
            assert_eq!(rough.apply(entry.clone()), answer, "{}", context());
            disturb(&mut rng, &mut rough);
            assert_eq!(rough.state(), calm.state(), "{}", context());
        }
    }
}

/// A member that gets the state of another is the one that has applied the log, then and ever after.
///
/// covers: P-KV-09, P-L-06, R-006, R-046, M-06, M-07, C-02
#[test]
fn an_installed_state_is_that_of_the_log() {
    for seed in 0..40 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut leader = Session::new();
        let mut lagging = Session::new();
        let mut follows = true;
        for _ in 0..200 {
            let entry = entry(&mut rng, &leader);
            let answer = leader.apply(entry.clone());
            disturb(&mut rng, &mut leader);
            if follows {
                assert_eq!(lagging.apply(entry), answer, "seed {seed}");
                disturb(&mut rng, &mut lagging);
                follows = !rng.random_ratio(1, 20);
            } else if rng.random_ratio(1, 15) {
                lagging.install_from(&mut leader);
                follows = true;
                disturb(&mut rng, &mut lagging);
            }
            if follows {
                assert_eq!(lagging.state(), leader.state(), "seed {seed}");
            }
        }
    }
}

fn entry(rng: &mut SmallRng, session: &Session) -> Entry {
    if rng.random_ratio(1, 20) {
        let change = member_change(rng);
        if session.store.judge_member_change(&change).is_ok() {
            let conf_state = session.conf_after(&change);
            return Entry::Change(change, conf_state);
        }
    }
    Entry::request(generate::request(rng, session.store.revision()))
}

fn member_change(rng: &mut SmallRng) -> MemberChange {
    let id = if rng.random() {
        rng.random_range(0..3)
    } else {
        rng.random()
    };
    let member = Member {
        id,
        peer_urls: vec![format!("http://{}:1", rng.random_range(0..5))],
        is_learner: rng.random(),
        ..Member::default()
    };
    match rng.random_range(0..6) {
        0..3 if member.is_learner => MemberChange::AddLearner(member, rng.random_range(0..3)),
        0..3 => MemberChange::Add(member),
        3 => MemberChange::Promote(id),
        4 => MemberChange::Update(member),
        _ => MemberChange::Remove(id),
    }
}

fn disturb(rng: &mut SmallRng, session: &mut Session) {
    match rng.random_range(0..30) {
        0..3 => session.flush(),
        3..5 => drop(session.crash()),
        5 => session.settle(),
        6 => drop(session.store.keyspace().maintain()),
        _ => {}
    }
}

/// Entries of one batch become visible together and come back together. covers: P-KV-03
#[test]
fn a_batch_is_there_as_a_whole_or_not_at_all() {
    let mut session = Session::new();
    let mut rng = SmallRng::seed_from_u64(1);
    for index in 1..200 {
        let before = session.store.cluster().load();
        for _ in 0..5 {
            let request: Request = generate::request(&mut rng, session.store.revision());
            session.store.apply(Some(request)).unwrap();
            assert_eq!(session.store.cluster().load(), before);
        }
        session.store.publish(index, 1);
        session.flush();
        let (applied, revision) = (session.store.applied(), session.store.revision());
        session
            .store
            .apply(Some(Request::Put(generate::put(&mut rng))))
            .unwrap();
        session.reopen();
        assert_eq!(session.store.applied(), applied);
        assert_eq!(session.store.revision(), revision);
    }
}
