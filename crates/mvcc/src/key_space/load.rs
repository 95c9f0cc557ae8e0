//! Rebuilding the index at start, from the rows in revision order.
//!
//! Several threads take turns in reading short spans of revisions, each into a run of its own; the runs are sorted
//! by key and merged into the index. This goes in rounds, so that what waits to be merged never takes much more memory than the index itself, and the
//! records of a later round are newer than those of an earlier one. What comes out does not depend on the threads.

#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::{Bucket, Snapshot};
use crate::index::{ALONE_MAX, Index, Record, Run, join};
use crate::revision::encode_revision;
use crate::row::KeyValue;
use crate::{Error, RecordKey, Revision};

/// A key that is attached to a lease, as the start finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// The key, which is alive.
    pub key: &'a [u8],
    /// The lease that its latest change attached it to, not 0.
    pub lease: i64,
}

/// What the rows say.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) index: Index,
    /// Main revision of the newest row; 0 if there is none.
    pub(super) newest: i64,
}

/// Records that one round collects in each thread, until the index is larger.
const ROUND_RECORDS_MIN: usize = 1 << 20;
/// More threads wait for memory rather than work.
const THREADS_MAX: usize = 4;

/// Another snapshot of the same state, for another thread.
pub(super) type Again<'b> = dyn Fn() -> Result<Box<dyn Snapshot>, Error> + Sync + 'b;

