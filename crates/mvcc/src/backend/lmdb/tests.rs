//! Tests of what only the backend on disk does.

mod crash;
mod damage;
mod full_disk;
mod measure;
mod prune;
mod torn_meta;

use std::fs;
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::backend::conformance::{Subject, commit, conformance, get, put, rows, try_commit};
use crate::backend::{Bucket, Op};

/// A store in a directory that goes with it.
struct OnDisk {
    lmdb: Lmdb,
    // After the store, which must be closed when its directory goes.
    directory: TempDir,
}

impl Subject for OnDisk {
    fn create() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            lmdb: open(directory.path()),
            directory,
        }
    }

    fn restart(self) -> Self {
        let Self { lmdb, directory } = self;
        drop(lmdb);
        // Every state that any test reaches must look sound to the checker.
        let checked = Lmdb::check(directory.path()).unwrap();
        let recovered = Lmdb::recover(directory.path(), LmdbOptions::default(), Care::LastCommit);
        let (lmdb, recovered) = recovered.unwrap();
        assert!(matches!(recovered, Recovered::Newest), "{recovered:?}");
        assert_eq!(checked.rows, lmdb.verify().unwrap());
        assert!(checked.used_pages > 0);
        Self { lmdb, directory }
    }

    fn backend(&self) -> &dyn Backend {
        &self.lmdb
    }
}

fn open(path: &Path) -> Lmdb {
    Lmdb::open(path, LmdbOptions::default()).unwrap()
}

/// Names and contents of all files, but for LMDB's lock file, which is no data.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("lock.mdb") {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// The error with its sources, joined by colons.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn open_error(path: &Path) -> String {
    chain(&Lmdb::open(path, LmdbOptions::default()).unwrap_err())
}

fn directories(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

conformance!(OnDisk);

#[test]
fn a_store_is_open_once() {
    let store = OnDisk::create();
    assert!(open_error(store.directory.path()).contains("already open"));
    commit(&store.lmdb, [put(Bucket::Auth, b"a", b"1")]);
    // A snapshot keeps it open.
    let snapshot = store.lmdb.snapshot().unwrap();
    let OnDisk { lmdb, directory } = store;
    drop(lmdb);
    assert!(open_error(directory.path()).contains("already open"));
    assert_eq!(snapshot.get(Bucket::Auth, b"a").unwrap(), Some(&b"1"[..]));
    drop(snapshot);
    open(directory.path());
}

// covers: L-21
#[test]
fn an_old_generation_goes_with_its_last_snapshot() {
    let store = OnDisk::create();
    commit(&store.lmdb, [put(Bucket::Auth, b"a", b"1")]);
    let snapshots = [
        store.lmdb.snapshot().unwrap(),
        store.lmdb.snapshot().unwrap(),
    ];
    store.lmdb.defragment().unwrap();
    assert_eq!(directories(store.directory.path()), ["1", "2"]);
    commit(&store.lmdb, [put(Bucket::Auth, b"a", b"2")]);
    for snapshot in snapshots {
        assert_eq!(directories(store.directory.path()), ["1", "2"]);
        assert_eq!(snapshot.get(Bucket::Auth, b"a").unwrap(), Some(&b"1"[..]));
        drop(snapshot);
    }
    store.lmdb.cleaner.wait();
    assert_eq!(directories(store.directory.path()), ["2"]);
    assert_eq!(get(&store.lmdb, Bucket::Auth, b"a").unwrap(), b"2");
    store.lmdb.defragment().unwrap();
    store.lmdb.cleaner.wait();
    assert_eq!(directories(store.directory.path()), ["3"]);
}

// covers: D-22, P-04
#[test]
fn a_start_takes_the_highest_generation_and_removes_the_rest() {
    let store = OnDisk::create();
    commit(&store.lmdb, [put(Bucket::Auth, b"a", b"1")]);
    store.lmdb.defragment().unwrap();
    let OnDisk { lmdb, directory } = store;
    drop(lmdb);
    let path = directory.path();
    for name in ["1", "3.tmp", "2.tmp"] {
        fs::create_dir(path.join(name)).unwrap();
        fs::write(path.join(name).join("data.mdb"), b"half").unwrap();
    }
    fs::write(path.join("4.tmp"), b"a file").unwrap();
    for name in ["02", "notes", "x.tmp", "-1"] {
        fs::create_dir(path.join(name)).unwrap();
    }
    let lmdb = open(path);
    assert_eq!(directories(path), ["-1", "02", "2", "notes", "x.tmp"]);
    assert_eq!(get(&lmdb, Bucket::Auth, b"a").unwrap(), b"1");
}

// covers: D-22
#[test]
fn an_unfinished_first_generation_does_not_block() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not").join("there").join("yet");
    drop(open(&path));
    fs::rename(path.join("1"), path.join("1.tmp")).unwrap();
    commit(&open(&path), [put(Bucket::Auth, b"a", b"1")]);
    assert_eq!(directories(&path), ["1"]);
}

