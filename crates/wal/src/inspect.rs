//! Looking at a log without touching it.

use std::path::Path;

use ferrod_env::Disk;

use crate::format::SegmentHeader;
use crate::recover::{Image, Reader, segments};
use crate::{Error, Identity, Record, SegmentSeq, TornTail};

/// What a log holds, as far as it can be read.
#[derive(Debug)]
pub struct Inspection {
    /// Whose log it is; `None` if not even the first segment could be read.
    pub identity: Option<Identity>,
    /// The records in front of the damage, or all.
    pub records: Vec<Record>,
    /// What opening would cut off.
    pub torn: Option<TornTail>,
    /// Why opening would fail.
    pub damage: Option<Error>,
}

/// Reads a log and writes nothing. Other than [`Wal::open`](crate::Wal::open) it returns what lies in
/// front of damage. The log may be in use; what is being written may then look torn or damaged.
pub fn inspect(disk: &dyn Disk, dir: &Path) -> Inspection {
    let mut reader = Reader::new(disk, dir, None);
    let mut damage = reader.read().err();
    let (identity, torn) = reader.findings();
    let records = std::mem::take(&mut reader.records);
    if damage.is_none() {
        damage = reader.finish().err();
    }
    Inspection {
        identity,
        records,
        torn,
        damage,
    }
}

/// Whose log is in a directory, as most of its segments say that still say anything; `None` if none does, or if there
/// is no majority. For a log that is damaged: one that is not says so when it is opened.
///
/// # Errors
/// [`Error::Io`] if the directory cannot be read.
pub fn identify(disk: &dyn Disk, dir: &Path) -> Result<Option<Identity>, Error> {
    let mut found: Vec<Identity> = Vec::new();
    for seq in segments(disk, dir)? {
        // What cannot be read says nothing.
        let Ok(image) = Image::peek(disk, dir, seq) else {
            continue;
        };
        found.extend(SegmentHeader::decode(&image.bytes).map(|header| header.identity));
    }
    let count = |identity: Identity| found.iter().filter(|other| **other == identity).count();
    let most = found
        .iter()
        .copied()
        .find(|one| count(*one) * 2 > found.len());
    Ok(most)
}

/// Reads the records of one segment of a log that this process has open, as far as they are good: a
/// batch that is being written is not there yet. For what was seen before and is wanted again.
///
/// # Errors
/// [`Error::Io`] if it was purged or cannot be read; [`Error::Corrupt`] and others if nothing in it
/// is good.
pub fn read_segment(
    disk: &dyn Disk,
    dir: &Path,
    segment: SegmentSeq,
) -> Result<Vec<Record>, Error> {
    let mut reader = Reader::new(disk, dir, None);
    reader.peek(segment)?;
    Ok(reader.records)
}
