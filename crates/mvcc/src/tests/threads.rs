//! Readers in threads of their own while the owner writes and compacts and the flusher works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::backend::{Backend, Memory};
use crate::{
    Bucket, Error, Flusher, KeyRange, KeySpace, KeyValue, Options, RangeQuery, Reader, Views, Wake,
};

const KEYS: i64 = 61;
const OPTIONS: Options = Options {
    overlay_bytes_max: 30_000,
    flush_bytes: 5_000,
    delete_rows_max: 50,
    trim_records_max: 16,
};

/// Transaction `main` puts key `main % KEYS` with the value `main`, and deletes the key after it if `main` is even. So
/// the state at any revision is known without a list.
fn write(space: &mut KeySpace) {
    let main = space.revision() + 1;
    let mut txn = space.write();
    txn.put(&key(main), main.to_string().as_bytes(), 0);
    if main % 2 == 0 {
        let deleted = txn
            .delete_range(KeyRange::Single(&key(main + 1)), true)
            .unwrap();
        for row in deleted.previous {
            assert_eq!(KeyValue::decode(&row).unwrap().key, key(main + 1));
        }
    }
    txn.commit();
}

fn key(main: i64) -> Vec<u8> {
    format!("key{:03}", main % KEYS).into_bytes()
}

/// The keys that exist at a revision, with the revision of their last put.
fn expected(at: i64) -> Vec<(Vec<u8>, i64)> {
    let mut rows: Vec<(Vec<u8>, i64)> = (0..KEYS)
        .filter_map(|k| {
            let put = (2..=at)
                .rev()
                .take(KEYS as usize)
                .find(|main| main % KEYS == k)?;
            let deleted = (put + 1..=at).any(|main| main % 2 == 0 && (main + 1) % KEYS == k);
            (!deleted).then(|| (key(put), put))
        })
        .collect();
    rows.sort();
    rows
}

fn read(reader: &mut Reader, rng: &mut SmallRng) {
    let view = reader.view();
    let back = if rng.random() {
        0
    } else {
        rng.random_range(0..100)
    };
    let revision = if back == 0 {
        0
    } else {
        (view.revision() - back).max(1)
    };
    let query = RangeQuery {
        revision,
        ..RangeQuery::new(KeyRange::ALL)
    };
    let mut rows = Vec::new();
    let result = reader.range(&view, &query, &mut |row| {
        let stored = KeyValue::decode(row.encoded).unwrap();
        assert_eq!(stored.value, stored.mod_revision.to_string().as_bytes());
        rows.push((row.key.to_vec(), stored.mod_revision));
    });
    match result {
        Ok(result) => {
            let at = if revision == 0 {
                result.revision
            } else {
                revision
            };
            assert_eq!(rows, expected(at));
            assert_eq!(result.count, rows.len() as i64);
        }
        Err(Error::Compacted) => assert!(revision > 0 && revision < reader.view().compacted()),
        Err(other) => panic!("{other:?}"),
    }
    catch_up(reader, rng);
}

fn catch_up(reader: &mut Reader, rng: &mut SmallRng) {
    let view = reader.view();
    let low = (view.revision() - rng.random_range(0..60)).max(2);
    let mut next = low;
    let result = reader.changes(&view, low, i64::MAX, 1000, &mut |change| {
        if change.revision.sub == 0 {
            assert_eq!((change.revision.main, change.key), (next, &key(next)[..]));
            next += 1;
        } else {
            assert!(change.tombstone);
        }
    });
    match result {
        Ok(after) => assert_eq!((after, next), (view.revision() + 1, view.revision() + 1)),
        Err(Error::Compacted) => assert!(low < reader.view().compacted()),
        Err(other) => panic!("{other:?}"),
    }
}

fn flush_until(mut flusher: Flusher, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match flusher.wait(Duration::from_millis(1)) {
            Wake::FlushDue | Wake::Timeout => drop(flusher.flush().unwrap()),
            Wake::DeletesDue => drop(flusher.flush().unwrap()),
            Wake::Closed => break,
        }
    }
}

fn read_until(views: &Views, seed: u64, stop: &AtomicBool) {
    let mut reader = views.reader();
    let mut rng = SmallRng::seed_from_u64(seed);
    while !stop.load(Ordering::Relaxed) {
        read(&mut reader, &mut rng);
        if rng.random_ratio(1, 50) {
            reader.idle();
            let hash = reader.hash_kv(&reader.view(), 0).unwrap();
            assert!(hash.compact_revision < hash.hash_revision);
        }
    }
}

