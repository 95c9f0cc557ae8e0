//! Speeds, printed: `cargo test --release -p ferrod-mvcc tests::measure -- --ignored --nocapture`.
//!
//! `FERROD_MVCC_MEASURE_KEYS` chooses the number of keys.
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::backend::{Backend, Incoming, Memory, Prepare};
use crate::{Error, KeyRange, KeySpace, Options, RangeQuery, Reader, View};

/// A clock of the processor time that this thread has used, so that a busy machine changes little.
#[derive(Clone, Copy)]
struct Instant(u64);

impl Instant {
    fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Self(stat.split(' ').next().unwrap().parse().unwrap())
    }

    fn elapsed(self) -> Duration {
        Duration::from_nanos(Self::now().0 - self.0)
    }
}

/// A backend that keeps nothing, for the cost of the key space alone.
#[derive(Debug)]
struct Nowhere;

impl Backend for Nowhere {
    fn commit(&self, _: &crate::backend::Batch) -> Result<(), crate::Error> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn crate::backend::Snapshot>, crate::Error> {
        Memory::new().snapshot()
    }

    fn sizes(&self) -> Result<crate::backend::Sizes, crate::Error> {
        Ok(crate::backend::Sizes::default())
    }

    fn has_room(&self, _: u64) -> Result<bool, crate::Error> {
        Ok(true)
    }

    fn defragment(&self) -> Result<(), crate::Error> {
        Ok(())
    }

    fn receive(&self, _number: u64) -> Result<Box<dyn Incoming>, Error> {
        unreachable!()
    }

    fn received(&self) -> Result<Vec<u64>, Error> {
        unreachable!()
    }

    fn discard(&self, _number: u64) -> Result<(), Error> {
        unreachable!()
    }

    fn install(&self, _number: u64, _prepare: &mut Prepare<'_>) -> Result<(), Error> {
        unreachable!()
    }
}

/// Entries that are applied between two publications.
const BATCH: usize = 100;
const VALUE: [u8; 256] = [7; 256];

fn report(what: &str, count: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    let (rate, each) = (count as f64 / seconds, seconds * 1e6 / count as f64);
    println!("{what:<52} {rate:>12.0}/s {each:>9.3} us each");
}

fn timed<R>(what: &str, count: usize, run: impl FnOnce() -> R) -> R {
    let since = Instant::now();
    let result = run();
    report(what, count, since.elapsed());
    result
}

fn key(n: usize) -> [u8; 24] {
    let mut key = *b"/registry/pods/000000000";
    let mut n = n;
    for digit in key[15..].iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    key
}

/// Puts keys, publishing each batch; flushes outside the measured time. Returns what the puts took.
fn put_all(
    space: &mut KeySpace,
    flusher: &mut crate::Flusher,
    keys: &[usize],
) -> (Duration, Duration) {
    let (mut putting, mut flushing) = (Duration::ZERO, Duration::ZERO);
    for run in keys.chunks(50_000) {
        let since = Instant::now();
        for batch in run.chunks(BATCH) {
            for &n in batch {
                let mut txn = space.write();
                txn.put(&key(n), &VALUE, 0);
                std::hint::black_box(txn.commit());
            }
            space.publish(0, 0);
        }
        putting += since.elapsed();
        let since = Instant::now();
        flusher.flush().unwrap();
        flushing += since.elapsed();
    }
    (putting, flushing)
}

fn gets(what: &str, reader: &mut Reader, view: &View, keys: &[usize]) {
    timed(what, keys.len(), || {
        let mut bytes = 0;
        for &n in keys {
            bytes += reader
                .get(view, &key(n), 0, |row| row.encoded.len())
                .unwrap()
                .unwrap();
        }
        std::hint::black_box(bytes);
    });
}

