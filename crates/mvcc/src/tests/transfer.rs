//! A state on its way from one replica to another: exported in steps, imported, installed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::backend::{Backend, Memory};
use crate::{
    Bucket, Error, Export, Flusher, Import, KeyRange, KeySpace, Options, RangeQuery, Views, Wake,
};

const OPTIONS: Options = Options {
    overlay_bytes_max: 1 << 20,
    flush_bytes: 2_000,
    delete_rows_max: 5,
    trim_records_max: 8,
};

/// One copy of the replicated state. What an entry does is a function of its index and of the state.
struct Replica {
    space: KeySpace,
    flusher: Flusher,
    backend: Arc<dyn Backend>,
    applied: u64,
}

impl Replica {
    fn open(backend: Arc<dyn Backend>) -> Self {
        let (space, flusher) = KeySpace::open(backend.clone(), OPTIONS, &mut |_| {}).unwrap();
        let (applied, _) = space.applied();
        Self {
            space,
            flusher,
            backend,
            applied,
        }
    }

    fn apply_to(&mut self, index: u64) {
        for index in self.applied + 1..=index {
            let mut rng = SmallRng::seed_from_u64(index);
            let key = |rng: &mut SmallRng| format!("k{:02}", rng.random_range(0..40));
            let mut txn = self.space.write();
            for _ in 0..rng.random_range(1..4) {
                if rng.random_ratio(1, 4) {
                    let key = key(&mut rng);
                    let range = KeyRange::Single(key.as_bytes());
                    txn.delete_range(range, false).unwrap();
                } else {
                    let value = vec![index as u8; rng.random_range(0..50)];
                    txn.put(key(&mut rng).as_bytes(), &value, 0);
                }
            }
            txn.commit();
            if rng.random_ratio(1, 30) && self.space.revision() > 40 {
                let revision = (self.space.revision() - 20).max(self.space.compacted() + 1);
                self.space.compact(revision).unwrap();
            }
            let row = Bytes::copy_from_slice(&index.to_be_bytes());
            let lease = rng.random_range(0..9_u64).to_be_bytes();
            self.space.put_row(Bucket::Lease, &lease, row);
            self.space.publish(index, 1 + index / 50);
            self.applied = index;
        }
    }

    fn work(&mut self, rng: &mut SmallRng) {
        if rng.random() {
            self.flusher.flush().unwrap();
        }
        if rng.random() {
            self.space.maintain();
        }
    }

    fn settle(&mut self) {
        loop {
            self.flusher.flush().unwrap();
            let more = self.space.maintain();
            self.flusher.flush().unwrap();
            if !more && !self.flusher.has_deletes() {
                return;
            }
        }
    }

    fn install(&mut self, index: u64) -> Result<(), Error> {
        self.space.install(index, &mut |_| {}, &mut |_| Ok(()))?;
        self.applied = index;
        Ok(())
    }

