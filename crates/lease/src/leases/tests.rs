//! The replicated part against a naive model.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Grant(i64, i64),
    Revoke(i64),
    Attach(u8, i64),
    Detach(u8),
    Checkpoint(i64, i64),
}

fn op() -> impl Strategy<Value = Op> {
    let id = prop_oneof![Just(i64::MIN), Just(i64::MAX), -3..4i64];
    prop_oneof![
        (id.clone(), -5..50i64).prop_map(|(id, ttl)| Op::Grant(id, ttl)),
        id.clone().prop_map(Op::Revoke),
        (0..12u8, id.clone()).prop_map(|(key, id)| Op::Attach(key, id)),
        (0..12u8).prop_map(Op::Detach),
        (id, 0..50i64).prop_map(|(id, left)| Op::Checkpoint(id, left)),
    ]
}

/// The model: a list of leases and a list of attachments.
#[derive(Default)]
struct Model {
    leases: Vec<Grant>,
    keys: Vec<(u8, i64)>,
}

impl Model {
    fn knows(&self, id: i64) -> bool {
        self.leases.iter().any(|grant| grant.id.0 == id)
    }

    fn keys_of(&self, id: i64) -> Vec<Bytes> {
        let mut keys: Vec<u8> = self
            .keys
            .iter()
            .filter(|(_, lease)| *lease == id)
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        keys.into_iter().map(key_of).collect()
    }
}

fn key_of(key: u8) -> Bytes {
    Bytes::from(vec![key])
}

fn step(leases: &mut Leases, model: &mut Model, op: Op) {
    match op {
        Op::Grant(id, ttl) => {
            let ttl = Ttl::new(ttl, 2).expect("small");
            let result = leases.grant(LeaseId(id), ttl);
            if model.knows(id) {
                assert_eq!(result, Err(Error::Exists(LeaseId(id))));
            } else {
                assert_eq!(result, Ok(()));
                model.leases.push(Grant {
                    id: LeaseId(id),
                    ttl,
                    checkpoint: None,
                });
            }
        }
        Op::Revoke(id) => {
            let result = leases.revoke(LeaseId(id));
            if model.knows(id) {
                assert_eq!(result, Ok(model.keys_of(id)));
                model.leases.retain(|grant| grant.id.0 != id);
                model.keys.retain(|(_, lease)| *lease != id);
            } else {
                assert_eq!(result, Err(Error::NotFound(LeaseId(id))));
            }
        }
        Op::Attach(key, id) => {
            let result = leases.attach(key_of(key), LeaseId(id));
            assert_eq!(result.is_ok(), model.knows(id));
            if result.is_ok() {
                model.keys.retain(|(k, _)| *k != key);
                model.keys.push((key, id));
            }
        }
        Op::Detach(key) => {
            let old = model
                .keys
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, id)| LeaseId(*id));
            assert_eq!(leases.detach(&key_of(key)), old);
            model.keys.retain(|(k, _)| *k != key);
        }
        Op::Checkpoint(id, left) => {
            let left = (left > 0).then(|| Ttl::new(left, 0).expect("small"));
            let result = leases.checkpoint(LeaseId(id), left);
            assert_eq!(result.is_ok(), model.knows(id));
            for grant in model.leases.iter_mut().filter(|grant| grant.id.0 == id) {
                grant.checkpoint = left;
            }
        }
    }
}

fn check(leases: &Leases, model: &Model) {
    let mut expected = model.leases.clone();
    expected.sort_by_key(|grant| grant.id);
    assert_eq!(leases.grants_after(None).collect::<Vec<_>>(), expected);
    for (id, lease) in leases.iter() {
        assert_eq!(
            lease.keys().cloned().collect::<Vec<_>>(),
            model.keys_of(id.0)
        );
    }
    for key in 0..12u8 {
        let id = model
            .keys
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, id)| LeaseId(*id));
        assert_eq!(leases.lease_of(&key_of(key)), id);
    }
}

proptest! {
    /// covers: P-L-05, P-L-06, R-044, R-046
    #[test]
    fn agrees_with_the_model(ops in prop::collection::vec(op(), 0..200)) {
        let (mut leases, mut model) = (Leases::new(), Model::default());
        for op in ops {
            step(&mut leases, &mut model, op);
            check(&leases, &model);
        }
    }

    /// Rows plus the keys' own lease fields give the same state, negative ids included.
    ///
    /// covers: P-L-06, R-046
    #[test]
    fn restores_from_rows(ops in prop::collection::vec(op(), 0..100)) {
        let (mut leases, mut model) = (Leases::new(), Model::default());
        for op in ops {
            step(&mut leases, &mut model, op);
        }
        let mut restored = Leases::new();
        for grant in leases.grants_after(None) {
            restored.restore(grant).unwrap();
        }
        for (key, id) in &model.keys {
            restored.attach(key_of(*key), LeaseId(*id)).unwrap();
        }
        prop_assert_eq!(restored, leases);
    }
}

///
#[test]
fn a_burst_of_leases_leaves_no_memory_behind() {
    let mut leases = Leases::new();
    let ttl = Ttl::new(60, 2).unwrap();
    for n in 0..20_000i64 {
        leases.grant(LeaseId(n), ttl).unwrap();
        leases
            .attach(Bytes::from(n.to_be_bytes().to_vec()), LeaseId(n))
            .unwrap();
    }
    for n in 0..20_000i64 {
        assert_eq!(leases.revoke(LeaseId(n)).unwrap().len(), 1);
    }
    assert!(leases.is_empty());
    assert!(
        leases.by_key.capacity() <= 1024,
        "room for {}",
        leases.by_key.capacity()
    );
}

#[test]
fn slices_continue_after_the_last_id() {
    let mut leases = Leases::new();
    for id in [i64::MIN, -1, 0, 5, i64::MAX] {
        leases.grant(LeaseId(id), Ttl::new(9, 2).unwrap()).unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let slice: Vec<_> = leases
            .grants_after(after)
            .take(2)
            .map(|grant| grant.id)
            .collect();
        let Some(last) = slice.last() else { break };
        after = Some(*last);
        seen.extend(slice.iter().map(|id| id.0));
    }
    assert_eq!(seen, [i64::MIN, -1, 0, 5, i64::MAX]);
}