fn ranges(
    what: &str,
    reader: &mut Reader,
    view: &View,
    keys: std::ops::Range<usize>,
    change: impl Fn(&mut RangeQuery<'_>),
) {
    let mut rng = SmallRng::seed_from_u64(3);
    let (mut rows, mut bytes) = (0, 0);
    let since = Instant::now();
    for _ in 0..50 {
        let low = key(rng.random_range(keys.start..keys.end - 10_000));
        let mut query = RangeQuery::new(KeyRange::From(&low));
        query.limit = 10_000;
        change(&mut query);
        reader
            .range(view, &query, &mut |row| {
                rows += 1;
                bytes += row.encoded.len();
            })
            .unwrap();
    }
    let took = since.elapsed();
    report(what, rows, took);
    println!(
        "{:>52} {:>12.0} MB/s",
        "",
        bytes as f64 / 1e6 / took.as_secs_f64()
    );
}

fn keys(count: usize) -> (Vec<usize>, Vec<usize>) {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut shuffled: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        shuffled.swap(i, rng.random_range(0..=i));
    }
    (
        shuffled,
        (0..count).map(|_| rng.random_range(0..count)).collect(),
    )
}

fn key_count() -> usize {
    std::env::var("FERROD_MVCC_MEASURE_KEYS").map_or(1_000_000, |n| n.parse().unwrap())
}

/// The clock of the processor's time moves in steps of some milliseconds; the sum over many short times is still right.
#[test]
#[ignore = "reason: measures, minutes"]
fn measure_puts() {
    let (shuffled, random) = keys(key_count());
    let (mut space, mut flusher) =
        KeySpace::open(Arc::new(Nowhere), Options::default(), &mut |_| {}).unwrap();
    let runs: [(&str, Vec<usize>); 4] = [
        ("insert keys in random order", shuffled),
        ("overwrite random keys", random.clone()),
        (
            "overwrite 1,000 hot keys",
            random.iter().map(|n| n % 1000).collect(),
        ),
        (
            "insert keys in order",
            (key_count()..2 * key_count()).collect(),
        ),
    ];
    for (what, keys) in &runs {
        let (putting, flushing) = put_all(&mut space, &mut flusher, keys);
        report(what, keys.len(), putting);
        report("  build the batches to flush", keys.len(), flushing);
    }
    let view = space.publish(0, 0);
    timed("find random keys in the index", random.len(), || {
        for &n in &random {
            assert_eq!(view.count(KeyRange::Single(&key(n))), 1);
        }
    });
    let per_key = view.index_memory() / 2 / key_count();
    println!(
        "{:<52} {per_key:>12} bytes",
        "  memory of the index per key"
    );
}

fn measure(name: &str, backend: Arc<dyn Backend>) {
    let count = key_count();
    println!("--- {name}, {count} keys of 24 bytes, values of 256, publishing every {BATCH}");
    let (mut space, mut flusher) =
        KeySpace::open(backend.clone(), Options::default(), &mut |_| {}).unwrap();

    let (shuffled, random) = keys(count);
    let (putting, flushing) = put_all(&mut space, &mut flusher, &shuffled);
    report("insert keys in random order", count, putting);
    report("  flush them", count, flushing);
    let view = space.publish(0, 0);
    println!(
        "{:<52} {:>12} bytes",
        "  memory of the index per key",
        view.index_memory() / count
    );

    let mut reader = space.views().reader();
    gets(
        "get, random keys, from the backend",
        &mut reader,
        &view,
        &random[..count.min(300_000)],
    );
    ranges(
        "range of 10,000 rows, backend, random revisions",
        &mut reader,
        &view,
        0..count,
        |_| {},
    );
    ranges("  keys only", &mut reader, &view, 0..count, |query| {
        query.keys_only = true
    });
    timed("range of the last 10 rows, descending", 20_000, || {
        for &n in random.iter().cycle().take(20_000) {
            let high = key(n);
            let low = &[][..];
            let mut query = RangeQuery::new(KeyRange::Span { low, high: &high });
            (query.order, query.limit) = (crate::SortOrder::Descend, 10);
            let mut rows = 0;
            reader.range(&view, &query, &mut |_| rows += 1).unwrap();
            std::hint::black_box(rows);
        }
    });
    timed("count of a random half", 100_000, || {
        for &n in random.iter().cycle().take(100_000) {
            let (low, high) = (key(n / 2), key(n / 2 + count / 2));
            std::hint::black_box(view.count(KeyRange::Span {
                low: &low,
                high: &high,
            }));
        }
    });
    drop(view);

    let (putting, flushing) = put_all(&mut space, &mut flusher, &random);
    report("overwrite random keys", count, putting);
    report("  flush them", count, flushing);
    let hot: Vec<usize> = random.iter().map(|n| n % 1000).collect();
    let (putting, _) = put_all(&mut space, &mut flusher, &hot);
    report("overwrite 1,000 hot keys", count, putting);
    let last = &hot[..100];
    for &n in last {
        let mut txn = space.write();
        txn.put(&key(n), &VALUE, 0);
        txn.commit();
    }
    let view = space.publish(0, 0);
    gets(
        "get, 100 keys in the overlay",
        &mut reader,
        &view,
        &last.repeat(3000),
    );
    println!(
        "{:<52} {:>12} bytes",
        "  memory of the index per key",
        view.index_memory() / count
    );
    drop(view);

    let revision = space.revision();
    space.compact(revision).unwrap();
    space.publish(0, 0);
    flusher.flush().unwrap();
    let (putting, flushing) = put_all(&mut space, &mut flusher, &random[..count / 2]);
    report("overwrite random keys while compacting", count / 2, putting);
    report("  flush them, with the deletes", count / 2, flushing);
    compact(&mut space, &mut flusher);
    let view = space.publish(0, 0);
    println!(
        "{:<52} {:>12} bytes",
        "  memory of the index per key",
        view.index_memory() / count
    );
    timed("hash_kv (rate per key)", count, || {
        reader.hash_kv(&view, 0).unwrap()
    });
    reader.idle();
    flusher.flush().unwrap();
    drop((space, flusher, view, reader));
    let (mut space, mut flusher) = reopen(backend, count);
    memory("  memory of the index per key", &space, count);

    let ordered: Vec<usize> = (count..count + count / 4).collect();
    let (putting, _) = put_all(&mut space, &mut flusher, &ordered);
    report("insert keys in order", ordered.len(), putting);
    let view = space.publish(0, 0);
    let mut reader = space.views().reader();
    let keys = count..count + ordered.len();
    let what = "range of 10,000 rows, backend, revisions in order";
    ranges(what, &mut reader, &view, keys, |_| {});
}