/// Sets the flag also when a test panics, so that the other threads end.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn run(backend: Arc<dyn Backend>, batches: u64) {
    let (mut space, flusher) = KeySpace::open(backend, OPTIONS, &mut |_| {}).unwrap();
    let stop = AtomicBool::new(false);
    let views = space.views();
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| flush_until(flusher, &stop));
        for seed in 0..2 {
            let (views, stop) = (&views, &stop);
            scope.spawn(move || {
                let _stop = StopOnDrop(stop);
                read_until(views, seed, stop);
            });
        }
        for batch in 1..=batches {
            space.wait_for_room().unwrap();
            (0..batch % 20).for_each(|_| write(&mut space));
            if batch % 10 == 0 && space.revision() > 80 {
                let revision = (space.revision() - 40).max(space.compacted() + 1);
                space.compact(revision).unwrap();
            }
            space.publish(batch, 1);
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
    });
}

/// covers: P-KV-06, P-KV-07, P-KV-11
#[test]
fn readers_see_the_state_of_their_view_in_memory() {
    run(Arc::new(Memory::new()), 1500);
}

#[cfg(feature = "lmdb")]
#[test]
fn readers_see_the_state_of_their_view_in_lmdb() {
    let dir = tempfile::tempdir().unwrap();
    let options = crate::backend::LmdbOptions::default();
    run(
        Arc::new(crate::backend::Lmdb::open(dir.path(), options).unwrap()),
        300,
    );
}

/// Small rows are committed with the applied index of their view, however a publication and a flush meet.
///
/// covers: P-KV-03
#[test]
fn every_commit_has_the_small_rows_of_its_applied_index() {
    let backend = Arc::new(Memory::new());
    let (mut space, mut flusher) = KeySpace::open(backend.clone(), OPTIONS, &mut |_| {}).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| {
            let _stop = StopOnDrop(&stop);
            while !stop.load(Ordering::Relaxed) {
                flusher.flush().unwrap();
                let snapshot = backend.snapshot().unwrap();
                let applied = snapshot.get(Bucket::Meta, b"consistent_index").unwrap();
                assert_eq!(applied, snapshot.get(Bucket::Lease, b"batch").unwrap());
            }
        });
        for batch in (1..=100_000_u64).take_while(|_| !stop.load(Ordering::Relaxed)) {
            space.put_row(Bucket::Lease, b"batch", batch.to_be_bytes().to_vec().into());
            space.publish(batch, 1);
        }
    });
}

/// A lagging copy gets the state of another one again and again, while readers read.
fn install_under_readers(target_backend: Arc<dyn Backend>, rounds: u64) {
    let (mut source, mut source_flusher) =
        KeySpace::open(Arc::new(Memory::new()), OPTIONS, &mut |_| {}).unwrap();
    let (mut space, flusher) =
        KeySpace::open(target_backend.clone(), OPTIONS, &mut |_| {}).unwrap();
    let (stop, views) = (AtomicBool::new(false), space.views());
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| flush_until(flusher, &stop));
        for seed in 0..2 {
            let (views, stop) = (&views, &stop);
            scope.spawn(move || {
                let _stop = StopOnDrop(stop);
                read_until(views, seed, stop);
            });
        }
        for round in 1..=rounds {
            (0..100 + round % 60).for_each(|_| write(&mut source));
            source.compact(source.revision() - 80).unwrap();
            source.publish(round * 100, 1);
            while source.maintain() || source_flusher.has_deletes() {
                source_flusher.flush().unwrap();
            }
            source_flusher.flush().unwrap();
            let mut export = source.views().export(1000).unwrap();
            let index = super::transfer::transfer(&mut export, &*target_backend, &mut || {});
            space.install(index, &mut |_| {}, &mut |_| Ok(())).unwrap();
            for more in 1..20 {
                write(&mut space);
                space.publish(index + more, 1);
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
    });
}

/// covers: P-KV-06, P-KV-07, P-W-05
#[test]
fn readers_see_the_state_of_their_view_while_another_is_installed() {
    install_under_readers(Arc::new(Memory::new()), 40);
}

/// covers: L-21
#[cfg(feature = "lmdb")]
#[test]
fn readers_of_lmdb_see_the_state_of_their_view_while_another_is_installed() {
    let dir = tempfile::tempdir().unwrap();
    let options = crate::backend::LmdbOptions::default();
    let lmdb = crate::backend::Lmdb::open(dir.path(), options).unwrap();
    install_under_readers(Arc::new(lmdb), 25);
}
