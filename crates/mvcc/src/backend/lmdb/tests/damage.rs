//! Files that are not as they were written.

use super::*;

/// A closed store with rows, and its data file.
fn closed(rows: u32) -> (TempDir, PathBuf) {
    let OnDisk { lmdb, directory } = OnDisk::create();
    commit(
        &lmdb,
        (0..rows).map(|n| put(Bucket::Key, &n.to_be_bytes(), b"<the value of a row>")),
    );
    drop(lmdb);
    let data = directory.path().join("1").join("data.mdb");
    (directory, data)
}

/// Changes a byte of the last row's value; pages of earlier commits may hold older copies.
fn flip_in_values(data: &Path) {
    let mut bytes = fs::read(data).unwrap();
    let mut found = 0;
    for at in 0..bytes.len() - 20 {
        if &bytes[at..at + 20] == b"<the value of a row>" {
            bytes[at + 5] ^= 1;
            found += 1;
        }
    }
    assert!(found > 0);
    fs::write(data, bytes).unwrap();
}

// covers: D-06
#[test]
fn a_flipped_value_is_an_error_and_never_an_answer() {
    let (directory, data) = closed(10);
    flip_in_values(&data);
    let lmdb = open(directory.path());
    let snapshot = lmdb.snapshot().unwrap();
    assert!(matches!(
        snapshot.get(Bucket::Key, &[0; 4]),
        Err(Error::Corrupt { bucket: "key", .. })
    ));
    assert!(matches!(
        snapshot.last(Bucket::Key),
        Err(Error::Corrupt { .. })
    ));
    let mut visited = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        visited += 1;
        std::ops::ControlFlow::Continue(())
    };
    assert!(snapshot.scan(Bucket::Key, b"", None, &mut visit).is_err());
    assert_eq!(visited, 0);
    assert!(matches!(lmdb.verify(), Err(Error::Corrupt { .. })));
}

// covers: D-22
#[test]
fn a_rewrite_that_fails_leaves_the_old_generation_in_use() {
    let (directory, data) = closed(10);
    flip_in_values(&data);
    let lmdb = open(directory.path());
    assert!(matches!(lmdb.defragment(), Err(Error::Corrupt { .. })));
    assert_eq!(directories(directory.path()), ["1"]);
    commit(
        &lmdb,
        (0..10).map(|n: u32| put(Bucket::Key, &n.to_be_bytes(), b"good")),
    );
    lmdb.defragment().unwrap();
    assert_eq!(lmdb.verify().unwrap(), 10);
    assert_eq!(lmdb.defrag_progress().batches_replayed, 0);
}

#[test]
fn a_rewrite_that_cannot_begin_leaves_the_old_generation_in_use() {
    let (directory, _) = closed(10);
    let lmdb = open(directory.path());
    // The name is taken by a generation that no start has seen.
    fs::create_dir(directory.path().join("2")).unwrap();
    fs::write(directory.path().join("2").join("file"), b"").unwrap();
    assert!(lmdb.defragment().is_err());
    assert_eq!(directories(directory.path()), ["1", "2"]);
    commit(&lmdb, [put(Bucket::Key, b"a", b"")]);
    fs::remove_dir_all(directory.path().join("2")).unwrap();
    lmdb.defragment().unwrap();
}

// covers: P-14
#[test]
fn another_format_is_refused_and_nothing_is_written() {
    let (directory, _) = closed(10);
    let format = directory.path().join("1").join("FORMAT");
    fs::create_dir(directory.path().join("2.tmp")).unwrap();
    fs::write(&format, "ferrod-mvcc generation, format 2\n").unwrap();
    let before = files(directory.path());
    let error = open_error(directory.path());
    assert!(
        error.contains("format 2") && error.contains("1/FORMAT"),
        "{error}"
    );
    assert_eq!(files(directory.path()), before);
    fs::remove_file(&format).unwrap();
    assert!(open_error(directory.path()).contains("FORMAT"));
}

// covers: D-07
#[test]
fn a_file_that_is_not_ours_is_refused() {
    let contents: [&[u8]; 4] = [b"", b"text", &[0; 8192], &[0xff; 100_000]];
    for content in contents {
        let (directory, data) = closed(1);
        fs::write(&data, content).unwrap();
        let error = open_error(directory.path());
        assert!(error.contains("open generation"), "{error}");
        assert!(fs::read(&data).unwrap() == content);
    }
    let (directory, data) = closed(1);
    fs::remove_file(&data).unwrap();
    assert!(open_error(directory.path()).contains("No such file"));
    fs::create_dir(&data).unwrap();
    open_error(directory.path());
}

#[test]
fn an_environment_without_our_buckets_is_refused() {
    let (directory, _) = closed(1);
    let (other, data) = closed(1);
    let mut bytes = fs::read(&data).unwrap();
    for at in 0..bytes.len() - 9 {
        if &bytes[at..at + 9] == b"authUsers" {
            bytes[at + 8] = b'x';
        }
    }
    fs::write(directory.path().join("1").join("data.mdb"), bytes).unwrap();
    drop(other);
    open_error(directory.path());
}

#[test]
fn a_place_that_cannot_be_a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(open_error(&file).contains("create directory"));
    assert!(open_error(&file.join("below")).contains("create directory"));
    fs::create_dir(directory.path().join("store")).unwrap();
    fs::write(directory.path().join("store").join("7"), b"").unwrap();
    assert!(open_error(&directory.path().join("store")).contains("FORMAT"));
}