#[test]
fn snapshots_are_limited() {
    let directory = tempfile::tempdir().unwrap();
    let options = LmdbOptions {
        readers_max: 4,
        ..LmdbOptions::default()
    };
    let lmdb = Lmdb::open(directory.path(), options).unwrap();
    let snapshots = [(); 4].map(|()| lmdb.snapshot().unwrap());
    assert!(lmdb.snapshot().is_err());
    drop(snapshots);
    lmdb.snapshot().unwrap();
}

// covers: L-02
#[test]
fn a_full_map_poisons_and_a_larger_one_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = LmdbOptions {
        map_bytes: 1 << 20,
        ..LmdbOptions::default()
    };
    let lmdb = Lmdb::open(directory.path(), options).unwrap();
    commit(&lmdb, [put(Bucket::Auth, b"a", b"1")]);
    try_commit(&lmdb, put(Bucket::Auth, b"b", &vec![0; 2 << 20])).unwrap_err();
    assert!(matches!(
        try_commit(&lmdb, put(Bucket::Auth, b"b", b"")),
        Err(Error::Poisoned)
    ));
    assert!(matches!(lmdb.defragment(), Err(Error::Poisoned)));
    assert_eq!(directories(directory.path()), ["1"]);
    drop(lmdb);
    let lmdb = open(directory.path());
    assert_eq!(get(&lmdb, Bucket::Auth, b"a").unwrap(), b"1");
    commit(&lmdb, [put(Bucket::Auth, b"b", &vec![0; 2 << 20])]);
}

#[test]
fn progress_counts_rows_and_batches() {
    let store = OnDisk::create();
    assert_eq!(store.lmdb.defrag_progress(), DefragProgress::default());
    commit(&store.lmdb, (0..100).map(|n| put(Bucket::Key, &[n], b"v")));
    store.lmdb.defragment().unwrap();
    let progress = store.lmdb.defrag_progress();
    assert_eq!((progress.rows_copied, progress.finished), (100, 1));
    assert_eq!(
        progress.bytes_copied,
        100 * (1 + 1 + row::TRAILER_BYTES as u64)
    );
    assert!(progress.bytes_total > 0);
}

/// Rows of many steps, and a writer that changes places before, at and behind the copy.
// covers: L-20, L-21
#[test]
fn a_long_copy_misses_no_change() {
    let store = OnDisk::create();
    let lmdb = &store.lmdb;
    let big = vec![1; 64 << 10];
    let key = |n: u32| n.to_be_bytes();
    for first in (0..1200).step_by(200) {
        commit(
            lmdb,
            (first..first + 200).map(|n| put(Bucket::Key, &key(n), &big)),
        );
    }
    let mut expected: std::collections::BTreeMap<_, _> =
        (0..1200).map(|n| (key(n).to_vec(), big.clone())).collect();
    thread::scope(|scope| {
        let copy = scope.spawn(|| lmdb.defragment().unwrap());
        let mut n = 0_u32;
        while !copy.is_finished() {
            // All over the bucket, in a fixed order; and at its end.
            let place = n.wrapping_mul(7919) % 1200;
            let new = key(2000 + n);
            let value = n.to_be_bytes().to_vec();
            let mut ops = vec![
                Op::Append {
                    bucket: Bucket::Key,
                    key: new.to_vec(),
                    value: value.clone().into(),
                },
                Op::Delete {
                    bucket: Bucket::Key,
                    key: key((place + 600) % 1200).to_vec(),
                },
            ];
            expected.insert(new.to_vec(), value.clone());
            expected.remove(&key((place + 600) % 1200)[..]);
            if n.is_multiple_of(3) {
                ops.push(put(Bucket::Key, &key(place), &value));
                expected.insert(key(place).to_vec(), value);
            }
            commit(lmdb, ops);
            n += 1;
        }
        copy.join().unwrap();
    });
    assert_eq!(directories(store.directory.path()).last().unwrap(), "2");
    let state = |lmdb: &Lmdb| rows(&*lmdb.snapshot().unwrap(), Bucket::Key, b"", None);
    assert!(state(lmdb).into_iter().eq(expected.clone()));
    let store = store.restart();
    assert!(state(&store.lmdb).into_iter().eq(expected));
    assert_eq!(
        store.lmdb.verify().unwrap(),
        state(&store.lmdb).len() as u64
    );
}
