//! How fast it is: `cargo test --release -p ferrod-mvcc --lib backend::lmdb::tests::measure -- --ignored --nocapture`.
//!
//! `FERROD_MVCC_MEASURE_DIRECTORY` chooses the disk, `FERROD_MVCC_MEASURE_ROWS` the number of rows.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::ops::ControlFlow;
use std::time::Instant;

use super::*;

const BATCH_ROWS: u64 = 10_000;
const GETS: u64 = 300_000;

/// Prints what was done, how often a second, and how long each took.
fn report(what: &str, count: u64, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    let (rate, each) = (count as f64 / seconds, seconds * 1e6 / count as f64);
    println!("{what:<44} {rate:>12.0}/s {each:>9.3} us each");
}

/// A revision as the key space writes it: main, `_`, sub.
fn key(n: u64) -> Vec<u8> {
    [&n.to_be_bytes()[..], b"_", &0_u64.to_be_bytes()].concat()
}

/// Numbers below `limit` in an order that looks random, the same every time.
fn scattered(limit: u64) -> impl Iterator<Item = u64> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    })
}

fn append_rows(lmdb: &Lmdb, rows: u64, value: &bytes::Bytes) {
    let since = Instant::now();
    for first in (0..rows).step_by(BATCH_ROWS as usize) {
        let append = |n| Op::Append {
            bucket: Bucket::Key,
            key: key(n),
            value: value.clone(),
        };
        commit(lmdb, (first..first + BATCH_ROWS).map(append));
    }
    report("append 300 byte rows, 10,000 a batch", rows, since);
}

fn get_rows(what: &str, lmdb: &Lmdb, rows: u64) {
    let snapshot = lmdb.snapshot().unwrap();
    let mut found = 0;
    let since = Instant::now();
    for n in scattered(rows).take(GETS as usize) {
        found += u64::from(snapshot.get(Bucket::Key, &key(n)).unwrap().is_some());
    }
    report(what, GETS, since);
    assert!(found > 0);
}

fn scan_rows(what: &str, lmdb: &Lmdb) {
    let snapshot = lmdb.snapshot().unwrap();
    let mut rows = 0;
    let since = Instant::now();
    let mut visit = |_: &[u8], _: &[u8]| {
        rows += 1;
        ControlFlow::Continue(())
    };
    snapshot.scan(Bucket::Key, b"", None, &mut visit).unwrap();
    report(what, rows, since);
}

#[test]
#[ignore = "reason: measures, minutes"]
fn measure() {
    let directory = match std::env::var_os("FERROD_MVCC_MEASURE_DIRECTORY") {
        Some(directory) => TempDir::new_in(directory),
        None => TempDir::new(),
    };
    let directory = directory.unwrap();
    let rows =
        std::env::var("FERROD_MVCC_MEASURE_ROWS").map_or(2_000_000, |rows| rows.parse().unwrap());
    let lmdb = open(directory.path());
    append_rows(&lmdb, rows, &vec![7; 300].into());
    println!("{:?}", lmdb.sizes().unwrap());
    scan_rows("scan", &lmdb);
    get_rows("get, one kept snapshot", &lmdb, rows);
    let since = Instant::now();
    for n in scattered(rows).take(100_000) {
        lmdb.snapshot().unwrap().get(Bucket::Key, &key(n)).unwrap();
    }
    report("get, a snapshot each", 100_000, since);
    let since = Instant::now();
    for _ in 0..1_000_000 {
        std::hint::black_box(lmdb.sizes().unwrap());
    }
    report("sizes", 1_000_000, since);
    for batch_rows in [100, 1_000, 10_000_usize] {
        let mut doomed: Vec<_> = scattered(rows)
            .skip(batch_rows)
            .take(20 * batch_rows)
            .collect();
        let since = Instant::now();
        for batch in doomed.chunks_mut(batch_rows) {
            batch.sort_unstable();
            let delete = |n: &u64| Op::Delete {
                bucket: Bucket::Key,
                key: key(*n),
            };
            commit(&lmdb, batch.iter().map(delete));
        }
        let what = format!("delete scattered rows, {batch_rows} a batch");
        report(&what, doomed.len() as u64, since);
    }
    let since = Instant::now();
    lmdb.defragment().unwrap();
    report(
        "defragment, rows",
        lmdb.defrag_progress().rows_copied,
        since,
    );
    println!("{:?}", lmdb.sizes().unwrap());
    let since = Instant::now();
    report("verify, rows", lmdb.verify().unwrap(), since);
    for (value_bytes, count) in [
        (1_900, 5_000),
        (2_100, 5_000),
        (10_000, 2_000),
        (100_000, 300),
        (1 << 20, 30),
    ] {
        overwrite(&lmdb, value_bytes, count);
    }
}

/// Reads of a file of which nothing is in memory, with and without the kernel's reading ahead.
#[test]
#[ignore = "reason: measures, minutes"]
fn measure_cold() {
    let store = OnDisk::create();
    let rows =
        std::env::var("FERROD_MVCC_MEASURE_ROWS").map_or(2_000_000, |rows| rows.parse().unwrap());
    append_rows(&store.lmdb, rows, &vec![7; 300].into());
    let OnDisk { lmdb, directory } = store;
    drop(lmdb);
    for read_ahead in [true, false, true, false] {
        let options = LmdbOptions {
            read_ahead,
            ..LmdbOptions::default()
        };
        forget(directory.path());
        let lmdb = Lmdb::open(directory.path(), options.clone()).unwrap();
        let snapshot = lmdb.snapshot().unwrap();
        let since = Instant::now();
        for n in scattered(rows).take(10_000) {
            snapshot.get(Bucket::Key, &key(n)).unwrap();
        }
        report(&format!("cold get, read ahead {read_ahead}"), 10_000, since);
        drop(snapshot);
        drop(lmdb);
        forget(directory.path());
        let lmdb = Lmdb::open(directory.path(), options).unwrap();
        scan_rows(&format!("cold scan, read ahead {read_ahead}"), &lmdb);
    }
}

/// Drops the closed store's file from the page cache.
fn forget(directory: &Path) {
    let file = fs::File::open(directory.join("1").join("data.mdb")).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

/// Appends rows and deletes as many old ones in each batch, so that freed pages are used again.
fn overwrite(lmdb: &Lmdb, value_bytes: usize, batch_rows: u64) {
    const BATCHES: u64 = 12;
    let value = bytes::Bytes::from(vec![3; value_bytes]);
    let start = 1_u64 << 40;
    let since = Instant::now();
    for batch in 0..BATCHES {
        let first = start + batch * batch_rows;
        let mut ops: Vec<_> = (first..first + batch_rows)
            .map(|n| Op::Append {
                bucket: Bucket::Lease,
                key: key(n),
                value: value.clone(),
            })
            .collect();
        if batch > 1 {
            let old = first - 2 * batch_rows..first - batch_rows;
            ops.extend(old.map(|n| Op::Delete {
                bucket: Bucket::Lease,
                key: key(n),
            }));
        }
        commit(lmdb, ops);
    }
    report(
        &format!("append and delete {value_bytes} byte rows"),
        BATCHES * batch_rows,
        since,
    );
    let first = start + (BATCHES - 2) * batch_rows;
    commit(
        lmdb,
        (first..first + 2 * batch_rows).map(|n| Op::Delete {
            bucket: Bucket::Lease,
            key: key(n),
        }),
    );
}
