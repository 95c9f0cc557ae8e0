//! Every single damaged bit is harmless or reported, and a cut anywhere is too.

use std::ops::Range;
use std::sync::Arc;

use ferrod_env::sim::{Loss, SimDisk};
use ferrod_env::{Disk, OpenMode};
use ferrod_wal::{Batch, Error, SegmentSeq, inspect};

use crate::model::{Caller, ENTRY, Promises, dir, options, path_of, read};

const PAGE: usize = 4096;

/// Two used segments and a prepared third, idle: every batch is provable.
fn idle_log() -> (Arc<SimDisk>, Promises) {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    while caller.wal.current_segment() < SegmentSeq(2) {
        caller.append(1, 150).unwrap();
        caller.append(2, 100).unwrap();
        caller.sync().unwrap();
    }
    caller.append(1, 100).unwrap();
    caller.sync().unwrap();
    assert!(caller.wal.sync_idle().unwrap());
    assert!(!caller.wal.sync_idle().unwrap(), "only once");
    (disk, caller.promises())
}

/// Where a segment holds something: its header, its markers, its batches and a little beyond.
fn interesting(bytes: &[u8]) -> Vec<Range<usize>> {
    let end = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    let end = (end + 8).clamp(3 * PAGE + 8, bytes.len());
    vec![
        0..72,
        PAGE..PAGE + 40,
        2 * PAGE..2 * PAGE + 40,
        3 * PAGE..end,
    ]
}

/// Reads a damaged log: either all of it is there, or the right file is named.
fn judge(disk: &SimDisk, segment: u64, promised: usize) -> bool {
    match read(disk) {
        Ok(range) => {
            assert_eq!(range, 0..promised);
            true
        }
        Err(Error::Corrupt { segment: named, .. }) => {
            assert_eq!(named, SegmentSeq(segment));
            false
        }
        Err(other) => panic!("{other}"),
    }
}

/// covers: D-02, D-03, D-04
#[test]
fn every_flipped_bit_is_harmless_or_reported() {
    let (disk, promises) = idle_log();
    let promised = promises.synced();
    for segment in 1..=3 {
        let path = path_of(segment);
        let bytes = disk.contents(&path);
        let (mut harmless, mut reported) = (0, 0);
        for at in interesting(&bytes).into_iter().flatten() {
            for bit in 0..8 {
                disk.flip_bit(&path, at as u64, bit);
                match judge(&disk, segment, promised) {
                    true => harmless += 1,
                    false => reported += 1,
                }
                disk.flip_bit(&path, at as u64, bit);
            }
        }
        let used = segment < 3;
        assert_eq!(
            reported > harmless,
            used,
            "{reported} reported, {harmless} harmless"
        );
    }
}

/// In batches and the segment header no bit is harmless.
///
/// covers: D-02, D-03, D-04
#[test]
fn no_flipped_bit_of_a_batch_is_harmless() {
    let (disk, promises) = idle_log();
    for segment in 1..=2 {
        let path = path_of(segment);
        let bytes = disk.contents(&path);
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        // The last byte of a record may be zero, but those of this log are not.
        for at in (0..64).chain(3 * PAGE..end) {
            let bit = (at % 8) as u8;
            disk.flip_bit(&path, at as u64, bit);
            assert!(
                !judge(&disk, segment, promises.synced()),
                "segment {segment} byte {at}"
            );
            disk.flip_bit(&path, at as u64, bit);
        }
    }
}

/// Damage that was repaired by nobody must be reported by opening as well, which leaves it alone.
///
/// covers: D-02
#[test]
fn opening_a_damaged_log_changes_nothing() {
    let (disk, promises) = idle_log();
    for (segment, at) in [
        (1, 10),
        (1, 3 * PAGE + 60),
        (2, 3 * PAGE + 4),
        (2, 3 * PAGE + 300),
    ] {
        let disk = disk.fork();
        disk.flip_bit(&path_of(segment), at as u64, 1);
        let before: Vec<_> = disk
            .files()
            .iter()
            .map(|path| disk.contents(path))
            .collect();
        let error = Caller::open(&disk, promises.clone()).err().unwrap();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        let after: Vec<_> = disk
            .files()
            .iter()
            .map(|path| disk.contents(path))
            .collect();
        assert_eq!(before, after);
    }
}

