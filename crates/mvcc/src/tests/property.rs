//! Random runs against the model: transactions, all kinds of reads, compaction, flushes and restarts anywhere.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::model::{Answer, Model, ModelChange, Refusal};
use crate::backend::{Backend, BrokenCommit, Memory};
use crate::{
    Bucket, ChangeKind, CompactionHasher, Error, Flusher, KeyRange, KeySpace, Options, RangeQuery,
    Reader, Revision, SortOrder, SortTarget, View, WriteTxn,
};

struct World {
    rng: SmallRng,
    backend: Arc<dyn Backend>,
    /// The same backend, if its commits can be made to fail.
    memory: Option<Arc<Memory>>,
    space: KeySpace,
    flusher: Flusher,
    reader: Reader,
    hasher: CompactionHasher,
    /// Compactions by their revision, each with the one before; what a crash has undone included.
    compactions: Vec<(i64, i64)>,
    hashes_made: usize,
    model: Model,
    applied: u64,
    /// Each published state: the views of this life, and what a restart may come back to.
    published: Vec<(Option<Arc<View>>, Mark)>,
    /// Applied index and the value of a small row at it.
    small: u64,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    applied: u64,
    changes: usize,
    revision: i64,
    compacted: i64,
    small: u64,
}

const OPTIONS: Options = Options {
    overlay_bytes_max: 4000,
    flush_bytes: 1000,
    delete_rows_max: 5,
    trim_records_max: 7,
};

fn open(backend: &Arc<dyn Backend>) -> (KeySpace, Flusher) {
    KeySpace::open(backend.clone(), OPTIONS, &mut |_| {}).unwrap()
}

fn random_key(rng: &mut SmallRng) -> Vec<u8> {
    let keys: [&[u8]; 14] = [
        b"a",
        b"aa",
        b"ab",
        b"b",
        b"b\0",
        b"ba",
        b"c",
        b"d",
        b"da",
        b"\0",
        b"\xff",
        b"\xff\xff",
        b"e",
        b"f",
    ];
    keys[rng.random_range(0..keys.len())].to_vec()
}

fn pick_range<'a>(rng: &mut SmallRng, a: &'a [u8], b: &'a [u8]) -> KeyRange<'a> {
    match rng.random_range(0..5) {
        0 | 1 => KeyRange::Single(a),
        2 => KeyRange::From(a),
        3 => KeyRange::ALL,
        _ => KeyRange::Span { low: a, high: b },
    }
}

fn random_query<'a>(rng: &mut SmallRng, range: KeyRange<'a>, revision: i64) -> RangeQuery<'a> {
    let bound = |rng: &mut SmallRng| match rng.random_range(0..8) {
        0 => rng.random_range(-1..=revision + 1),
        _ => 0,
    };
    RangeQuery {
        range,
        revision: if rng.random() {
            0
        } else {
            rng.random_range(-1..=revision + 1)
        },
        limit: if rng.random() {
            0
        } else {
            rng.random_range(-1..6)
        },
        order: [
            SortOrder::None,
            SortOrder::None,
            SortOrder::Ascend,
            SortOrder::Descend,
        ][rng.random_range(0..4)],
        target: [
            SortTarget::Key,
            SortTarget::Key,
            SortTarget::Version,
            SortTarget::Create,
            SortTarget::Mod,
            SortTarget::Value,
        ][rng.random_range(0..6)],
        min_mod_revision: bound(rng),
        max_mod_revision: bound(rng),
        min_create_revision: bound(rng),
        max_create_revision: bound(rng),
        keys_only: rng.random_ratio(1, 4),
        count_only: rng.random_ratio(1, 6),
    }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Compacted => Refusal::Compacted,
        Error::Future => Refusal::Future,
        other => panic!("{other:?}"),
    }
}

impl World {
    fn new(seed: u64, backend: Arc<dyn Backend>, memory: Option<Arc<Memory>>) -> Self {
        let (space, flusher) = open(&backend);
        let reader = space.views().reader();
        let hasher = space.views().compaction_hasher();
        let mut world = Self {
            rng: SmallRng::seed_from_u64(seed),
            backend,
            memory,
            space,
            flusher,
            reader,
            hasher,
            compactions: Vec::new(),
            hashes_made: 0,
            model: Model::new(),
            applied: 0,
            published: Vec::new(),
            small: 0,
        };
        world.mark();
        world
    }