/// By the clock on the wall, as several threads rebuild.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn reopen(backend: Arc<dyn Backend>, keys: usize) -> (KeySpace, crate::Flusher) {
    for _ in 0..3 {
        let since = std::time::Instant::now();
        let opened = KeySpace::open(backend.clone(), Options::default(), &mut |_| {});
        drop(opened.unwrap());
        let what = "rebuild the index (rate per key, wall time)";
        report(what, keys, since.elapsed());
    }
    KeySpace::open(backend, Options::default(), &mut |_| {}).unwrap()
}

/// How much the index takes.
fn memory(what: &str, space: &KeySpace, keys: usize) {
    let bytes = space.views().load().index_memory() / keys;
    println!("{what:<52} {bytes:>12} bytes");
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn compact(space: &mut KeySpace, flusher: &mut crate::Flusher) {
    let revision = space.revision();
    space.compact(revision).unwrap();
    space.publish(0, 0);
    flusher.flush().unwrap();
    let (mut steps, mut longest, mut trimming) = (0, Duration::ZERO, Duration::ZERO);
    let (mut rows, mut deleting) = (0, Duration::ZERO);
    while space.views().compaction_finished() < revision {
        let mut more = true;
        while more {
            let (since, wall) = (Instant::now(), std::time::Instant::now());
            more = space.maintain();
            trimming += since.elapsed();
            longest = longest.max(wall.elapsed());
            steps += 1;
        }
        let since = Instant::now();
        while flusher.has_deletes() {
            rows += flusher.flush().unwrap().rows_deleted;
        }
        deleting += since.elapsed();
    }
    report("compaction: steps through the index", steps, trimming);
    println!(
        "{:<52} {:>12.0} us",
        "  the longest step",
        longest.as_secs_f64() * 1e6
    );
    report("  delete superseded rows", rows, deleting);
}

#[test]
#[ignore = "reason: measures, minutes"]
fn measure_in_memory() {
    measure("memory", Arc::new(Memory::new()));
}

#[cfg(feature = "lmdb")]
#[test]
#[ignore = "reason: measures, minutes"]
fn measure_in_lmdb() {
    let dir = tempfile::tempdir().unwrap();
    let options = crate::backend::LmdbOptions::default();
    measure(
        "lmdb",
        Arc::new(crate::backend::Lmdb::open(dir.path(), options).unwrap()),
    );
}
