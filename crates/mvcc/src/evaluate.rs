//! How a range read is answered: the steps are those of etcd's range, in its order.

mod in_turn;

use std::cmp::Ordering;
use std::ops::ControlFlow;

use crate::backend::{Bucket, Snapshot};
use crate::change::Change;
use crate::index::{Direction, Index, Record};
use crate::overlay::Overlay;
use crate::query::{RangeQuery, RowRef, SortOrder, SortTarget};
use crate::revision::encode_revision;
use crate::row::KeyValue;
use crate::{Error, KeyRange, Revision};
use in_turn::InTurn;

/// Where the rows of one view are.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Changes of a transaction that is under way: the newest rows of all.
    pub(crate) own: &'a [Change],
    pub(crate) overlay: &'a Overlay,
    pub(crate) flushed: i64,
    /// Taken after the view. May be missing if no row at or below `flushed` is asked for.
    pub(crate) snapshot: Option<&'a dyn Snapshot>,
}

impl<'a> Rows<'a> {
    /// The row that a change wrote. It must be one that no compaction of the view has dropped.
    pub(crate) fn get(&self, revision: Revision) -> Result<&'a [u8], Error> {
        let found = if revision.main > self.flushed {
            let own = self
                .own
                .first()
                .is_some_and(|own| own.revision.main == revision.main);
            if own {
                self.own
                    .get(revision.sub as usize)
                    .map(|change| &change.row[..])
            } else {
                self.overlay.get(revision).map(|row| &row.encoded[..])
            }
        } else {
            match self.snapshot {
                Some(snapshot) => snapshot.get(Bucket::Key, &encode_revision(revision))?,
                None => None,
            }
        };
        found.ok_or_else(|| corrupt(revision, "row is missing"))
    }
}

pub(crate) fn corrupt(revision: Revision, reason: &'static str) -> Error {
    Error::Corrupt {
        bucket: Bucket::Key.name(),
        key: encode_revision(revision).to_vec(),
        reason,
    }
}

/// Receives the rows of an answer.
pub(crate) type Sink<'s> = dyn FnMut(RowRef<'_>) + 's;

/// A range read that has found its revision.
pub(crate) struct Evaluation<'a, 'q> {
    pub(crate) index: &'a Index,
    pub(crate) rows: Rows<'a>,
    pub(crate) query: &'q RangeQuery<'q>,
    /// The main revision to read at: the query's, once checked.
    pub(crate) at: i64,
}

/// A key that was fetched, with its row if the order depends on values.
struct Fetched<'a> {
    key: &'a [u8],
    record: Record,
    value: &'a [u8],
}

