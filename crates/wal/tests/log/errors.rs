//! Disks that refuse.

use std::io::ErrorKind;

use ferrod_env::sim::{Effect, Loss, Op, SimDisk, When};
use ferrod_wal::{Batch, Error, Space, Wal};

use crate::model::{Caller, ENTRY, IDENTITY, Promises, dir, options};

/// covers: D-09
#[test]
fn a_failed_sync_poisons_and_nothing_of_it_is_believed() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut caller = Caller::create(&disk, Promises::default()).unwrap();
        caller.append(2, 100).unwrap();
        caller.sync().unwrap();
        caller.append(5, 200).unwrap();
        let nth = disk.calls_of(Op::SyncData) + 1;
        disk.script(
            When::Nth(Op::SyncData, nth),
            Effect::Error(ErrorKind::Other),
        );
        assert!(matches!(
            caller.sync(),
            Err(Error::Io {
                operation: "sync",
                ..
            })
        ));
        assert!(matches!(caller.sync(), Err(Error::Poisoned)));
        assert!(matches!(caller.append(1, 1), Err(Error::Poisoned)));
        assert!(matches!(caller.wal.sync_idle(), Err(Error::Poisoned)));
        assert_eq!(disk.calls_of(Op::SyncData), nth, "never tried again");

        // The process starts again, without a loss of power: the cache still shows all seven
        // records, but recovery may only count on what it can read from the device.
        disk.restart(Loss::Process);
        let promises = Caller::open(&disk, caller.promises()).unwrap().promises();
        disk.restart(Loss::Drop);
        Caller::open(&disk, promises).unwrap();
    }
}

/// covers: D-10
#[test]
fn a_failed_write_poisons() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    let nth = disk.calls_of(Op::Write) + 1;
    disk.script(When::Nth(Op::Write, nth), Effect::Error(ErrorKind::Other));
    assert!(matches!(
        caller.append(1, 1),
        Err(Error::Io {
            operation: "write",
            ..
        })
    ));
    assert!(matches!(caller.append(1, 1), Err(Error::Poisoned)));
}

/// covers: D-10
#[test]
fn short_and_interrupted_calls_go_unnoticed() {
    let disk = SimDisk::new(1);
    for nth in (1..200).step_by(2) {
        let interrupted = Effect::Error(ErrorKind::Interrupted);
        disk.script(When::Nth(Op::Write, nth), Effect::Short);
        disk.script(When::Nth(Op::Write, nth + 1), interrupted);
        disk.script(When::Nth(Op::Read, nth), interrupted);
        disk.script(When::Nth(Op::Read, nth + 1), Effect::Short);
    }
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    for _ in 0..20 {
        caller.append(2, 150).unwrap();
        caller.sync().unwrap();
    }
    Caller::open(&disk, caller.promises()).unwrap();
}

/// covers: D-11
#[test]
fn a_full_disk_is_told_before_it_hurts_and_forgotten_when_space_returns() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    disk.set_capacity(Some(options().segment_bytes + 1_000));
    caller.append(1, 100).unwrap();
    assert_eq!(caller.wal.space(), Space::Enough);
    caller.sync().unwrap();
    assert_eq!(
        caller.wal.space(),
        Space::Full,
        "told as soon as the next segment is missing"
    );

    // What is left of the current segment still works, then nothing is written any more.
    let refused = (0..100).find_map(|_| caller.append(1, 100).and_then(|()| caller.sync()).err());
    assert!(
        matches!(refused, Some(Error::NoSpace { .. })),
        "{refused:?}"
    );
    caller.wal.retry_space();
    assert_eq!(caller.wal.space(), Space::Full);
    let promises = caller.promises();
    drop(caller);

    // A restart on the full disk is no problem, nor is the space coming back.
    let mut caller = Caller::open(&disk, promises).unwrap();
    assert!(matches!(caller.append(9, 100), Err(Error::NoSpace { .. })));
    disk.set_capacity(None);
    caller.wal.retry_space();
    assert_eq!(caller.wal.space(), Space::Enough);
    let first_refused = caller.promises().synced();
    let (mut wal, synced) = (caller.wal, first_refused);
    let mut batch = Batch::new();
    batch.push(ENTRY, &[7; 2_000]);
    wal.append(&mut batch, |_| {}).unwrap();
    wal.sync().unwrap();
    drop(wal);
    let (_, recovery) = Wal::open(disk, dir(), options(), Some(IDENTITY)).unwrap();
    let entries = recovery
        .records
        .iter()
        .filter(|record| record.kind == ENTRY);
    assert_eq!(entries.count(), synced + 1);
}

/// covers: D-11
#[test]
fn a_batch_longer_than_the_room_left_is_refused_whole() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    caller.append(1, 10).unwrap();
    caller.sync().unwrap();
    disk.set_capacity(Some(2 * options().segment_bytes + 100));
    let mut batch = Batch::new();
    batch.push(ENTRY, &[7; 20_000]);
    let before = batch.bytes();
    let refused = caller.wal.append(&mut batch, |_| {});
    assert!(matches!(refused, Err(Error::NoSpace { .. })));
    assert_eq!(batch.bytes(), before, "the caller still has it");
    caller.append(1, 10).unwrap();
    caller.sync().unwrap();
    disk.set_capacity(None);
    caller.wal.append(&mut batch, |_| {}).unwrap();
    caller.sync().unwrap();
}

///
#[test]
fn a_creation_that_fails_can_be_repeated() {
    let calls = {
        let disk = SimDisk::new(0);
        Caller::create(&disk, Promises::default()).unwrap();
        disk.calls()
    };
    for call in 1..=calls {
        for (seed, loss) in [(1, Loss::Process), (2, Loss::Drop), (3, Loss::Torn)] {
            let disk = SimDisk::new(seed);
            disk.script(When::Call(call), Effect::Error(ErrorKind::Other));
            let first = Caller::create(&disk, Promises::default());
            assert!(first.is_err() || disk.calls_of(Op::List) > 0);
            disk.restart(loss);
            let again = Caller::start(&disk, &Promises::default());
            assert!(again.is_ok(), "call {call}, {loss:?}: {:?}", again.err());
        }
    }
}

#[test]
fn creating_twice_is_refused() {
    let disk = SimDisk::new(1);
    Caller::create(&disk, Promises::default()).unwrap();
    let twice = Caller::create(&disk, Promises::default()).err();
    assert!(matches!(twice, Some(Error::Exists { .. })));
    let absent = Caller::open(&SimDisk::new(1), Promises::default()).err();
    assert!(matches!(absent, Some(Error::NotFound { .. })));
}
