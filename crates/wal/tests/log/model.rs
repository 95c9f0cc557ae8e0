//! A caller that remembers what it was promised.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrod_env::Disk;
use ferrod_env::sim::SimDisk;
use ferrod_wal::{Batch, Error, Identity, Options, Record, Recovery, SegmentSeq, Wal};

pub(crate) const IDENTITY: Identity = Identity {
    cluster: 0xc1,
    member: 0x3e,
};
pub(crate) const ENTRY: u8 = b'E';
pub(crate) const PREAMBLE: u8 = b'P';

pub(crate) fn dir() -> &'static Path {
    Path::new("/data/wal")
}

pub(crate) fn path_of(segment: u64) -> PathBuf {
    dir().join(SegmentSeq(segment).file_name())
}

/// Room for a few batches of [`Caller`] in each segment.
pub(crate) fn options() -> Options {
    Options {
        segment_bytes: 12_288 + 2_000,
        recycled_max: 1,
        no_fsync: false,
    }
}

/// Writes numbered records and remembers which it may expect back.
pub(crate) struct Caller {
    pub(crate) wal: Wal,
    batch: Batch,
    promises: Promises,
}

/// What a log owes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promises {
    /// Records appended: numbers `0..written`, and the segment of each.
    segments: Vec<SegmentSeq>,
    /// Records synced: these must come back.
    synced: usize,
    /// Records given up: these may be gone.
    purged: usize,
}

impl Caller {
    pub(crate) fn create(disk: &Arc<SimDisk>, promises: Promises) -> Result<Self, Error> {
        assert_eq!(
            promises.synced,
            0,
            "a log with promises is gone: {:?}",
            disk.files()
        );
        let wal = Wal::create(disk.clone(), dir(), options(), IDENTITY, |first| {
            first.push(PREAMBLE, &0_u64.to_le_bytes());
        })?;
        Ok(Self::new(wal, Promises::default()))
    }

    /// Opens the log and checks that it keeps its promises.
    pub(crate) fn open(disk: &Arc<SimDisk>, promises: Promises) -> Result<Self, Error> {
        let (wal, recovery) = Wal::open(disk.clone(), dir(), options(), Some(IDENTITY))?;
        let promises = promises.kept_by(&recovery);
        Ok(Self::new(wal, promises))
    }

    /// Opens the log, or creates it if nothing was promised and none is there.
    pub(crate) fn start(disk: &Arc<SimDisk>, promises: &Promises) -> Result<Self, Error> {
        match Self::open(disk, promises.clone()) {
            Err(Error::NotFound { .. }) => Self::create(disk, promises.clone()),
            other => other,
        }
    }

    fn new(wal: Wal, promises: Promises) -> Self {
        Self {
            wal,
            batch: Batch::new(),
            promises,
        }
    }

    pub(crate) fn promises(&self) -> Promises {
        self.promises.clone()
    }

    /// Appends `count` records of about `bytes` bytes.
    pub(crate) fn append(&mut self, count: usize, bytes: usize) -> Result<(), Error> {
        let first = self.promises.segments.len();
        self.batch.clear();
        for number in first..first + count {
            self.batch.push(ENTRY, &payload(number, bytes));
        }
        let preamble = |batch: &mut Batch| batch.push(PREAMBLE, &(first as u64).to_le_bytes());
        // Whether or not it succeeds, all of it may come back.
        let segment = self.wal.append(&mut self.batch, preamble);
        let known = *segment.as_ref().unwrap_or(&SegmentSeq(u64::MAX));
        self.promises.segments.resize(first + count, known);
        segment.map(|_| ())
    }

    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.wal.sync()?;
        self.promises.synced = self.promises.segments.len();
        Ok(())
    }

    pub(crate) fn purge(&mut self, low: SegmentSeq) -> Result<(), Error> {
        let given_up = self
            .promises
            .segments
            .iter()
            .take_while(|&&segment| segment < low);
        // Only what was synced can be given up; the rest is kept.
        self.promises.purged = given_up.count().min(self.promises.synced);
        self.wal.purge(low)
    }
}

impl Promises {
    pub(crate) fn synced(&self) -> usize {
        self.synced
    }

    /// Checks what came back, and returns what is owed from here on: opening makes all of it durable.
    pub(crate) fn kept_by(mut self, recovery: &Recovery) -> Self {
        let range = numbers(&recovery.records);
        assert!(
            range.start <= self.purged,
            "{range:?} begins too late for {self:?}"
        );
        assert!(
            range.end >= self.synced,
            "{range:?} ends too early for {self:?}"
        );
        assert!(
            range.end <= self.segments.len(),
            "{range:?} was never written: {self:?}"
        );
        self.segments.truncate(range.end);
        let entries = recovery
            .records
            .iter()
            .filter(|record| record.kind == ENTRY);
        for (number, entry) in range.clone().zip(entries) {
            self.segments[number] = entry.segment;
        }
        self.synced = range.end;
        self
    }
}

/// The bytes of a record: its number, then a filler of a length that varies.
fn payload(number: usize, bytes: usize) -> Vec<u8> {
    let mut out = (number as u64).to_le_bytes().to_vec();
    out.resize(8 + bytes + number % 7, number as u8 | 1);
    out
}

/// Returns the range of record numbers, after checking that there is no gap and that each segment
/// starts with a preamble that tells where.
pub(crate) fn numbers(records: &[Record]) -> Range<usize> {
    let mut range: Option<Range<usize>> = None;
    let mut segment = None;
    for record in records {
        let bytes = record.payload[..8].try_into().unwrap();
        let number = u64::from_le_bytes(bytes) as usize;
        let next = range.get_or_insert(number..number);
        assert_eq!(number, next.end, "a gap");
        let starts = segment.replace(record.segment) != Some(record.segment);
        assert_eq!(
            record.kind,
            if starts { PREAMBLE } else { ENTRY },
            "number {number} in {}",
            record.segment
        );
        if record.kind == ENTRY {
            let filler = &record.payload[8..];
            assert!(filler.iter().all(|byte| *byte == number as u8 | 1));
            next.end += 1;
        }
    }
    range.unwrap_or(0..0)
}

/// Reads everything back without changing anything.
pub(crate) fn read(disk: &dyn Disk) -> Result<Range<usize>, Error> {
    let found = ferrod_wal::inspect(disk, dir());
    match found.damage {
        None => Ok(numbers(&found.records)),
        Some(damage) => Err(damage),
    }
}
