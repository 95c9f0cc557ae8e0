//! Deletes of rows that lie together: against a map, and how much of the file is left in use.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

fn key(n: u64) -> Vec<u8> {
    [&n.to_be_bytes()[..], b"_", &0_u64.to_be_bytes()].concat()
}

fn delete(n: u64) -> Op {
    Op::Delete {
        bucket: Bucket::Key,
        key: key(n),
    }
}

fn append(n: u64, value: Vec<u8>) -> Op {
    Op::Append {
        bucket: Bucket::Key,
        key: key(n),
        value: value.into(),
    }
}

fn all_rows(lmdb: &Lmdb) -> Vec<(Vec<u8>, Vec<u8>)> {
    rows(&*lmdb.snapshot().unwrap(), Bucket::Key, b"", None)
}

// covers: P-KV-11, L-20
#[test]
fn rows_between_deletes_stay_and_leaves_stay_full() {
    const ROWS: u64 = 40_000;
    const ROW_BYTES: u64 = 300 + 17 + 4 + 10;
    let store = OnDisk::create();
    let mut rng = SmallRng::seed_from_u64(3);
    let value = |n: u64| vec![n as u8; 300];
    for first in (0..ROWS).step_by(5000) {
        commit(
            &store.lmdb,
            (first..first + 5000).map(|n| append(n, value(n))),
        );
    }
    let mut left: Vec<u64> = (0..ROWS).collect();
    for _ in 0..4 {
        let mut doomed = Vec::new();
        left.retain(|&n| {
            let stays = rng.random_ratio(55, 100);
            doomed.extend((!stays).then_some(n));
            stays
        });
        for step in doomed.chunks(2000) {
            commit(&store.lmdb, step.iter().map(|n| delete(*n)));
        }
        let used = store.lmdb.sizes().unwrap().used_bytes;
        let packed = left.len() as u64 * ROW_BYTES;
        assert!(
            used < packed * 3 / 2 + (200 << 10),
            "{used} bytes for {packed}"
        );
    }
    let store = store.restart();
    let expected = left.iter().map(|&n| (key(n), value(n)));
    assert!(all_rows(&store.lmdb).into_iter().eq(expected));
}

// covers: P-KV-11
#[test]
fn any_rows_and_deletes_agree_with_a_map() {
    for seed in 0..8 {
        println!("seed {seed}");
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut store = OnDisk::create();
        let mut model = BTreeMap::new();
        let mut next = 0;
        for _ in 0..12 {
            let mut ops = Vec::new();
            let large = rng.random_range(0..20);
            for _ in 0..rng.random_range(0..4000) {
                next += rng.random_range(1..4);
                let len = match rng.random_range(0..100) {
                    kind if kind < large => rng.random_range(0..9000),
                    _ => rng.random_range(0..400),
                };
                let value = vec![next as u8; len];
                model.insert(key(next), value.clone());
                ops.push(append(next, value));
            }
            commit(&store.lmdb, ops);
            // Also rows that are not there, and stretches of them.
            let low = rng.random_range(0..=next);
            let share = rng.random_range(1..=100);
            let doomed: Vec<u64> = (low..next + 10)
                .filter(|_| rng.random_ratio(share, 100))
                .collect();
            doomed.iter().for_each(|n| drop(model.remove(&key(*n))));
            commit(&store.lmdb, doomed.into_iter().map(delete));
            if rng.random_ratio(1, 4) {
                store = store.restart();
            }
        }
        let store = store.restart();
        assert!(all_rows(&store.lmdb).into_iter().eq(model));
    }
}
