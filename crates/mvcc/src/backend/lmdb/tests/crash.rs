//! A process that is killed while it commits and rewrites.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::backend::conformance::{check_prefix, prefix_batch};

/// Set in the child process, to the store's directory.
const DIRECTORY_VARIABLE: &str = "FERROD_MVCC_CRASH_DIRECTORY";
const CHILD: &str = "backend::lmdb::tests::crash::child";
const ACKNOWLEDGED: &str = "committed ";

/// Not a test: what the killed process does. Commits numbered batches, and says so after each; rewrites all the time.
#[test]
#[ignore = "reason: runs only as the child of the test below"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) else {
        return;
    };
    let lmdb = open(Path::new(&directory));
    let count = check_prefix(&*lmdb.snapshot().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                lmdb.defragment().unwrap();
            }
        });
        for n in count + 1.. {
            commit(&lmdb, prefix_batch(n));
            println!("{ACKNOWLEDGED}{n}");
        }
    });
}

fn spawn_child(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            CHILD,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY_VARIABLE, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Kills the child after it has acknowledged `commits` batches, and returns the last one it acknowledged.
fn run_and_kill(directory: &Path, commits: usize) -> u64 {
    let mut child = spawn_child(directory);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The test harness writes lines of its own.
    let mut acknowledged =
        lines.filter_map(|line| line.unwrap().strip_prefix(ACKNOWLEDGED)?.parse().ok());
    let mut last = acknowledged.by_ref().take(commits).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    last = acknowledged.last().unwrap_or(last);
    last
}

// covers: P-01, P-02, P-03, D-22
#[test]
fn a_killed_process_leaves_a_prefix_with_everything_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..12_usize {
        let acknowledged = run_and_kill(directory.path(), 1 + round * 17 % 60);
        assert!(acknowledged > last);
        Lmdb::check(directory.path()).unwrap();
        let lmdb = open(directory.path());
        last = check_prefix(&*lmdb.snapshot().unwrap());
        // The batch that was being committed may be there too.
        assert!(
            last == acknowledged || last == acknowledged + 1,
            "{last} after {acknowledged}"
        );
        lmdb.verify().unwrap();
        assert_eq!(directories(directory.path()).len(), 1);
    }
}