    /// Everything that a reader can find out.
    fn contents(&mut self) -> Contents {
        let views = self.space.views();
        let (mut reader, view) = (views.reader(), views.load());
        let oldest = view.compacted().max(1);
        let mut states = Vec::new();
        for revision in oldest..=view.revision() {
            let query = RangeQuery {
                revision,
                ..RangeQuery::new(KeyRange::ALL)
            };
            let mut rows = Vec::new();
            let mut sink = |row: crate::RowRef<'_>| rows.push(row.encoded.to_vec());
            reader.range(&view, &query, &mut sink).unwrap();
            states.push((rows, reader.hash_kv(&view, revision).unwrap().hash));
        }
        let mut changes = Vec::new();
        let mut visit = |change: crate::ChangeRef<'_>| changes.push(change.encoded.to_vec());
        reader
            .changes(&view, oldest + 1, i64::MAX, usize::MAX, &mut visit)
            .unwrap();
        Contents {
            applied: (view.applied_index(), view.applied_term()),
            revisions: (view.revision(), view.compacted()),
            states,
            changes,
            leases: self.space.scan_rows(Bucket::Lease).unwrap(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    applied: (u64, u64),
    revisions: (i64, i64),
    /// The rows and the hash at each readable revision.
    states: Vec<(Vec<Vec<u8>>, u32)>,
    changes: Vec<Vec<u8>>,
    leases: Vec<(Bytes, Bytes)>,
}

/// Moves an export into a backend and returns its index; `between` is called between the steps.
pub(super) fn transfer(export: &mut Export, to: &dyn Backend, between: &mut dyn FnMut()) -> u64 {
    let head = export.head().clone();
    let mut import = Import::begin(to, head.applied_index, head.applied_term).unwrap();
    for (bucket, key, value) in head.small_rows {
        import.add(bucket, key, value).unwrap();
    }
    while step(export, &mut import) {
        between();
    }
    import.finish().unwrap();
    head.applied_index
}

fn step(export: &mut Export, import: &mut Import) -> bool {
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
    };
    let more = export.step(300, &mut visit).unwrap();
    for (key, value) in rows {
        import.add(Bucket::Key, key, value).unwrap();
    }
    more
}

fn run(seed: u64, backends: [Arc<dyn Backend>; 2]) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let [source_backend, target_backend] = backends;
    let mut source = Replica::open(source_backend);
    let mut target = Replica::open(target_backend.clone());
    for _ in 0..5 {
        let ahead = target.applied + rng.random_range(20..200);
        while source.applied < ahead {
            source.apply_to((source.applied + 5).min(ahead));
            source.work(&mut rng);
        }
        source.flusher.flush().unwrap();
        // The target has applied more or less of the same log, some of it unflushed.
        target.apply_to(rng.random_range(target.applied..source.applied));
        target.work(&mut rng);

        let mut export = source.space.views().export(usize::MAX >> 1).unwrap();
        let last = rng.random_range(0..100);
        let index = transfer(&mut export, &*target_backend, &mut || {
            source.apply_to(source.applied + last / 40);
            source.work(&mut rng);
        });
        drop(export);

        target.install(index).unwrap();
        let mut replayed = Replica::open(Arc::new(Memory::new()));
        replayed.apply_to(index);
        assert_eq!(target.contents(), replayed.contents());
        // It goes on as if nothing had been.
        source.apply_to(index + 30);
        target.apply_to(source.applied);
        target.work(&mut rng);
        assert_eq!(target.contents(), source.contents());
        if rng.random() {
            drop(target);
            target = Replica::open(target_backend.clone());
            target.apply_to(source.applied);
            assert_eq!(target.contents(), source.contents());
        }
    }
    source.settle();
    target.settle();
    assert_eq!(target.contents(), source.contents());
    let finished = |replica: &Replica| replica.space.views().compaction_finished();
    assert_eq!(finished(&target), finished(&source));
    assert_eq!(target.backend.received().unwrap(), [0; 0]);
}

/// covers: P-KV-07, P-KV-09, L-20, R-004, M-07
#[test]
fn an_installed_state_equals_a_replayed_log() {
    for seed in 0..8 {
        run(seed, [Arc::new(Memory::new()), Arc::new(Memory::new())]);
    }
}

#[cfg(feature = "lmdb")]
#[test]
fn an_installed_state_equals_a_replayed_log_in_lmdb() {
    use crate::backend::{Lmdb, LmdbOptions};
    for seed in 100..103 {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let open = |dir: &tempfile::TempDir| -> Arc<dyn Backend> {
            Arc::new(Lmdb::open(dir.path(), LmdbOptions::default()).unwrap())
        };
        run(seed, [open(&dirs[0]), open(&dirs[1])]);
    }
}

/// An export that goes back to an earlier row, or that begins anew at the same index, gives the same rows.
///
/// covers: N-09
#[test]
fn an_export_goes_on_from_any_row() {
    let mut source = Replica::open(Arc::new(Memory::new()));
    source.apply_to(200);
    source.settle();
    let mut export = source.space.views().export(1000).unwrap();
    let keys = |export: &mut Export, steps: usize| {
        let mut keys = Vec::new();
        for _ in 0..steps {
            let mut visit = |key: &[u8], _: &[u8]| keys.push(key.to_vec());
            if !export.step(100, &mut visit).unwrap() {
                break;
            }
        }
        keys
    };
    let all = keys(&mut export, usize::MAX);
    assert!(all.len() > 20 && all.is_sorted());
    for behind in [0, 1, 7, all.len() - 1] {
        let key = crate::RecordKey::decode(&all[behind]).unwrap();
        export.seek(Some(key));
        assert_eq!(keys(&mut export, usize::MAX), all[behind + 1..]);
    }
    export.seek(None);
    source.apply_to(400);
    source.settle();
    let first = keys(&mut export, 3);
    assert_eq!(first, all[..first.len()]);
}

/// covers: L-20
#[test]
fn an_export_that_costs_too_much_fails_and_deletes_go_on() {
    let mut source = Replica::open(Arc::new(Memory::new()));
    source.apply_to(100);
    source.settle();
    let views: Views = source.space.views();
    let rows = |source: &Replica| {
        let mut rows = 0;
        let snapshot = source.backend.snapshot().unwrap();
        let scan = snapshot.scan(Bucket::Key, &[], None, &mut |_, _| {
            rows += 1;
            std::ops::ControlFlow::Continue(())
        });
        scan.unwrap();
        rows
    };
    let mut export = views.export(20).unwrap();
    let other = views.export(1_000_000).unwrap();
    while export.step(1, &mut |_, _| {}).is_ok() {
        export.seek(None);
        source.apply_to(source.applied + 1);
        source.flusher.flush().unwrap();
        source.space.maintain();
        assert!(source.applied < 10_000, "the budget is never spent");
    }
    // The other one may cost more, so nothing is deleted yet.
    source.settle();
    let held = rows(&source);
    drop(other);
    source.settle();
    assert!(rows(&source) < held);
    // A dropped one holds nothing back either.
    drop(views.export(1_000_000).unwrap());
    let compacted = source.space.compacted();
    source.apply_to(source.applied + 100);
    source.settle();
    assert!(source.space.views().compaction_finished() > compacted);
}

/// The flusher finds nothing to do while an export holds deletes back, and sleeps. Whoever ends that wakes it.
#[test]
fn the_end_of_an_export_wakes_the_flusher() {
    let mut source = Replica::open(Arc::new(Memory::new()));
    source.apply_to(100);
    source.settle();
    let mut export = source.space.views().export(1_000_000).unwrap();
    source.apply_to(200);
    source.settle();
    let mut flusher = source.flusher;
    assert_eq!(flusher.wait(Duration::ZERO), Wake::Timeout);
    let sleeping = std::thread::spawn(move || flusher.wait(Duration::from_secs(30)));
    // One that does not sleep yet would see by itself that the export has gone: these give it time to.
    for _ in 0..1_000 {
        export.seek(None);
        export.step(usize::MAX, &mut |_, _| {}).unwrap();
    }
    drop(export);
    assert_eq!(sleeping.join().unwrap(), Wake::DeletesDue);
}

#[test]
fn an_export_needs_something_durable() {
    let mut source = Replica::open(Arc::new(Memory::new()));
    source.apply_to(10);
    assert!(source.space.views().export(10).is_err());
    assert_eq!(source.flusher.wait(Duration::ZERO), Wake::Timeout);
    source.space.views().request_flush();
    assert_eq!(source.flusher.wait(Duration::ZERO), Wake::FlushDue);
    source.flusher.flush().unwrap();
    let export = source.space.views().export(10).unwrap();
    assert_eq!(export.head().applied_index, 10);
    assert_eq!(KeySpace::stored_applied(&*source.backend).unwrap(), (10, 1));
    assert_eq!(export.head().revision, source.space.revision());
}

/// An install takes the rows away from under an export, which must not give the rows of two states.
///
/// covers: D-21
#[test]
fn an_export_ends_with_its_state() {
    let mut source = Replica::open(Arc::new(Memory::new()));
    source.apply_to(100);
    source.flusher.flush().unwrap();
    let mut target = Replica::open(Arc::new(Memory::new()));
    target.apply_to(50);
    target.flusher.flush().unwrap();
    let mut old = target.space.views().export(1000).unwrap();
    old.step(1, &mut |_, _| {}).unwrap();
    let mut export = source.space.views().export(1000).unwrap();
    let index = transfer(&mut export, &*target.backend, &mut || {});
    target.install(index).unwrap();
    assert!(old.step(1, &mut |_, _| {}).is_err());
}

/// covers: P-KV-04, Q-15
#[test]
fn a_state_that_is_not_ahead_is_refused() {
    let mut source = Replica::open(Arc::new(Memory::new()));
    source.apply_to(60);
    source.flusher.flush().unwrap();
    for applied in [60, 61, 90] {
        let mut target = Replica::open(Arc::new(Memory::new()));
        target.apply_to(applied);
        let mut export = source.space.views().export(1000).unwrap();
        let index = transfer(&mut export, &*target.backend, &mut || {});
        assert!(target.install(index).is_err());
        // Nobody knows what a restart would find, so nothing more is written.
        target.apply_to(applied + 1);
        assert!(target.flusher.flush().is_err());
    }
}

/// covers: D-06
#[test]
fn an_import_refuses_what_is_no_state() {
    let backend = Memory::new();
    let bytes = |text: &'static [u8]| Bytes::from_static(text);
    let number = |n: u64| Bytes::copy_from_slice(&n.to_be_bytes());
    let begin = || Import::begin(&backend, 7, 2).unwrap();
    let mut import = begin();
    let bad_key = import.add(Bucket::Key, bytes(b"not a revision"), bytes(b""));
    assert!(matches!(bad_key, Err(Error::Corrupt { .. })));
    drop(import);
    let mut import = begin();
    let key = crate::revision::encode_revision(crate::Revision { main: 2, sub: 0 });
    let bad_row = import.add(Bucket::Key, Bytes::copy_from_slice(&key), bytes(b"\xff"));
    assert!(matches!(bad_row, Err(Error::Corrupt { .. })));
    drop(import);
    for (index, term) in [
        (None, Some(2)),
        (Some(7), None),
        (Some(8), Some(2)),
        (Some(7), Some(1)),
    ] {
        let mut import = begin();
        if let Some(index) = index {
            import
                .add(Bucket::Meta, bytes(b"consistent_index"), number(index))
                .unwrap();
        }
        if let Some(term) = term {
            import
                .add(Bucket::Meta, bytes(b"term"), number(term))
                .unwrap();
        }
        assert!(import.finish().is_err());
        assert_eq!(backend.received().unwrap(), [0; 0]);
    }
}
