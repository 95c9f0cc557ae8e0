//! Entries that left memory, read back from the log on disk for members that lag.
//!
//! The log is being written and purged meanwhile. What is found is told by index and term, which
//! say exactly which entry it is; what is not found is gone, and the member gets a copy of the
//! state instead.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ferrod_env::Disk;
use ferrod_wal::{Record, SegmentSeq};

use crate::{Entry, LogIndex, Term, record};

/// The highest index that each segment with entries holds; ascending segments.
pub(crate) type Tops = Arc<Mutex<VecDeque<(SegmentSeq, LogIndex)>>>;

/// Entries that are to be read from the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The first index.
    pub low: LogIndex,
    /// The index behind the last one.
    pub high: LogIndex,
    /// From which index on each term holds; the first one is at or below `low`.
    pub terms: Vec<(LogIndex, Term)>,
    /// Bytes of payload after which it is enough; one entry is always read.
    pub bytes_max: u64,
}

impl Fetch {
    fn term_at(&self, index: LogIndex) -> Option<Term> {
        let run = self.terms.partition_point(|run| run.0 <= index);
        Some(self.terms[run.checked_sub(1)?].1)
    }
}

/// Segments without anything wanted after which a search ends: an entry may have been written again
/// a little later, not much later.
const FRUITLESS_MAX: usize = 3;

/// Reads a log while another thread writes it.
pub(crate) struct LogReader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    tops: Tops,
    /// The segment read last: a member that lags asks for its entries one after the other.
    last: Option<(SegmentSeq, Vec<Record>)>,
}

impl LogReader {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, tops: Tops) -> LogReader {
        LogReader {
            disk,
            dir,
            tops,
            last: None,
        }
    }

    /// Returns contiguous entries from the first wanted one on, as far as they are found; none if
    /// that one is gone.
    pub(crate) fn fetch(&mut self, fetch: &Fetch) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut fruitless = 0;
        for segment in self.segments_from(fetch.low) {
            let before = entries.len();
            let done = self.collect(segment, fetch, &mut entries);
            fruitless += usize::from(entries.len() == before);
            if done || fruitless > FRUITLESS_MAX {
                break;
            }
        }
        entries
    }

    /// Forgets the segment read last.
    pub(crate) fn rest(&mut self) {
        self.last = None;
    }

    fn segments_from(&self, low: LogIndex) -> Vec<SegmentSeq> {
        let tops = self.tops.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = tops.iter().filter(|(_, top)| *top >= low);
        holds.map(|(segment, _)| *segment).collect()
    }

    /// Adds what a segment holds of what is wanted next. Whether that is enough.
    fn collect(&mut self, segment: SegmentSeq, fetch: &Fetch, entries: &mut Vec<Entry>) -> bool {
        let mut bytes: u64 = entries.iter().map(|entry| entry.payload.len() as u64).sum();
        let mut next = entries
            .last()
            .map_or(fetch.low, |last: &Entry| last.index.next());
        for record in self.read(segment, next) {
            if next >= fetch.high || (bytes >= fetch.bytes_max && !entries.is_empty()) {
                return true;
            }
            let wanted = record::entry_at(record, next);
            let wanted = wanted.filter(|entry| fetch.term_at(next) == Some(entry.term));
            if let Some(entry) = wanted {
                next = next.next();
                bytes += entry.payload.len() as u64;
                // A slice would keep the whole segment in memory.
                let payload = Bytes::copy_from_slice(&entry.payload);
                entries.push(Entry { payload, ..entry });
            }
        }
        next >= fetch.high
    }

    /// The records of a segment, from memory if they are there and reach `next`: the segment that is
    /// being written grows.
    fn read(&mut self, segment: SegmentSeq, next: LogIndex) -> &[Record] {
        let known = self.last.as_ref().is_some_and(|(last, records)| {
            let reaches = |record: &Record| record::entry_at(record, next).is_some();
            *last == segment && records.iter().any(reaches)
        });
        if !known {
            let records = ferrod_wal::read_segment(&*self.disk, &self.dir, segment);
            // What cannot be read is gone as far as a member that lags is concerned.
            self.last = Some((segment, records.unwrap_or_default()));
        }
        self.last.as_ref().map_or(&[], |(_, records)| records)
    }
}
