//! Segments that are missing, exchanged, repeated, foreign, empty or of another version.

use std::path::Path;
use std::sync::Arc;

use ferrod_env::sim::{Effect, Loss, Op, SimDisk, When};
use ferrod_env::{Disk, OpenMode};
use ferrod_wal::{Error, Identity, Options, SegmentSeq, TornTail, Wal};

use crate::model::{Caller, ENTRY, IDENTITY, Promises, dir, options, path_of, read};

/// A log of four used segments and a prepared fifth, all durable.
fn four_segments() -> (Arc<SimDisk>, Promises) {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    while caller.wal.current_segment() < SegmentSeq(4) {
        caller.append(2, 200).unwrap();
        caller.sync().unwrap();
    }
    caller.wal.sync_idle().unwrap();
    (disk, caller.promises())
}

fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let _ = disk.unlink(path);
    let file = disk.open(path, OpenMode::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync_all().unwrap();
    disk.sync_dir(dir()).unwrap();
}

fn refused(disk: &SimDisk) -> Error {
    let before: Vec<_> = disk
        .files()
        .iter()
        .map(|path| disk.contents(path))
        .collect();
    let error = read(disk).unwrap_err();
    let after: Vec<_> = disk
        .files()
        .iter()
        .map(|path| disk.contents(path))
        .collect();
    assert_eq!(before, after, "reading changes nothing");
    error
}

/// covers: D-05
#[test]
fn a_missing_segment_is_named() {
    for lost in 2..=4 {
        let (disk, _) = four_segments();
        disk.unlink(&path_of(lost)).unwrap();
        if lost == 4 {
            // With the prepared one gone too, the last used one is lost without a hole.
            disk.unlink(&path_of(5)).unwrap();
        }
        let error = refused(&disk);
        assert!(
            matches!(error, Error::Missing { segment } if segment == SegmentSeq(lost)),
            "{error}"
        );
    }
}

/// covers: D-05
#[test]
fn an_emptied_segment_is_damage() {
    for lost in 1..=4 {
        for bytes in [vec![], vec![0; options().segment_bytes as usize]] {
            let (disk, _) = four_segments();
            put(&disk, &path_of(lost), &bytes);
            let error = refused(&disk);
            assert!(
                matches!(error, Error::Corrupt { segment, offset: 0 } if segment.0 == lost),
                "{error}"
            );
        }
    }
}

/// covers: D-05
#[test]
fn exchanged_and_repeated_segments_are_named() {
    for (from, to) in [(2, 3), (3, 2), (1, 4), (3, 5), (4, 5)] {
        let (disk, _) = four_segments();
        put(&disk, &path_of(to), &disk.contents(&path_of(from)));
        let error = refused(&disk);
        assert!(
            matches!(error, Error::Misplaced { segment, found }
                if segment.0 == to && found.0 == from),
            "{from} as {to}: {error}"
        );
    }
}

/// covers: D-05
#[test]
fn a_foreign_segment_is_named() {
    let (disk, _) = four_segments();
    let (other, _) = four_segments();
    let bytes = {
        let stranger = Identity {
            cluster: IDENTITY.cluster,
            member: 99,
        };
        let elsewhere = Path::new("/elsewhere");
        let wal = Wal::create(other.clone(), elsewhere, options(), stranger, |_| {});
        drop(wal.unwrap());
        other.contents(&elsewhere.join(SegmentSeq::FIRST.file_name()))
    };
    put(&disk, &path_of(3), &bytes);
    let error = refused(&disk);
    assert!(
        matches!(error, Error::Foreign { segment: SegmentSeq(3), found, expected }
        if found.member == 99 && expected == IDENTITY)
    );

    let wrong = Identity {
        cluster: 1,
        member: 1,
    };
    let (disk, _) = four_segments();
    let error = Wal::open(disk, dir(), options(), Some(wrong))
        .err()
        .unwrap();
    assert!(matches!(
        error,
        Error::Foreign {
            segment: SegmentSeq(1),
            ..
        }
    ));
}

/// covers: D-05, D-16
#[test]
fn a_segment_of_another_history_is_named() {
    let (disk, _) = four_segments();
    let other = SimDisk::new(1);
    let mut caller = Caller::create(&other, Promises::default()).unwrap();
    while caller.wal.current_segment() < SegmentSeq(3) {
        caller.append(3, 150).unwrap();
        caller.sync().unwrap();
    }
    put(&disk, &path_of(3), &other.contents(&path_of(3)));
    let error = refused(&disk);
    assert!(matches!(
        error,
        Error::BrokenChain { .. }
            | Error::Corrupt {
                segment: SegmentSeq(2),
                ..
            }
    ));
}

/// An old copy of a segment, from before later batches were synced, is damage, not an end.
///
/// covers: D-16
#[test]
fn a_segment_rolled_back_is_damage() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    caller.append(1, 10).unwrap();
    caller.sync().unwrap();
    let old = disk.contents(&path_of(1));
    while caller.wal.current_segment() < SegmentSeq(2) {
        caller.append(2, 200).unwrap();
        caller.sync().unwrap();
    }
    put(&disk, &path_of(1), &old);
    assert!(matches!(
        refused(&disk),
        Error::Corrupt {
            segment: SegmentSeq(1),
            ..
        }
    ));
}