/// A length that reads as zero, or as beyond the end, is damage and not a torn tail.
///
/// covers: D-03
#[test]
fn a_damaged_length_is_damage() {
    let (disk, promises) = idle_log();
    for segment in [1, 2] {
        for (byte, bit) in (0..4).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let disk = disk.fork();
            disk.flip_bit(&path_of(segment), 3 * PAGE as u64 + 4 + byte, bit);
            assert!(!judge(&disk, segment, promises.synced()));
        }
    }
}

/// A sector of zeros in the middle is never the end of the log.
///
/// covers: P-08, D-02, D-03, D-16
#[test]
fn a_sector_that_reads_as_zeros_is_damage() {
    let (disk, promises) = idle_log();
    for segment in [1, 2] {
        let bytes = disk.contents(&path_of(segment));
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        for sector in 3 * PAGE / 512..=end / 512 {
            let disk = disk.fork();
            let file = disk.open(&path_of(segment), OpenMode::ReadWrite).unwrap();
            let len = bytes[sector * 512..].len().min(512);
            file.write_all_at(&vec![0; len], sector as u64 * 512)
                .unwrap();
            assert!(!judge(&disk, segment, promises.synced()), "sector {sector}");
        }
    }
}

/// A log cut behind its last batch reads whole, a log cut before is reported.
///
/// covers: D-01, D-02
#[test]
fn a_cut_anywhere_loses_nothing_silently() {
    let (disk, promises) = idle_log();
    for segment in 1..=3 {
        let bytes = disk.contents(&path_of(segment));
        let end = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |at| at + 1);
        for len in (0..=options().segment_bytes as usize).step_by(13) {
            let disk = disk.fork();
            disk.truncate(&path_of(segment), len as u64);
            let whole = judge(&disk, segment, promises.synced());
            // A cut that takes the markers along takes all batches along too, and is seen by that;
            // of the first segment by the second, of the second by the first's last marker.
            assert_eq!(whole, len >= end, "segment {segment} cut at {len}");
        }
    }
}

/// After a process died between a sync and the marker's own sync, opening makes the proof good.
///
/// covers: D-04
#[test]
fn the_last_batch_is_provable_after_any_opening() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    caller.append(2, 100).unwrap();
    let promises = caller.promises();
    drop(caller);
    disk.restart(Loss::Process);
    let promises = Caller::open(&disk, promises).unwrap().promises();
    assert_eq!(promises.synced(), 2);
    disk.restart(Loss::Drop);
    let end = disk
        .contents(&path_of(1))
        .iter()
        .rposition(|&byte| byte != 0)
        .unwrap();
    disk.flip_bit(&path_of(1), end as u64, 0);
    assert!(!judge(&disk, 1, 2));
}

/// Without any marker left, a later batch still proves that an earlier one was synced.
///
/// covers: D-02, D-03
#[test]
fn a_later_batch_proves_an_earlier_one() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    for _ in 0..3 {
        caller.append(2, 100).unwrap();
        caller.sync().unwrap();
    }
    let promises = caller.promises();
    for slot in [PAGE, 2 * PAGE] {
        disk.flip_bit(&path_of(1), slot as u64, 0);
    }
    assert_eq!(
        read(&*disk).unwrap(),
        0..promises.synced(),
        "markers are not needed to read"
    );
    for at in [3 * PAGE, 3 * PAGE + 4, 3 * PAGE + 60, 3 * PAGE + 300] {
        disk.flip_bit(&path_of(1), at as u64, 0);
        assert!(!judge(&disk, 1, promises.synced()), "byte {at}");
        disk.flip_bit(&path_of(1), at as u64, 0);
    }
}

