//! The index against a map from keys to lists of records.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

type Model = BTreeMap<Vec<u8>, Vec<Record>>;

fn seen(records: &[Record], at: i64) -> Option<Record> {
    records
        .iter()
        .rev()
        .find(|r| r.main <= at)
        .filter(|r| !r.is_tombstone())
        .copied()
}

/// What a compaction keeps, said plainly: everything from `compacted` on, and below it what a read at it sees.
fn compact(records: &mut Vec<Record>, compacted: i64) {
    let visible = seen(records, compacted);
    records.retain(|record| record.main >= compacted || Some(*record) == visible);
}

fn check(index: &Index, model: &Model, range: KeyRange<'_>, at: i64) {
    let expected: Vec<(Vec<u8>, Record)> = model
        .iter()
        .filter(|(key, _)| range.contains(key))
        .filter_map(|(key, records)| Some((key.clone(), seen(records, at)?)))
        .collect();
    assert_eq!(
        index.count(range, at),
        expected.len() as u64,
        "{range:?} at {at}"
    );
    for direction in [Direction::Up, Direction::Down] {
        let mut found = Vec::new();
        index.walk(range, at, direction, |key, record| {
            found.push((key.to_vec(), record));
            ControlFlow::Continue(())
        });
        if direction == Direction::Down {
            found.reverse();
        }
        assert_eq!(found, expected, "{range:?} at {at} {direction:?}");
    }
}

fn check_structure(node: &Node, low: Option<&[u8]>, high: Option<&[u8]>) {
    match node {
        Node::Leaf(leaf) => {
            assert_eq!(leaf.keys.len(), leaf.len());
            for i in 0..leaf.keys.len() {
                let key = leaf.keys.get(i);
                assert!(low.is_none_or(|low| low <= key) && high.is_none_or(|high| key < high));
                assert!(i == 0 || leaf.keys.get(i - 1) < key);
            }
        }
        Node::Branch(branch) => {
            assert_eq!(branch.separators.len() + 1, branch.children.len());
            for (i, child) in branch.children.iter().enumerate() {
                let low = if i == 0 {
                    low
                } else {
                    Some(branch.separators.get(i - 1))
                };
                let last = i == branch.children.len() - 1;
                let high = if last {
                    high
                } else {
                    Some(branch.separators.get(i))
                };
                assert_eq!(child.totals, child.node.totals());
                assert!(child.newest >= Child::of(child.node.clone()).newest);
                check_structure(&child.node, low, high);
            }
        }
    }
}

fn random_key(rng: &mut SmallRng) -> Vec<u8> {
    match rng.random_range(0..20) {
        0 => vec![b'x'; rng.random_range(0..3000)],
        1 => format!("x{}", rng.random_range(0..50)).into_bytes(),
        _ => format!("key/{}", rng.random_range(0..1200)).into_bytes(),
    }
}

struct Run {
    rng: SmallRng,
    index: Index,
    model: Model,
    main: i64,
    compacted: i64,
}

impl Run {
    fn write(&mut self) {
        self.main += 1;
        for sub in 0..self.rng.random_range(1..4) {
            let revision = Revision {
                main: self.main,
                sub,
            };
            let key = random_key(&mut self.rng);
            let records = self.model.entry(key.clone()).or_default();
            let alive = records.last().is_some_and(|record| !record.is_tombstone());
            let write = if alive && self.rng.random_ratio(1, 3) {
                Write::Delete(revision)
            } else {
                Write::Put(revision)
            };
            let expected = write.record(records.last());
            records.push(expected);
            assert_eq!(self.index.write(&key, write), expected);
        }
        self.model.retain(|_, records| !records.is_empty());
    }

    fn trim(&mut self) {
        self.compacted = self.rng.random_range(self.compacted.max(0)..=self.main);
        let mut before: Vec<RecordKey> = records(&self.model);
        self.model
            .values_mut()
            .for_each(|records| compact(records, self.compacted));
        self.model.retain(|_, records| !records.is_empty());
        let after = records(&self.model);
        before.retain(|key| !after.contains(key));

        let mut dropped = Vec::new();
        let mut from = Some(Vec::new());
        while let Some(key) = from {
            let budget = self.rng.random_range(1..100);
            from = self.index.trim(&key, self.compacted, budget, &mut dropped);
        }
        before.sort();
        dropped.sort();
        assert_eq!(dropped, before);
    }

    fn random_range_check(&mut self, index: &Index, model: &Model, low_at: i64, high_at: i64) {
        let (a, b) = (random_key(&mut self.rng), random_key(&mut self.rng));
        let range = match self.rng.random_range(0..4) {
            0 => KeyRange::Single(&a),
            1 => KeyRange::From(&a),
            2 => KeyRange::ALL,
            _ => KeyRange::Span { low: &a, high: &b },
        };
        let at = self.rng.random_range(low_at..=high_at);
        check(index, model, range, at);
    }
}

