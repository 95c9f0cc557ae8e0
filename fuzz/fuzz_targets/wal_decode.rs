//! Whatever is in a segment file, reading it ends in records or an error, never in a panic; and what
//! opening accepts, opening accepts again.
//!
//! The input is either a whole file, or a list of edits to a good one. Checksums of the headers are put
//! right afterwards if asked for, so that the checks behind them are reached.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use ferrod_env::sim::{Loss, SimDisk};
use ferrod_env::{Disk, OpenMode};
use ferrod_wal::{Batch, Identity, Options, SegmentSeq, Wal, inspect};
use libfuzzer_sys::fuzz_target;

const DIR: &str = "/wal";
const DATA_OFFSET: usize = 12_288;
const OPTIONS: Options = Options {
    segment_bytes: 16_384,
    recycled_max: 1,
    no_fsync: false,
};

fuzz_target!(|input: &[u8]| {
    let Some((&mode, rest)) = input.split_first() else {
        return;
    };
    let mut bytes = match mode & 1 {
        0 => rest.to_vec(),
        _ => edited(rest),
    };
    if mode & 2 != 0 {
        put_sums_right(&mut bytes);
    }
    check(&bytes);
});

fn check(bytes: &[u8]) {
    let disk = SimDisk::new(0);
    let dir = Path::new(DIR);
    disk.create_dir_all(dir).expect("nothing fails");
    let path = dir.join(SegmentSeq::FIRST.file_name());
    let file = disk
        .open(&path, OpenMode::CreateNew)
        .expect("nothing fails");
    file.write_all_at(bytes, 0).expect("nothing fails");
    disk.restart(Loss::Keep);

    let found = inspect(&*disk, dir);
    // A header may ask for a file longer than this machine's memory.
    let len = bytes
        .get(48..56)
        .map_or(0, |len| u64::from_le_bytes(len.try_into().expect("eight")));
    if found.damage.is_some() || len > 1 << 20 {
        return;
    }
    let open = || Wal::open(disk.clone(), dir, OPTIONS, None).expect("inspection found no damage");
    let (_, recovery) = open();
    assert_eq!(recovery.records, found.records);
    let (_, recovery) = open();
    assert_eq!(recovery.records, found.records);
    assert_eq!(recovery.torn, None);
}

/// A good log with bytes replaced: three bytes of input for each, an offset and a value.
fn edited(edits: &[u8]) -> Vec<u8> {
    let mut bytes = good_log();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
        bytes[at] = edit[2];
    }
    bytes
}

fn good_log() -> Vec<u8> {
    let disk: Arc<SimDisk> = SimDisk::new(0);
    let identity = Identity {
        cluster: 1,
        member: 2,
    };
    let created = Wal::create(disk.clone(), Path::new(DIR), OPTIONS, identity, |_| {});
    let mut wal = created.expect("nothing fails");
    let mut batch = Batch::new();
    for payload in [&b"one"[..], b"", b"three"] {
        batch.push(1, payload);
        batch.push(2, payload);
        wal.append(&mut batch, |_| {}).expect("nothing fails");
        wal.sync().expect("nothing fails");
    }
    disk.contents(&Path::new(DIR).join(SegmentSeq::FIRST.file_name()))
}

/// Makes the checksums of the segment header and of the first batch what they should be.
fn put_sums_right(bytes: &mut [u8]) {
    if bytes.len() < DATA_OFFSET + 48 {
        return;
    }
    let sum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
    let salt = word(bytes, 56);
    let batch = &mut bytes[DATA_OFFSET..];
    let end = 48 + word(batch, 4) as usize;
    if end <= batch.len() {
        let chain = crc32c::crc32c_append(word(batch, 36), &batch[..40]);
        let chain = crc32c::crc32c_append(chain, &batch[48..end]);
        batch[40..44].copy_from_slice(&chain.to_le_bytes());
    }
    let sum = crc32c::crc32c_append(salt, &batch[..44]);
    batch[44..48].copy_from_slice(&sum.to_le_bytes());
}