/// Of two batches written before one sync a crash may keep only the second. That is a torn tail.
///
/// covers: R-017, D-01
#[test]
fn two_unsynced_batches_kept_in_reverse_order_are_a_torn_tail() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    caller.append(1, 300).unwrap();
    caller.sync().unwrap();
    let start = data_end(&disk, 1);
    caller.append(1, 300).unwrap();
    let middle = data_end(&disk, 1);
    caller.append(1, 300).unwrap();
    let promises = caller.promises();
    for lost in [
        start..middle,
        start..start + 48,
        start + 48..middle,
        start..start + 1,
    ] {
        let disk = disk.fork();
        disk.restart(Loss::Keep);
        let file = disk.open(&path_of(1), OpenMode::ReadWrite).unwrap();
        file.write_all_at(&vec![0; lost.len()], lost.start as u64)
            .unwrap();
        let mut caller = Caller::open(&disk, promises.clone()).unwrap();
        assert_eq!(caller.promises().synced(), 1, "{lost:?}");
        caller.append(1, 300).unwrap();
        caller.sync().unwrap();
        Caller::open(&disk, caller.promises()).unwrap();
    }
}

/// Markers go to two slots by turns, so that one torn in writing leaves the one before.
///
/// covers: D-04
#[test]
fn a_torn_marker_leaves_the_one_before() {
    let disk = SimDisk::new(1);
    let mut caller = Caller::create(&disk, Promises::default()).unwrap();
    let mut slots = Vec::new();
    for _ in 0..4 {
        let before = disk.contents(&path_of(1));
        caller.append(1, 10).unwrap();
        caller.sync().unwrap();
        caller.wal.sync_idle().unwrap();
        let after = disk.contents(&path_of(1));
        let changed = |page: &usize| before[*page..page + 32] != after[*page..page + 32];
        slots.extend([PAGE, 2 * PAGE].into_iter().filter(changed));
    }
    // Creating the log took the first turn.
    assert_eq!(slots, [2 * PAGE, PAGE, 2 * PAGE, PAGE]);
    let path = path_of(1);
    disk.flip_bit(&path, PAGE as u64 + 20, 0);
    assert_eq!(read(&*disk).unwrap(), 0..4);
    disk.flip_bit(&path, data_end(&disk, 1) as u64 - 1, 0);
    assert_eq!(
        read(&*disk).unwrap(),
        0..3,
        "the last batch has lost its only proof"
    );
}

/// A batch of another history with the same sequence in the same place is not taken for ours, though
/// it is whole in itself: it does not continue what is before it, or is not what the marker names.
///
/// covers: D-16
#[test]
fn a_batch_of_another_history_is_damage() {
    for (ours, theirs) in [([1, 7], [2, 7]), ([7, 1], [7, 2])] {
        let ((disk, start), (other, _)) = (history(ours), history(theirs));
        let file = disk.open(&path_of(1), OpenMode::ReadWrite).unwrap();
        let bytes = other.contents(&path_of(1));
        file.write_all_at(&bytes[start..], start as u64).unwrap();
        match inspect(&*disk, dir()).damage {
            Some(Error::Corrupt {
                segment: SegmentSeq(1),
                offset,
            }) => {
                assert_eq!(offset, start as u64);
            }
            other => panic!("{other:?}"),
        }
    }
    // Without markers nothing says that ours was synced, but theirs still does not fit.
    let ((disk, start), (other, _)) = (history([1, 7]), history([2, 7]));
    let file = disk.open(&path_of(1), OpenMode::ReadWrite).unwrap();
    let bytes = other.contents(&path_of(1));
    file.write_all_at(&bytes[start..], start as u64).unwrap();
    file.write_all_at(&[0; 2 * PAGE], PAGE as u64).unwrap();
    let found = inspect(&*disk, dir());
    assert_eq!(found.torn.unwrap().offset, start as u64);
    assert_eq!(found.records.len(), 2);
}

/// A log of two synced batches of one record each, and where the second begins.
fn history(fillers: [u8; 2]) -> (Arc<SimDisk>, usize) {
    let disk = SimDisk::new(1);
    let mut wal = Caller::create(&disk, Promises::default()).unwrap().wal;
    let mut batch = Batch::new();
    let mut start = 0;
    for byte in fillers {
        start = data_end(&disk, 1);
        batch.push(ENTRY, &[byte; 100]);
        wal.append(&mut batch, |_| {}).unwrap();
        wal.sync().unwrap();
        wal.sync_idle().unwrap();
    }
    (disk, start)
}

/// Where the last byte that is not zero ends.
fn data_end(disk: &SimDisk, segment: u64) -> usize {
    let bytes = disk.contents(&path_of(segment));
    bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1)
}
