//! Making a log that was read fit to be written again.

use std::path::Path;

use ferrod_env::{Disk, DiskFile, OpenMode};

use crate::Error;
use crate::error::io_error;
use crate::recover::Scan;
use crate::segment::Segment;
use crate::workshop::Workshop;

/// How many zeros are written at once.
const ZEROS_BYTES: usize = 1 << 20;

/// Removes what a crash left, makes what was read durable and provable, and returns the segment to
/// continue in. Each step leaves a log that reads the same.
pub(crate) fn repair(
    disk: &dyn Disk,
    dir: &Path,
    scan: &Scan,
    workshop: &mut Workshop,
    no_fsync: bool,
) -> Result<Segment, Error> {
    workshop.tidy()?;
    // From the top, so that no hole comes about.
    for &seq in scan.unused.iter().rev() {
        workshop.remove(seq)?;
    }
    let end = &scan.end;
    let path = dir.join(end.header.seq.file_name());
    let file = disk
        .open(&path, OpenMode::ReadWrite)
        .map_err(io_error("open", &path))?;
    let mut segment = Segment {
        seq: end.header.seq,
        path,
        file,
        len: end.header.file_len,
        offset: end.offset,
        salt: end.header.prev,
        slot: end.marker.map_or(0, |(_, slot)| slot ^ 1),
    };
    restore_length(&segment, end.file_len, no_fsync)?;
    // Else a later batch could grow just so that a batch cut off today fits behind it.
    zero(&*segment.file, end.offset, end.data_end).map_err(io_error("clear", &segment.path))?;
    // What was read may come from memory of a process that died before its sync.
    sync(&segment, no_fsync)?;
    prove(&mut segment, scan, no_fsync)?;
    Ok(segment)
}

fn restore_length(segment: &Segment, len: u64, no_fsync: bool) -> Result<(), Error> {
    if len >= segment.len {
        return Ok(());
    }
    let allocated = segment.file.allocate(segment.len);
    allocated.map_err(io_error("allocate", &segment.path))?;
    if no_fsync {
        return Ok(());
    }
    segment
        .file
        .sync_all()
        .map_err(io_error("sync", &segment.path))
}

/// Writes the marker of the last batch unless it is there.
fn prove(segment: &mut Segment, scan: &Scan, no_fsync: bool) -> Result<(), Error> {
    let end = &scan.end;
    let marker = segment.marker(end.batch, end.chain, false);
    if end.marker.is_some_and(|(found, _)| found == marker) {
        return Ok(());
    }
    segment.mark(&marker.encode(scan.identity, segment.seq))?;
    sync(segment, no_fsync)
}

fn sync(segment: &Segment, no_fsync: bool) -> Result<(), Error> {
    if no_fsync { Ok(()) } else { segment.sync() }
}

fn zero(file: &dyn DiskFile, low: u64, high: u64) -> std::io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES.min(high.saturating_sub(low) as usize)];
    let mut at = low;
    while at < high {
        let count = zeros.len().min((high - at) as usize);
        file.write_all_at(&zeros[..count], at)?;
        at += count as u64;
    }
    Ok(())
}