fn records(model: &Model) -> Vec<RecordKey> {
    let all = model.values().flatten();
    all.map(|r| RecordKey {
        revision: r.revision(),
        tombstone: r.is_tombstone(),
    })
    .collect()
}

#[test]
fn agrees_with_a_map_and_old_clones_never_change() {
    for seed in 0..6 {
        println!("seed {seed}");
        let rng = SmallRng::seed_from_u64(seed);
        let mut run = Run {
            rng,
            index: Index::default(),
            model: Model::new(),
            main: 1,
            compacted: -1,
        };
        let mut clones: Vec<(Index, Model, i64, i64)> = Vec::new();
        for step in 0..4000 {
            run.write();
            if run.rng.random_ratio(1, 400) {
                run.trim();
            }
            if run.rng.random_ratio(1, 100) {
                clones.push((
                    run.index.clone(),
                    run.model.clone(),
                    run.compacted,
                    run.main,
                ));
                if clones.len() > 5 {
                    let oldest = run.rng.random_range(0..5);
                    clones.swap_remove(oldest);
                }
            }
            if step % 200 == 0 {
                check_structure(&run.index.root, None, None);
                for (index, model, low, high) in &clones {
                    run.random_range_check(index, model, *low, *high);
                }
                let (index, model) = (run.index.clone(), run.model.clone());
                let (low, high) = (run.compacted, run.main + 1);
                run.random_range_check(&index, &model, low, high);
            }
        }
    }
}

#[test]
fn everything_deleted_and_compacted_leaves_an_empty_tree() {
    let mut index = Index::default();
    for main in 0..5000 {
        index.write(
            &i64::to_be_bytes(main),
            Write::Put(Revision { main, sub: 0 }),
        );
    }
    assert_eq!(
        index.totals(),
        Totals {
            live: 5000,
            stale: 0
        }
    );
    for main in 5000..10_000 {
        index.write(
            &i64::to_be_bytes(main - 5000),
            Write::Delete(Revision { main, sub: 0 }),
        );
    }
    assert_eq!(
        index.totals(),
        Totals {
            live: 0,
            stale: 5000
        }
    );
    let mut dropped = Vec::new();
    let mut from = Some(Vec::new());
    while let Some(key) = from {
        from = index.trim(&key, 10_000, 64, &mut dropped);
    }
    assert_eq!(dropped.len(), 10_000);
    assert_eq!(index.totals(), Totals::default());
    assert!(matches!(&index.root, Node::Leaf(leaf) if leaf.len() == 0));
}

#[test]
fn a_key_written_once_takes_about_fifty_bytes_and_itself() {
    let mut index = Index::default();
    let mut rng = SmallRng::seed_from_u64(1);
    for main in 0..50_000 {
        let key = format!("/registry/pods/{:010}", rng.random::<u32>());
        index.write(key.as_bytes(), Write::Put(Revision { main, sub: 0 }));
    }
    let per_key = index.memory() / 50_000;
    assert!(
        (65..85).contains(&per_key),
        "{per_key} bytes with a key of 25"
    );
}

/// Writes the records of some transactions one by one, and in rounds of sorted runs.
#[test]
fn a_merged_index_is_the_one_that_was_written() {
    for (seed, transactions) in [(1, 1), (2, 300), (3, 18_000)] {
        let rng = SmallRng::seed_from_u64(seed);
        let mut run = Run {
            rng,
            index: Index::default(),
            model: Model::new(),
            main: 1,
            compacted: -1,
        };
        (0..transactions).for_each(|_| run.write());
        let mut all: Vec<(Record, &[u8])> = Vec::new();
        for (key, records) in &run.model {
            all.extend(records.iter().map(|record| (*record, key.as_slice())));
        }
        all.sort_by_key(|(record, _)| record.revision());

        let mut merged = Index::default();
        for round in all.chunks(all.len() / 2 + 1) {
            let mut runs = [const { Vec::new() }; 3];
            for item in round {
                runs[run.rng.random_range(0..3)].push(*item);
            }
            let sorted = runs.map(|items| {
                let mut run = super::run::Run::default();
                items.iter().for_each(|(record, key)| run.add(key, *record));
                run.sort();
                run
            });
            merged = merged.merged(&sorted);
            check_structure(&merged.root, None, None);
        }
        assert_eq!(merged.totals(), run.index.totals());
        for _ in 0..5 {
            let (model, main) = (run.model.clone(), run.main);
            run.random_range_check(&merged, &model, 0, main);
        }
        // It goes on as any other.
        run.index = merged;
        run.compacted = 0;
        (0..100).for_each(|_| run.write());
        run.trim();
        check_structure(&run.index.root, None, None);
    }
}
