//! States from elsewhere: received, installed, discarded, interrupted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Subject, append, commit, get, put, rows, try_commit};
use crate::Error;
use crate::backend::{Backend, Batch, Bucket, Op, Snapshot};

fn key(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

fn ops(value: &[u8]) -> Vec<Op> {
    let meta = [put(Bucket::Meta, b"index", value)];
    meta.into_iter()
        .chain((0..300).map(|n| append(Bucket::Key, &key(n), value)))
        .collect()
}

fn receive(backend: &dyn Backend, number: u64, value: &[u8]) {
    let mut incoming = backend.receive(number).unwrap();
    for ops in ops(value).chunks(100) {
        incoming.write(&Batch { ops: ops.to_vec() }).unwrap();
    }
    incoming.finish().unwrap();
}

fn install(backend: &dyn Backend, number: u64) -> Result<(), Error> {
    backend.install(number, &mut |_| Ok(()))
}

fn holds(snapshot: &dyn Snapshot, value: &[u8]) -> bool {
    let found = rows(snapshot, Bucket::Key, b"", None);
    found.len() == 300
        && found.iter().all(|(_, found)| found == value)
        && snapshot.get(Bucket::Meta, b"index").unwrap() == Some(value)
}

// covers: L-21, D-21
pub(in crate::backend) fn a_received_state_takes_the_place_of_the_old_one<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(backend, ops(b"old"));
    commit(backend, [put(Bucket::Lease, b"only in the old one", b"")]);
    receive(backend, 7, b"new");
    receive(backend, 9, b"newer");
    assert_eq!(backend.received().unwrap(), [7, 9]);
    let before = backend.snapshot().unwrap();
    assert!(holds(&*before, b"old"));

    let mut prepared = false;
    let install_7 = backend.install(7, &mut |snapshot| {
        prepared = holds(snapshot, b"new");
        Ok(())
    });
    install_7.unwrap();
    assert!(prepared && holds(&*before, b"old"));
    assert!(holds(&*backend.snapshot().unwrap(), b"new"));
    assert_eq!(get(backend, Bucket::Lease, b"only in the old one"), None);
    assert!(backend.sizes().unwrap().used_bytes > 0);
    drop(before);

    // Life goes on in the new state.
    commit(backend, [append(Bucket::Key, &key(300), b"more")]);
    backend.defragment().unwrap();
    assert_eq!(get(backend, Bucket::Key, &key(300)).unwrap(), b"more");
    assert_eq!(backend.received().unwrap(), [9]);
    let subject = subject.restart();
    assert_eq!(
        get(subject.backend(), Bucket::Key, &key(300)).unwrap(),
        b"more"
    );
    install(subject.backend(), 9).unwrap();
    assert!(holds(&*subject.backend().snapshot().unwrap(), b"newer"));
    assert_eq!(subject.backend().received().unwrap(), [0; 0]);
}

// covers: P-03, D-21
pub(in crate::backend) fn a_received_state_survives_a_restart<S: Subject>() {
    let subject = S::create();
    commit(subject.backend(), ops(b"old"));
    receive(subject.backend(), 7, b"new");
    receive(subject.backend(), 8, b"newer");
    let subject = subject.restart();
    let backend = subject.backend();
    assert!(holds(&*backend.snapshot().unwrap(), b"old"));
    assert_eq!(backend.received().unwrap(), [7, 8]);
    backend.discard(7).unwrap();
    backend.discard(7).unwrap();
    assert_eq!(backend.received().unwrap(), [8]);
    // One that is not there changes nothing.
    assert!(install(backend, 7).is_err());
    commit(backend, [put(Bucket::Meta, b"a", b"1")]);
    install(backend, 8).unwrap();
    let subject = subject.restart();
    assert!(holds(&*subject.backend().snapshot().unwrap(), b"newer"));
    assert_eq!(subject.backend().received().unwrap(), [0; 0]);
}

// covers: D-21, R-014
pub(in crate::backend) fn an_unfinished_state_leaves_nothing<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(backend, ops(b"old"));
    let mut incoming = backend.receive(7).unwrap();
    incoming.write(&Batch { ops: ops(b"new") }).unwrap();
    drop(incoming);
    assert_eq!(backend.received().unwrap(), [0; 0]);
    let mut incoming = backend.receive(7).unwrap();
    incoming.write(&Batch { ops: ops(b"new") }).unwrap();
    // An impossible row spoils the state that it came with, and nothing else.
    let ops = vec![append(Bucket::Key, &key(5), b"again")];
    assert!(incoming.write(&Batch { ops }).is_err());
    drop(incoming);
    commit(backend, [put(Bucket::Meta, b"a", b"1")]);
    // A process that ends while it receives.
    let mut incoming = backend.receive(7).unwrap();
    incoming
        .write(&Batch {
            ops: self::ops(b"new"),
        })
        .unwrap();
    std::mem::drop(incoming);
    let subject = subject.restart();
    assert_eq!(subject.backend().received().unwrap(), [0; 0]);
    assert!(holds(&*subject.backend().snapshot().unwrap(), b"old"));
    receive(subject.backend(), 7, b"new");
}

pub(in crate::backend) fn one_state_is_received_at_a_time<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    let incoming = backend.receive(7).unwrap();
    assert!(backend.receive(7).is_err());
    assert!(backend.receive(8).is_err());
    drop(incoming);
    receive(backend, 8, b"new");
    // A complete one is not received again: it may be on its way into use.
    assert!(backend.receive(8).is_err());
    receive(backend, 9, b"newer");
}

//
pub(in crate::backend) fn a_failed_preparation_poisons<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(backend, ops(b"old"));
    receive(backend, 7, b"new");
    let fail = || Err(Error::backend("look at the state", "no"));
    assert!(backend.install(7, &mut |_| fail()).is_err());
    let again = try_commit(backend, put(Bucket::Meta, b"a", b"1"));
    assert!(matches!(again, Err(Error::Poisoned)));
    assert!(matches!(install(backend, 7), Err(Error::Poisoned)));
    let subject = subject.restart();
    let snapshot = subject.backend().snapshot().unwrap();
    assert!(holds(&*snapshot, b"old") || holds(&*snapshot, b"new"));
    commit(subject.backend(), [put(Bucket::Meta, b"a", b"1")]);
}

//
pub(in crate::backend) fn installs_and_rewrites_take_turns<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(backend, ops(b"0"));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                // It gives way to an install, and to nothing else.
                if let Err(error) = backend.defragment() {
                    assert!(format!("{error:?}").contains("being installed"));
                }
            }
        });
        for n in 1..=20_u64 {
            let value = n.to_string();
            receive(backend, n, value.as_bytes());
            install(backend, n).unwrap();
            commit(backend, [put(Bucket::Lease, b"after", value.as_bytes())]);
            assert!(holds(&*backend.snapshot().unwrap(), value.as_bytes()));
        }
        done.store(true, Ordering::Release);
    });
    backend.defragment().unwrap();
    let subject = subject.restart();
    let backend = subject.backend();
    assert!(holds(&*backend.snapshot().unwrap(), b"20"));
    assert_eq!(get(backend, Bucket::Lease, b"after").unwrap(), b"20");
    assert_eq!(backend.received().unwrap(), [0; 0]);
}