    fn mark(&mut self) {
        let mark = Mark {
            applied: self.applied,
            changes: self.model.changes.len(),
            revision: self.model.revision,
            compacted: self.model.compacted,
            small: self.small,
        };
        self.published.push((Some(self.reader.view()), mark));
        if self.published.len() > 300 {
            self.published.drain(..100);
        }
    }

    fn model_at(&self, mark: Mark) -> Model {
        Model {
            changes: self.model.changes[..mark.changes].to_vec(),
            revision: mark.revision,
            compacted: mark.compacted,
        }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..50 => self.transaction(),
            50..55 => self.compact(),
            55..75 => self.publish(),
            75..82 => drop(self.flusher.flush().unwrap()),
            82..88 => drop(self.flusher.flush().unwrap()),
            88..92 => {
                // It would publish a batch that is half applied.
                self.publish();
                let _more = self.space.maintain();
            }
            92..94 => self.small_row(),
            94 => self.restart(),
            95 => self.crash(),
            96 => self.hash_compaction(),
            97 => self.hasher.rest(Duration::ZERO),
            _ => self.reader.idle(),
        }
        for _ in 0..3 {
            self.check_range();
        }
        self.check_history();
        if self.rng.random_ratio(1, 4) {
            self.check_hash();
        }
    }

    fn publish(&mut self) {
        self.applied += 1;
        let view = self.space.publish(self.applied, 7);
        assert_eq!(
            (view.revision(), view.compacted()),
            (self.model.revision, self.model.compacted)
        );
        assert_eq!(
            (view.applied_index(), view.applied_term()),
            (self.applied, 7)
        );
        self.mark();
    }

    fn transaction(&mut self) {
        let main = self.model.revision + 1;
        let mut sub = 0;
        let before = self.model.changes.len();
        let mut txn = self.space.write();
        for _ in 0..self.rng.random_range(1..5) {
            let (key, other) = (random_key(&mut self.rng), random_key(&mut self.rng));
            match self.rng.random_range(0..6) {
                0..3 => {
                    let value = vec![b'v'; self.rng.random_range(0..40)];
                    let lease = if self.rng.random() {
                        0
                    } else {
                        self.rng.random_range(-3..9)
                    };
                    txn.put(&key, &value, lease);
                    let revision = Revision { main, sub };
                    self.model.changes.push(ModelChange {
                        revision,
                        key,
                        put: Some((value, lease)),
                    });
                    sub += 1;
                }
                3 => {
                    let range = pick_range(&mut self.rng, &key, &other);
                    let state = self.model.state(i64::MAX);
                    let expected: Vec<Vec<u8>> = state
                        .iter()
                        .filter(|(key, _)| range.contains(key))
                        .map(|(key, row)| row.encode(key))
                        .collect();
                    let want = self.rng.random();
                    let deleted = txn.delete_range(range, want).unwrap();
                    let count = self.model.delete(range, main, &mut sub);
                    assert_eq!(deleted.count, count as i64);
                    assert_eq!(deleted.previous, if want { expected } else { vec![] });
                }
                _ => check_txn_read(&mut self.rng, &mut txn, &self.model, sub > 0),
            }
        }
        let changes = txn.commit();
        if sub > 0 {
            self.model.revision = main;
        }
        assert_eq!(changes.revision, self.model.revision);
        let found: Vec<ModelChange> = changes.list.iter().map(model_change).collect();
        assert_eq!(found, self.model.changes[before..]);
    }

    fn compact(&mut self) {
        let revision = self.rng.random_range(-1..=self.model.revision + 1);
        let expected = if revision <= self.model.compacted {
            Err(Refusal::Compacted)
        } else if revision > self.model.revision {
            Err(Refusal::Future)
        } else {
            self.compactions.push((self.model.compacted, revision));
            self.model.compacted = revision;
            Ok(())
        };
        assert_eq!(self.space.compact(revision).map_err(refusal), expected);
    }

    fn small_row(&mut self) {
        self.small += 1;
        let value = self.small.to_string().into_bytes();
        self.space
            .put_row(Bucket::Lease, b"row", value.clone().into());
        self.space.put_row(Bucket::Lease, b"gone", value.into());
        self.space.delete_row(Bucket::Lease, b"gone");
        self.check_small_rows();
    }

    fn check_small_rows(&mut self) {
        let rows = self.space.scan_rows(Bucket::Lease).unwrap();
        if self.small == 0 {
            assert_eq!(rows, []);
        } else {
            let value = self.small.to_string().into_bytes();
            assert_eq!(rows, [("row".into(), value.clone().into())]);
            assert_eq!(
                self.space.get_row(Bucket::Lease, b"row").unwrap(),
                Some(value.into())
            );
        }
        assert_eq!(self.space.get_row(Bucket::Lease, b"gone").unwrap(), None);
    }

    /// Starts again from the backend: what was not flushed is gone.
    fn restart(&mut self) {
        let flushed = self.space.views().flushed_index();
        (self.space, self.flusher) = open(&self.backend);
        assert_eq!(self.space.applied().0, flushed);
        self.come_back();
    }

    /// A commit fails; nobody can tell whether it took place.
    fn crash(&mut self) {
        let Some(memory) = &self.memory else { return };
        let broken = [BrokenCommit::Lost, BrokenCommit::Kept][self.rng.random_range(0..2)];
        memory.break_next_commit(broken);
        let nothing_to_do = self.flusher.flush().is_ok();
        if !nothing_to_do {
            assert!(matches!(self.flusher.flush(), Err(Error::Poisoned)));
        }
        let memory = Arc::new(memory.restarted());
        self.backend = memory.clone();
        self.memory = Some(memory);
        (self.space, self.flusher) = open(&self.backend);
        self.come_back();
    }

    /// Takes the model back to what the backend holds.
    fn come_back(&mut self) {
        self.reader = self.space.views().reader();
        self.hasher = self.space.views().compaction_hasher();
        let applied = self.space.applied().0;
        let mark = self
            .published
            .iter()
            .rev()
            .find(|(_, mark)| mark.applied == applied);
        let mark = mark.expect("the flushed view is a published one").1;
        self.model = self.model_at(mark);
        self.small = mark.small;
        self.applied = mark.applied;
        assert_eq!(self.space.revision(), mark.revision);
        assert_eq!(self.space.compacted(), mark.compacted);
        self.published
            .retain(|(_, published)| published.applied < mark.applied);
        self.published.iter_mut().for_each(|(view, _)| *view = None);
        self.mark();
        self.check_small_rows();
    }

    /// A published view of this life, mostly the newest, with the model at it.
    fn random_view(&mut self) -> (Arc<View>, Model) {
        let usable = self
            .published
            .iter()
            .filter(|(view, _)| view.is_some())
            .count();
        let back = if self.rng.random() {
            0
        } else {
            self.rng.random_range(0..usable.min(12))
        };
        let (view, mark) = &self.published[self.published.len() - 1 - back];
        (
            view.clone().expect("one of the usable ones"),
            self.model_at(*mark),
        )
    }

    fn newest_model(&self) -> Model {
        self.model_at(self.published.last().expect("the first view at least").1)
    }

    fn check_range(&mut self) {
        let (view, model) = self.random_view();
        let (a, b) = (random_key(&mut self.rng), random_key(&mut self.rng));
        let range = pick_range(&mut self.rng, &a, &b);
        let query = random_query(&mut self.rng, range, model.revision);
        let mut rows = Vec::new();
        let result = self.reader.range(&view, &query, &mut |row| {
            rows.push((row.key.to_vec(), row.encoded.to_vec()));
        });
        let newest = self.newest_model();
        match result {
            Ok(result) => {
                let model = if result.revision == model.revision {
                    model
                } else {
                    newest
                };
                assert_eq!(result.revision, model.revision);
                let found: Answer = (rows, result.count, result.more);
                assert_eq!(Ok(found), model.range(&query), "{query:?} in {view:?}");
            }
            Err(error) => {
                let error = refusal(error);
                let refused = model.resolve(query.revision).err();
                let since = newest.resolve(query.revision).err();
                assert!(Some(error) == refused || (refused.is_none() && Some(error) == since));
            }
        }
        self.check_get(&view, &a, query.revision);
    }

    fn check_get(&mut self, view: &View, key: &[u8], revision: i64) {
        let model = self.newest_model();
        let range = KeyRange::Single(key);
        let found = self.reader.get(view, key, revision, |row| {
            (row.key.to_vec(), row.encoded.to_vec())
        });
        if view.revision() == model.revision && view.compacted() == model.compacted {
            let expected = model.range(&RangeQuery {
                revision,
                ..RangeQuery::new(range)
            });
            let found = found
                .map_err(refusal)
                .map(|row| row.into_iter().collect::<Vec<_>>());
            assert_eq!(found, expected.map(|(rows, _, _)| rows));
        }
    }

    fn check_history(&mut self) {
        let (view, model) = self.random_view();
        let low = self.rng.random_range(0..=model.revision + 1);
        let high = self.rng.random_range(low - 1..=model.revision + 2);
        let rows_max = self.rng.random_range(1..20);
        let (mut found, mut next) = (Vec::new(), low);
        while next <= high.min(model.revision) {
            let before = found.len();
            let result = self
                .reader
                .changes(&view, next, high, rows_max, &mut |change| {
                    let key = crate::RecordKey {
                        revision: change.revision,
                        tombstone: change.tombstone,
                    };
                    found.push((key, change.encoded.to_vec()));
                });
            match result {
                Ok(after) => {
                    assert!(after > next, "no progress");
                    next = after;
                }
                Err(error) => {
                    assert_eq!(refusal(error), Refusal::Compacted);
                    assert_eq!(found.len(), before);
                    assert!(next < self.newest_model().compacted);
                    break;
                }
            }
        }
        assert_eq!(found, model.history(low, next - 1));
    }

    /// Makes the hash of the newest compaction, however far its deletes and those of earlier ones have come.
    fn hash_compaction(&mut self) {
        let Some(hash) = self.hasher.hash_newest().unwrap() else {
            return;
        };
        self.hashes_made += 1;
        let (previous, revision) = (hash.compact_revision, hash.hash_revision);
        assert!(self.compactions.contains(&(previous, revision)));
        let expected = self.model.compaction_hash(previous, revision);
        assert_eq!(hash.hash, expected, "{hash:?}");
        let views = self.space.views();
        assert_eq!(views.compaction_hash(revision), Some(hash));
        let kept = views.compaction_hashes();
        assert!(kept.len() <= 10 && kept.is_sorted_by(|a, b| a.hash_revision > b.hash_revision));
        let answer = self.reader.hash_kv(&self.reader.view(), revision).unwrap();
        assert!(revision == 0 || answer == hash, "{answer:?}, not {hash:?}");
    }

    fn check_hash(&mut self) {
        let (view, model) = self.random_view();
        let newest = self.newest_model();
        let revision = self.rng.random_range(0..=model.revision + 1);
        match self.reader.hash_anew(&view, revision) {
            Ok(hash) => {
                // A later compaction may have made the reader start again in the newest view.
                let model = if hash.compact_revision == model.compacted {
                    model
                } else {
                    newest
                };
                assert_eq!(hash.compact_revision, model.compacted);
                let at = if revision == 0 {
                    hash.hash_revision
                } else {
                    revision
                };
                assert_eq!((hash.hash_revision, hash.hash), (at, model.hash(at)));
            }
            Err(error) => {
                let error = Err(refusal(error));
                assert!(error == model.resolve(revision) || error == newest.resolve(revision));
            }
        }
    }

    /// Lets all work end, then looks at what is left in the backend.
    fn settle(&mut self) {
        self.publish();
        self.hash_compaction();
        loop {
            self.flusher.flush().unwrap();
            let more = self.space.maintain();
            self.flusher.flush().unwrap();
            if !more && !self.flusher.has_deletes() {
                break;
            }
        }
        self.mark();
        let compacted = self.model.compacted;
        assert_eq!(self.space.views().compaction_finished(), compacted);
        let visible: Vec<Revision> = self
            .model
            .state(compacted)
            .values()
            .map(|row| row.revision)
            .collect();
        let history = self.model.history(0, i64::MAX);
        let kept = history
            .into_iter()
            .filter(|(key, _)| key.revision.main >= compacted || visible.contains(&key.revision));
        let expected: Vec<(Vec<u8>, Vec<u8>)> =
            kept.map(|(key, row)| (key.encode(), row)).collect();
        let mut found = Vec::new();
        let snapshot = self.backend.snapshot().unwrap();
        let scan = snapshot.scan(Bucket::Key, &[], None, &mut |key, row| {
            found.push((key.to_vec(), row.to_vec()));
            std::ops::ControlFlow::Continue(())
        });
        scan.unwrap();
        assert_eq!(found, expected);
        assert_eq!(self.space.unflushed_bytes(), 0);
    }
}

