//! The log with its helper thread, on real files.

use std::sync::Arc;

use ferrod_env::RealDisk;
use ferrod_wal::{Batch, Identity, Options, SegmentSeq, Wal, inspect};

use crate::model::{ENTRY, IDENTITY, PREAMBLE};

const fn is_send<T: Send>() {}
const _: () = is_send::<Wal>();

/// Rolls and purges while the thread prepares and recycles, then reads back what was kept.
#[test]
fn a_thread_prepares_and_recycles_segments() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("member/wal");
    let options = Options {
        segment_bytes: 64 << 10,
        ..Options::default()
    };
    let disk = Arc::new(RealDisk);
    let wal = Wal::create(disk.clone(), &dir, options, IDENTITY, |_| {}).unwrap();
    let mut wal = wal
        .with_helper_thread()
        .unwrap()
        .with_helper_thread()
        .unwrap();
    let mut batch = Batch::new();
    let mut segments = Vec::new();
    for number in 0..500_u32 {
        batch.push_with(ENTRY, |out| {
            out.extend_from_slice(&number.to_le_bytes());
            out.resize(out.len() + 2_000, 0x5a);
        });
        let segment = wal
            .append(&mut batch, |first| first.push(PREAMBLE, b"state"))
            .unwrap();
        segments.push(segment);
        wal.sync().unwrap();
        wal.purge(SegmentSeq(segment.0.saturating_sub(2))).unwrap();
    }
    assert!(wal.sync_idle().unwrap());
    let first = wal.first_segment();
    assert!(first > SegmentSeq(10));
    drop(wal);

    let found = inspect(&RealDisk, &dir);
    assert!(found.damage.is_none(), "{:?}", found.damage);
    let (wal, recovery) = Wal::open(disk, &dir, options, Some(IDENTITY)).unwrap();
    assert_eq!(recovery.records, found.records);
    assert_eq!((wal.first_segment(), recovery.torn), (first, None));
    let kept = segments.iter().filter(|&&segment| segment >= first).count();
    let numbers: Vec<_> = recovery
        .records
        .iter()
        .filter(|record| record.kind == ENTRY)
        .map(|record| u32::from_le_bytes(record.payload[..4].try_into().unwrap()))
        .collect();
    let expected: Vec<_> = (500 - kept as u32..500).collect();
    assert_eq!(numbers, expected);
    assert_eq!(
        wal.identity(),
        Identity {
            cluster: 0xc1,
            member: 0x3e
        }
    );
}
