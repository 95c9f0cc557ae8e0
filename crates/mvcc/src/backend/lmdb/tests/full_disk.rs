//! A disk that is full, played by a limit of the size of files.

use std::process::Command;

use super::*;

/// Set in the child process, to the store's directory.
const DIRECTORY_VARIABLE: &str = "FERROD_MVCC_FULL_DIRECTORY";
const CHILD: &str = "backend::lmdb::tests::full_disk::child";
const DONE: &str = "all as it should be";

/// Not a test: what the process with the limit does, in a store whose file is larger than the limit.
#[test]
#[ignore = "reason: runs only as the child of the test below"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) else {
        return;
    };
    let lmdb = open(Path::new(&directory));
    let error = lmdb.defragment().unwrap_err();
    assert!(chain(&error).contains("2.tmp"), "{}", chain(&error));
    assert_eq!(directories(Path::new(&directory)), ["1"]);
    let error = try_commit(&lmdb, put(Bucket::Key, b"new", &vec![2; 4 << 20])).unwrap_err();
    assert!(chain(&error).contains("os error"), "{}", chain(&error));
    assert!(matches!(
        try_commit(&lmdb, put(Bucket::Key, b"a", b"")),
        Err(Error::Poisoned)
    ));
    assert!(matches!(lmdb.defragment(), Err(Error::Poisoned)));
    assert_eq!(lmdb.verify().unwrap(), 64);
    println!("{DONE}");
}

// covers: D-11, D-22
#[test]
fn a_full_disk_is_an_error_and_leaves_everything_as_it_was() {
    let store = OnDisk::create();
    commit(
        &store.lmdb,
        (0..64).map(|n| put(Bucket::Key, &[n], &vec![n; 64 << 10])),
    );
    let OnDisk { lmdb, directory } = store;
    drop(lmdb);
    // In blocks of 512 bytes or 1 KiB, as the shell likes. A process that ignores the signal gets an error.
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            CHILD,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY_VARIABLE, directory.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains(DONE),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(Lmdb::check(directory.path()).unwrap().rows, 64);
    let lmdb = open(directory.path());
    commit(&lmdb, [put(Bucket::Key, b"new", &vec![2; 4 << 20])]);
    lmdb.defragment().unwrap();
    assert_eq!(lmdb.verify().unwrap(), 65);
}