fn check_txn_read(rng: &mut SmallRng, txn: &mut WriteTxn<'_>, model: &Model, changed: bool) {
    let (a, b) = (random_key(rng), random_key(rng));
    let range = pick_range(rng, &a, &b);
    let query = random_query(rng, range, model.revision);
    let now = model.revision + i64::from(changed);
    let model = Model {
        revision: now,
        ..model.clone()
    };
    let mut rows = Vec::new();
    let found = txn
        .range(&query, &mut |row| {
            rows.push((row.key.to_vec(), row.encoded.to_vec()))
        })
        .map_err(refusal);
    let found = found.map(|result| {
        assert_eq!(result.revision, now);
        (rows, result.count, result.more)
    });
    assert_eq!(found, model.range(&query));

    let state = model.state(i64::MAX);
    let expected = state.get(&a);
    assert_eq!(
        txn.get(&a).unwrap().map(|row| row.to_vec()),
        expected.map(|row| row.encode(&a))
    );
    let meta = txn
        .meta(&a)
        .map(|meta| (meta.create_revision, meta.mod_revision, meta.version));
    assert_eq!(
        meta,
        expected.map(|row| (row.create, row.revision.main, row.version))
    );
}

fn model_change(change: &crate::Change) -> ModelChange {
    let row = crate::KeyValue::decode(&change.row).unwrap();
    let put = (change.kind == ChangeKind::Put).then(|| (row.value.to_vec(), change.lease));
    assert_eq!((row.lease, row.version), (change.lease, change.version));
    assert_eq!(row.create_revision, change.create_revision);
    ModelChange {
        revision: change.revision,
        key: change.key().to_vec(),
        put,
    }
}