/// Reads all rows; `visit` is called with attached keys in the order of their revisions.
///
/// With `again`, other threads help if there are many rows.
///
/// Rows that an unfinished compaction supersedes come in too: the compaction is resumed and finds them again.
pub(super) fn load(
    snapshot: &dyn Snapshot,
    again: Option<&Again<'_>>,
    visit: &mut dyn FnMut(Attachment<'_>),
) -> Result<Loaded, Error> {
    let Some(spans) = Spans::of(snapshot)? else {
        return Ok(Loaded::default());
    };
    let again = again.filter(|_| spans.revisions() > ALONE_MAX as u64);
    let threads = match again {
        Some(_) => std::thread::available_parallelism().map_or(1, NonZero::get),
        None => 1,
    };
    let mut index = Index::default();
    let mut attached = Vec::new();
    while !spans.all_taken() {
        let keys = index.totals().live as usize;
        let records_max = ROUND_RECORDS_MIN.max(keys / threads);
        let helpers = again.map(|again| (again, threads.min(THREADS_MAX) - 1));
        let parts = round(snapshot, helpers, &spans, records_max)?;
        let mut runs = Vec::with_capacity(parts.len());
        for part in parts {
            runs.push(part.run);
            attached.extend(part.attached);
        }
        index = index.merged(&runs);
    }
    attached.sort_unstable_by_key(|attached| attached.revision);
    for Attached {
        key,
        lease,
        revision,
    } in &attached
    {
        let newest = index.get(key, i64::MAX);
        if newest.is_some_and(|newest| newest.revision() == *revision) {
            visit(Attachment { key, lease: *lease });
        }
    }
    let newest = spans.last;
    Ok(Loaded { index, newest })
}

/// Reads rows in some threads, and sorts them.
fn round(
    snapshot: &dyn Snapshot,
    helpers: Option<(&Again<'_>, usize)>,
    spans: &Spans,
    records_max: usize,
) -> Result<Vec<Part>, Error> {
    let results: Vec<_> = std::thread::scope(|scope| {
        let mut others = Vec::new();
        if let Some((again, count)) = helpers {
            let help = || match again() {
                Ok(snapshot) => Part::read(&*snapshot, spans, records_max),
                Err(error) => Err(Failure { span: 0, error }),
            };
            let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, help).ok();
            // Where no thread can be started, this one does the work.
            others.extend((0..count).filter_map(spawn));
        }
        let own = Part::read(snapshot, spans, records_max);
        others.into_iter().map(join).chain([own]).collect()
    });
    let (mut parts, mut first_failure) = (Vec::new(), None);
    for result in results {
        match result {
            Ok(part) => parts.push(part),
            Err(failure) => first_failure = Failure::earlier(first_failure, failure),
        }
    }
    match first_failure {
        Some(failure) => Err(failure.error),
        None => Ok(parts),
    }
}

/// The rows of the bucket, cut into spans of main revisions that are taken one after the other.
struct Spans {
    first: i64,
    last: i64,
    /// Main revisions in a span.
    len: u64,
    next: AtomicU64,
}

impl Spans {
    const LEN_MIN: u64 = 1 << 14;
    /// Most revisions of an old store are compacted away, and looking into an empty span costs a little too.
    const COUNT_MAX: u64 = 1 << 12;

    /// `None` if there are no rows.
    fn of(snapshot: &dyn Snapshot) -> Result<Option<Self>, Error> {
        let mut first = None;
        snapshot.scan(Bucket::Key, &[], None, &mut |key, _| {
            first = Some(RecordKey::decode(key));
            ControlFlow::Break(())
        })?;
        let last = snapshot.last(Bucket::Key)?;
        let (Some(first), Some((last, _))) = (first, last) else {
            return Ok(None);
        };
        let (first, last) = (first?.revision.main, RecordKey::decode(last)?.revision.main);
        let mut spans = Self {
            first,
            last,
            len: Self::LEN_MIN,
            next: AtomicU64::new(0),
        };
        spans.len = spans.len.max(spans.revisions().div_ceil(Self::COUNT_MAX));
        Ok(Some(spans))
    }

    /// The main revisions from the first row to the last.
    fn revisions(&self) -> u64 {
        self.last.abs_diff(self.first) + 1
    }

    fn count(&self) -> u64 {
        self.revisions().div_ceil(self.len)
    }

    fn all_taken(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.count()
    }

    fn take(&self) -> Option<u64> {
        let span = self.next.fetch_add(1, Ordering::Relaxed);
        (span < self.count()).then_some(span)
    }

    fn take_none_any_more(&self) {
        self.next.store(self.count(), Ordering::Relaxed);
    }

    /// The bounds of a span; all of them together leave no row out, whatever its key is.
    fn bounds(&self, span: u64) -> (Vec<u8>, Option<Vec<u8>>) {
        let bound = |span: u64| {
            let main = self.first.saturating_add_unsigned(span * self.len);
            encode_revision(Revision { main, sub: 0 }).to_vec()
        };
        let low = if span == 0 { Vec::new() } else { bound(span) };
        let high = (span + 1 < self.count()).then(|| bound(span + 1));
        (low, high)
    }
}

/// What one thread has read in one round.
#[derive(Default)]
struct Part {
    run: Run,
    /// Rows with a lease, superseded or not.
    attached: Vec<Attached>,
}

struct Attached {
    revision: Revision,
    key: Box<[u8]>,
    lease: i64,
}

/// Why the rows could not be read, and where.
struct Failure {
    span: u64,
    error: Error,
}

impl Failure {
    /// Spans before a failed one have been read to their ends, so the earliest failure is the first of all.
    fn earlier(first: Option<Self>, second: Self) -> Option<Self> {
        first
            .filter(|first| first.span < second.span)
            .or(Some(second))
    }
}

impl Part {
    /// Reads spans until there are none, or enough.
    fn read(snapshot: &dyn Snapshot, spans: &Spans, records_max: usize) -> Result<Self, Failure> {
        let mut part = Self::default();
        while part.run.len() < records_max && part.run.byte_len() < Run::BYTES_MAX {
            let Some(span) = spans.take() else { break };
            if let Err(error) = part.read_span(snapshot, spans.bounds(span)) {
                spans.take_none_any_more();
                return Err(Failure { span, error });
            }
        }
        part.run.sort();
        Ok(part)
    }

    fn read_span(
        &mut self,
        snapshot: &dyn Snapshot,
        (low, high): (Vec<u8>, Option<Vec<u8>>),
    ) -> Result<(), Error> {
        let mut result = Ok(());
        snapshot.scan(Bucket::Key, &low, high.as_deref(), &mut |key, row| {
            result = self.add(key, row);
            if result.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        result
    }

    fn add(&mut self, key: &[u8], row: &[u8]) -> Result<(), Error> {
        let corrupt = |reason| Error::Corrupt {
            bucket: Bucket::Key.name(),
            key: key.to_vec(),
            reason,
        };
        let record_key = RecordKey::decode(key)?;
        let row = KeyValue::decode(row).ok_or_else(|| corrupt("row is not a key-value"))?;
        let record = record(record_key, &row)
            .ok_or_else(|| corrupt("row does not belong to its revision"))?;
        self.run.add(row.key, record);
        if row.lease != 0 && !record_key.tombstone {
            self.attached.push(Attached {
                revision: record_key.revision,
                key: row.key.into(),
                lease: row.lease,
            });
        }
        Ok(())
    }
}

/// What the index keeps of a row; `None` if it contradicts its key.
fn record(key: RecordKey, row: &KeyValue<'_>) -> Option<Record> {
    let Revision { main, sub } = key.revision;
    if key.tombstone {
        return Some(Record::tombstone(key.revision));
    }
    let sound = row.mod_revision == main && row.version > 0;
    (sound && (1..=main).contains(&row.create_revision)).then_some(Record {
        main,
        sub,
        create: row.create_revision,
        version: row.version,
    })
}