/// covers: P-14
#[test]
fn another_version_is_named_and_left_alone() {
    let (disk, _) = four_segments();
    let mut bytes = disk.contents(&path_of(1));
    bytes[8] = 2;
    bytes[60..64].copy_from_slice(&[9; 4]);
    put(&disk, &path_of(1), &bytes);
    let error = refused(&disk);
    let text = "segment 0000000000000001.wal has format version 2, this program reads version 1";
    assert_eq!(error.to_string(), text);
}

/// covers: P-08
#[test]
fn a_prepared_segment_that_lost_its_content_is_no_harm() {
    for bytes in [vec![], vec![0; 100], vec![0xab; 5_000]] {
        let (disk, promises) = four_segments();
        put(&disk, &path_of(5), &bytes);
        let mut caller = Caller::open(&disk, promises).unwrap();
        caller.append(9, 200).unwrap();
        caller.sync().unwrap();
        Caller::open(&disk, caller.promises()).unwrap();
    }
}

/// Segments that were never used are removed from the top, so that a death leaves no hole.
///
/// covers: P-04, P-08
#[test]
fn several_unused_segments_are_removed_without_leaving_a_hole() {
    for death in 1..30 {
        let (disk, promises) = four_segments();
        put(&disk, &path_of(6), &[]);
        disk.script(When::Call(disk.calls() + death), Effect::Death);
        let _ = Caller::open(&disk, promises.clone());
        disk.restart(Loss::Keep);
        Caller::open(&disk, promises).unwrap();
    }
}

/// covers: P-08, D-01
#[test]
fn a_segment_cut_after_its_last_batch_gets_its_length_back() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    caller.append(2, 100).unwrap();
    caller.sync().unwrap();
    let promises = caller.promises();
    let data_end = disk
        .contents(&path_of(1))
        .iter()
        .rposition(|&byte| byte != 0)
        .unwrap();
    for len in [
        data_end as u64 + 1,
        data_end as u64 + 50,
        options().segment_bytes - 1,
    ] {
        let disk = disk.fork();
        disk.truncate(&path_of(1), len);
        let mut caller = Caller::open(&disk, promises.clone()).unwrap();
        assert_eq!(
            disk.contents(&path_of(1)).len() as u64,
            options().segment_bytes
        );
        caller.append(1, 100).unwrap();
        caller.sync().unwrap();
        Caller::open(&disk, caller.promises()).unwrap();
    }
}

/// covers: D-01
#[test]
fn a_torn_tail_is_reported_cut_off_and_zeroed() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    caller.append(2, 100).unwrap();
    caller.sync().unwrap();
    caller.append(2, 100).unwrap();
    let promises = caller.promises();
    let bytes = disk.contents(&path_of(1));
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1;
    disk.restart(Loss::Process);
    disk.flip_bit(&path_of(1), end - 30, 3);

    let (wal, recovery) = Wal::open(disk.clone(), dir(), options(), Some(IDENTITY)).unwrap();
    let TornTail {
        segment,
        offset,
        bytes,
    } = recovery.torn.unwrap();
    assert_eq!((segment, offset + bytes), (SegmentSeq(1), end));
    assert!(
        disk.contents(&path_of(1))[offset as usize..]
            .iter()
            .all(|&byte| byte == 0)
    );
    drop(wal);
    disk.restart(Loss::Drop);
    let (_, recovery) = Wal::open(disk, dir(), options(), Some(IDENTITY)).unwrap();
    assert_eq!(recovery.torn, None, "said once");
    promises.kept_by(&recovery);
}

#[test]
fn purged_segments_are_reused_and_tell_old_from_new() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    for _ in 0..200 {
        caller.append(2, 150).unwrap();
        caller.sync().unwrap();
        caller.purge(caller.wal.current_segment()).unwrap();
    }
    assert!(caller.wal.current_segment() > SegmentSeq(20));
    assert!(disk.files().len() <= 4, "{:?}", disk.files());
    let (first, current) = (caller.wal.first_segment(), caller.wal.current_segment());
    assert_eq!(first, current, "the current one is never purged");
    let promises = caller.promises();
    drop(caller);
    for _ in 0..2 {
        disk.restart(Loss::Drop);
        let (_, recovery) = Wal::open(disk.clone(), dir(), options(), None).unwrap();
        assert_eq!(recovery.torn, None, "remains are no torn tail");
        assert_eq!(recovery.identity, IDENTITY);
        promises.clone().kept_by(&recovery);
    }
}

///
#[test]
fn a_batch_longer_than_a_segment_gets_one_of_its_own() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    for bytes in [10, 50_000, 10, 200_000, 300_000, 10] {
        caller.append(1, bytes).unwrap();
        caller.sync().unwrap();
        Caller::open(&disk.fork(), caller.promises()).unwrap();
    }
}

#[test]
fn without_syncs_the_log_still_reads_back() {
    let disk = SimDisk::new(1);
    let options = Options {
        no_fsync: true,
        ..options()
    };
    let mut wal = Wal::create(disk.clone(), dir(), options, IDENTITY, |_| {}).unwrap();
    let mut batch = ferrod_wal::Batch::new();
    for _ in 0..50 {
        batch.push(ENTRY, &[1; 200]);
        wal.append(&mut batch, |_| {}).unwrap();
        wal.sync().unwrap();
    }
    wal.sync_idle().unwrap();
    drop(wal);
    for op in [Op::SyncData, Op::SyncAll, Op::SyncDir] {
        assert_eq!(disk.calls_of(op), 0, "{op:?}");
    }
    let (_, recovery) = Wal::open(disk, dir(), options, Some(IDENTITY)).unwrap();
    assert_eq!(recovery.records.len(), 50);
}
