//! What both disks do, and what only the simulated one can do: lose things.
#![expect(clippy::unwrap_used, reason = "a test may end where it stands")]

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use ferrod_env::sim::{Effect, Loss, Op, SimDisk, When};
use ferrod_env::{Disk, OpenMode, RealDisk, is_out_of_space};

/// The contract of the traits, as far as a disk that never fails can show it.
fn conforms(disk: &dyn Disk, root: &Path) {
    let dir = root.join("a/b");
    disk.create_dir_all(&dir).unwrap();
    disk.create_dir_all(&dir).unwrap();
    let path = dir.join("file");
    let missing = disk.open(&path, OpenMode::ReadWrite).err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);

    let file = disk.open(&path, OpenMode::CreateNew).unwrap();
    let twice = disk.open(&path, OpenMode::CreateNew).err().unwrap();
    assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
    assert!(file.is_empty().unwrap());

    file.write_all_at(b"hello", 3).unwrap();
    file.allocate(10_000).unwrap();
    file.allocate(10).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    file.drop_cache().unwrap();
    let mut bytes = [1; 10];
    assert_eq!(file.read_full_at(&mut bytes, 0).unwrap(), 10);
    assert_eq!(&bytes, b"\0\0\0hello\0\0");
    assert_eq!(file.read_full_at(&mut bytes, 9_996).unwrap(), 4);
    assert_eq!(file.read_full_at(&mut bytes, 20_000).unwrap(), 0);

    let reader = disk.open(&path, OpenMode::Read).unwrap();
    assert!(reader.write_at(b"x", 0).is_err());

    let other = dir.join("other");
    disk.open(&other, OpenMode::CreateNew).unwrap();
    disk.rename(&path, &other).unwrap();
    disk.sync_dir(&dir).unwrap();
    assert_eq!(disk.list(&dir).unwrap(), ["other"]);
    assert_eq!(disk.list(root.join("a").as_path()).unwrap(), ["b"]);
    assert_eq!(
        disk.open(&other, OpenMode::Read).unwrap().len().unwrap(),
        10_000
    );
    disk.unlink(&other).unwrap();
    assert_eq!(disk.unlink(&other).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        reader.len().unwrap(),
        10_000,
        "an open handle outlives the name"
    );
    assert_eq!(
        disk.list(&root.join("none")).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn the_real_disk_conforms() {
    let scratch = tempfile::tempdir().unwrap();
    conforms(&RealDisk, scratch.path());
}

#[test]
fn the_simulated_disk_conforms() {
    conforms(&*SimDisk::new(1), Path::new("/"));
}

/// A disk with one durable file `/f` of eight sectors of ones, all overwritten with twos.
fn half_written(seed: u64) -> Arc<SimDisk> {
    let disk = SimDisk::new(seed);
    let file = disk.open(Path::new("/f"), OpenMode::CreateNew).unwrap();
    file.write_all_at(&[1; 4096], 0).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_all_at(&[2; 5000], 0).unwrap();
    disk
}

/// covers: P-05, P-06, P-08
#[test]
fn a_loss_of_power_takes_unsynced_bytes_as_asked() {
    let left = |loss, seed| {
        let disk = half_written(seed);
        disk.restart(loss);
        disk.contents(Path::new("/f"))
    };
    assert_eq!(left(Loss::Process, 1), vec![2; 5000]);
    assert_eq!(left(Loss::Drop, 1), vec![1; 4096]);
    assert_eq!(left(Loss::Keep, 1), vec![2; 5000]);

    let (mut mixed, mut torn, mut lengths) = (0, 0, Vec::new());
    for seed in 0..50 {
        let subset = left(Loss::Subset, seed);
        let whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
        assert!(subset[..4096].chunks(512).all(whole), "sectors are whole");
        mixed += usize::from(subset.contains(&1) && subset.contains(&2));
        torn += usize::from(!left(Loss::Torn, seed)[..4096].chunks(512).all(whole));
        lengths.push(subset.len());
        assert_eq!(left(Loss::Subset, seed), subset, "a seed decides");
    }
    assert!(mixed > 20 && torn > 20, "{mixed} mixed, {torn} torn");
    assert!(lengths.contains(&4096) && lengths.contains(&5000));
    assert!(lengths.iter().any(|len| ![4096, 5000].contains(len)));
}

#[test]
fn a_loss_of_power_takes_unsynced_names() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/d")).unwrap();
    let file = disk.open(Path::new("/d/f"), OpenMode::CreateNew).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.restart(Loss::Drop);
    let lost = disk.list(Path::new("/d")).unwrap_err();
    assert_eq!(
        lost.kind(),
        ErrorKind::NotFound,
        "nobody synced the directory above"
    );
    assert!(file.len().is_err(), "handles end with the machine");
}

/// covers: D-09
#[test]
fn a_failed_sync_is_believed_by_the_cache_only() {
    let disk = half_written(3);
    let file = disk.open(Path::new("/f"), OpenMode::ReadWrite).unwrap();
    let nth = disk.calls_of(Op::SyncData) + 1;
    disk.script(
        When::Nth(Op::SyncData, nth),
        Effect::Error(ErrorKind::Other),
    );
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(
        disk.contents(Path::new("/f")),
        vec![2; 5000],
        "reads do not show it"
    );
    file.drop_cache().unwrap();
    assert_ne!(
        disk.contents(Path::new("/f")),
        vec![2; 5000],
        "the platter does"
    );
}

/// covers: D-10
#[test]
fn short_and_interrupted_calls_are_continued() {
    let disk = SimDisk::new(1);
    let file = disk.open(Path::new("/f"), OpenMode::CreateNew).unwrap();
    disk.script(When::Nth(Op::Write, 1), Effect::Short);
    disk.script(
        When::Nth(Op::Write, 2),
        Effect::Error(ErrorKind::Interrupted),
    );
    disk.script(
        When::Nth(Op::Read, 1),
        Effect::Error(ErrorKind::Interrupted),
    );
    disk.script(When::Nth(Op::Read, 2), Effect::Short);
    file.write_all_at(b"all of it", 0).unwrap();
    let mut bytes = [0; 9];
    assert_eq!(file.read_full_at(&mut bytes, 0).unwrap(), 9);
    assert_eq!(&bytes, b"all of it");
    assert_eq!((disk.calls_of(Op::Write), disk.calls_of(Op::Read)), (3, 3));
}

/// covers: D-11
#[test]
fn a_full_disk_says_so_and_recovers() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(1000));
    let file = disk.open(Path::new("/f"), OpenMode::CreateNew).unwrap();
    assert!(is_out_of_space(&file.allocate(2000).unwrap_err()));
    assert!(is_out_of_space(
        &file.write_all_at(&[1; 100], 950).unwrap_err()
    ));
    disk.set_capacity(None);
    file.allocate(2000).unwrap();
}

/// covers: P-03
#[test]
fn death_ends_every_later_call_until_the_restart() {
    let disk = half_written(5);
    disk.script(When::Call(disk.calls() + 1), Effect::Death);
    assert!(disk.open(Path::new("/f"), OpenMode::Read).is_err());
    assert!(disk.is_dead());
    assert!(disk.list(Path::new("/")).is_err());
    disk.restart(Loss::Process);
    assert!(disk.open(Path::new("/f"), OpenMode::Read).is_ok());
}