impl<'a> Evaluation<'a, '_> {
    /// Gives the rows to `sink` and returns the count and whether the limit cut something.
    pub(crate) fn run(
        &self,
        scratch: &mut Vec<u8>,
        sink: &mut Sink<'_>,
    ) -> Result<(i64, bool), Error> {
        if self.query.count_only {
            return Ok((self.count(), false));
        }
        let (seen, more) = match self.query.key_order() {
            Some(direction) => self.stream(direction, scratch, sink)?,
            None => self.sort(scratch, sink)?,
        };
        // A single key was seen or not; of a range, perhaps not all.
        let single = matches!(self.query.range, KeyRange::Single(_));
        Ok((if single { seen } else { self.count() }, more))
    }

    fn count(&self) -> i64 {
        self.index.count(self.query.range, self.at) as i64
    }

    /// Key order: rows leave as they are found. Returns how many keys were seen.
    fn stream(
        &self,
        direction: Direction,
        scratch: &mut Vec<u8>,
        sink: &mut Sink<'_>,
    ) -> Result<(i64, bool), Error> {
        let (mut seen, mut left, mut more) = (0, self.query.rows_max(), false);
        let mut rows = InTurn::new(self.rows);
        let mut result = Ok(());
        let (range, at) = (self.query.range, self.at);
        self.index.walk(range, at, direction, |key, record| {
            seen += 1;
            if !self.query.admits(record.main, record.create) {
                return ControlFlow::Continue(());
            }
            if left == 0 {
                more = true;
                return ControlFlow::Break(());
            }
            left -= 1;
            result = self.emit(key, record, &mut rows, scratch, sink);
            go_on(result.is_ok())
        });
        result.map(|()| (seen, more))
    }

    /// Any other order: all is fetched, sorted, then cut. Returns how many keys were fetched.
    fn sort(&self, scratch: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<(i64, bool), Error> {
        let mut fetched = self.fetch()?;
        let seen = fetched.len() as i64;
        let target = self.query.target;
        fetched.retain(|row| self.query.admits(row.record.main, row.record.create));
        // The sorts are stable, so ties stay in key order, downwards too.
        match self.query.order {
            SortOrder::Descend => fetched.sort_by(|a, b| compare(target, b, a)),
            SortOrder::None | SortOrder::Ascend => fetched.sort_by(|a, b| compare(target, a, b)),
        }
        let rows_max = self.query.rows_max();
        let mut rows = InTurn::new(self.rows);
        let more = fetched.len() > rows_max;
        for row in fetched.iter().take(rows_max) {
            self.emit(row.key, row.record, &mut rows, scratch, sink)?;
        }
        Ok((seen, more))
    }

    fn fetch(&self) -> Result<Vec<Fetched<'a>>, Error> {
        let fetch_max = if self.query.stops_at_limit() {
            self.query.rows_max().saturating_add(1)
        } else {
            usize::MAX
        };
        let mut fetched = Vec::new();
        let (range, at) = (self.query.range, self.at);
        self.index.walk(range, at, Direction::Up, |key, record| {
            let value = &[];
            fetched.push(Fetched { key, record, value });
            go_on(fetched.len() < fetch_max)
        });
        if self.query.target == SortTarget::Value {
            for row in &mut fetched {
                row.value = self.decode(row.record)?.value;
            }
        }
        Ok(fetched)
    }

    fn decode(&self, record: Record) -> Result<KeyValue<'a>, Error> {
        let row = KeyValue::decode(self.rows.get(record.revision())?);
        row.ok_or_else(|| corrupt(record.revision(), "row is not a key-value"))
    }

    fn emit(
        &self,
        key: &[u8],
        record: Record,
        rows: &mut InTurn<'a>,
        scratch: &mut Vec<u8>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let encoded = if !self.query.keys_only {
            rows.get(record.revision())?
        } else {
            // From the index alone, hence without lease. Only an order by value reads the row, and keeps its lease.
            let row = match self.query.target {
                SortTarget::Value => KeyValue {
                    value: &[],
                    ..self.decode(record)?
                },
                _ => KeyValue {
                    key,
                    create_revision: record.create,
                    mod_revision: record.main,
                    version: record.version,
                    ..KeyValue::default()
                },
            };
            scratch.clear();
            row.encode(scratch);
            scratch
        };
        sink(row_ref(key, record, encoded));
        Ok(())
    }
}

pub(crate) fn row_ref<'a>(key: &'a [u8], record: Record, encoded: &'a [u8]) -> RowRef<'a> {
    RowRef {
        key,
        revision: record.revision(),
        create_revision: record.create,
        version: record.version,
        encoded,
    }
}

fn go_on(yes: bool) -> ControlFlow<()> {
    if yes {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

fn compare(target: SortTarget, a: &Fetched<'_>, b: &Fetched<'_>) -> Ordering {
    match target {
        SortTarget::Key => a.key.cmp(b.key),
        SortTarget::Version => a.record.version.cmp(&b.record.version),
        SortTarget::Create => a.record.create.cmp(&b.record.create),
        SortTarget::Mod => a.record.main.cmp(&b.record.main),
        SortTarget::Value => a.value.cmp(b.value),
    }
}