/// Returns how many compactions were hashed.
fn run(seed: u64, steps: usize, backend: Arc<dyn Backend>, memory: Option<Arc<Memory>>) -> usize {
    println!("seed {seed}");
    let mut world = World::new(seed, backend, memory);
    for _ in 0..steps {
        world.step();
    }
    world.settle();
    world.check_small_rows();
    world.restart();
    world.settle();
    for _ in 0..50 {
        world.check_range();
        world.check_history();
        world.check_hash();
    }
    world.hashes_made
}

fn run_in_memory(seed: u64, steps: usize) -> usize {
    let memory = Arc::new(Memory::new());
    run(seed, steps, memory.clone(), Some(memory))
}

/// covers: P-KV-02, P-KV-04, P-KV-06, P-KV-07, P-KV-10, P-KV-11, P-KV-12, P-W-08, R-009, R-022, R-031, D-23
#[test]
fn agrees_with_the_model_in_memory() {
    let hashed: usize = (0..25).map(|seed| run_in_memory(seed, 250)).sum();
    assert!(hashed > 25, "{hashed} compactions were hashed");
}

#[test]
#[ignore = "reason: minutes"]
fn agrees_with_the_model_in_memory_for_long() {
    for seed in 1000..1500 {
        run_in_memory(seed, 400);
    }
}

#[cfg(feature = "lmdb")]
#[test]
fn agrees_with_the_model_in_lmdb() {
    for seed in 100..103 {
        let dir = tempfile::tempdir().unwrap();
        let options = crate::backend::LmdbOptions::default();
        let lmdb = crate::backend::Lmdb::open(dir.path(), options).unwrap();
        run(seed, 150, Arc::new(lmdb), None);
    }
}
