//! The kept records of one key but its newest: persistent, cheap to extend, fast to search.
//!
//! Records lie in shared chunks whose sizes fall from old to new like the digits of a binary counter, and a short tail.
//! Extending a history of n records copies the tail and at most O(log n) records in the mean; a lookup is two binary
//! searches. Old views keep the chunks that they share.

use std::sync::Arc;

use super::record::Record;

/// Records of one key, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Older than `tail`. Each chunk is longer than the next.
    chunks: Vec<Chunk>,
    /// The newest records, at most [`TAIL_MAX`].
    tail: Vec<Record>,
}

/// Length at which the tail becomes a chunk.
const TAIL_MAX: usize = 16;

#[derive(Debug, Clone)]
struct Chunk {
    records: Arc<[Record]>,
    /// Records before this place are forgotten: compaction does not copy what stays.
    start: usize,
}

impl Chunk {
    fn live(&self) -> &[Record] {
        &self.records[self.start..]
    }
}

impl History {
    pub(crate) fn push(&mut self, record: Record) {
        if self.tail.len() == TAIL_MAX {
            self.close_tail();
        }
        super::reserve(&mut self.tail, 1, 2);
        self.tail.push(record);
    }

    fn close_tail(&mut self) {
        let records = Arc::from(std::mem::take(&mut self.tail));
        self.chunks.push(Chunk { records, start: 0 });
        while let [.., older, newer] = self.chunks.as_slice() {
            if older.live().len() > newer.live().len() {
                break;
            }
            let records = [older.live(), newer.live()].concat().into();
            self.chunks.truncate(self.chunks.len() - 2);
            self.chunks.push(Chunk { records, start: 0 });
        }
    }

    /// The newest record with `main <= at`.
    pub(crate) fn at(&self, at: i64) -> Option<&Record> {
        newest_at(&self.tail, at).or_else(|| {
            let chunk = self
                .chunks
                .partition_point(|chunk| chunk.live()[0].main <= at);
            newest_at(self.chunks[..chunk].last()?.live(), at)
        })
    }

    /// All records, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.chunks.iter().flat_map(Chunk::live).chain(&self.tail)
    }

    /// How many records have `main < below`.
    pub(crate) fn count_below(&self, below: i64) -> usize {
        let mut count = 0;
        for run in self
            .chunks
            .iter()
            .map(Chunk::live)
            .chain([self.tail.as_slice()])
        {
            let here = run.partition_point(|record| record.main < below);
            count += here;
            if here < run.len() {
                break;
            }
        }
        count
    }

    pub(crate) fn get(&self, mut i: usize) -> Option<&Record> {
        for run in self
            .chunks
            .iter()
            .map(Chunk::live)
            .chain([self.tail.as_slice()])
        {
            match run.get(i) {
                Some(record) => return Some(record),
                None => i -= run.len(),
            }
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.chunks
            .iter()
            .map(|chunk| chunk.live().len())
            .sum::<usize>()
            + self.tail.len()
    }

    /// Forgets the `count` oldest records.
    pub(crate) fn forget(&mut self, mut count: usize) {
        let whole = self.chunks.iter().take_while(|chunk| {
            let fits = chunk.live().len() <= count;
            count -= if fits { chunk.live().len() } else { 0 };
            fits
        });
        let whole = whole.count();
        self.chunks.drain(..whole);
        match self.chunks.first_mut() {
            Some(chunk) => {
                chunk.start += count;
                // Forgotten records stay in memory until they are the larger part.
                if chunk.live().len() < chunk.start {
                    *chunk = Chunk {
                        records: chunk.live().into(),
                        start: 0,
                    };
                }
            }
            None => drop(self.tail.drain(..count)),
        }
    }

    pub(crate) fn memory(&self) -> usize {
        let records = self
            .chunks
            .iter()
            .map(|chunk| chunk.records.len())
            .sum::<usize>();
        size_of::<Self>()
            + self.chunks.capacity() * size_of::<Chunk>()
            + (records + self.tail.capacity()) * size_of::<Record>()
    }
}

fn newest_at(records: &[Record], at: i64) -> Option<&Record> {
    let after = records.partition_point(|record| record.main <= at);
    records[..after].last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revision;

    fn record(main: i64) -> Record {
        Record::put(Revision { main, sub: 0 }, None)
    }

    #[test]
    fn lookups_agree_with_a_list_while_records_come_and_go() {
        let mut history = History::default();
        let mut list = Vec::new();
        for main in 0..500 {
            history.push(record(main * 2));
            list.push(record(main * 2));
            if main % 37 == 36 {
                let count = (main as usize * 7) % list.len();
                history.forget(count);
                list.drain(..count);
            }
            assert_eq!(history.len(), list.len());
            for at in [
                -1,
                0,
                main - 1,
                main,
                main + 1,
                2 * main - 1,
                2 * main,
                5000,
            ] {
                assert_eq!(
                    history.at(at),
                    list.iter().rev().find(|r| r.main <= at),
                    "{main} {at}"
                );
                let below = list.iter().filter(|r| r.main < at).count();
                assert_eq!(history.count_below(at), below);
                assert_eq!(history.get(below), list.get(below));
            }
        }
        assert!(history.iter().eq(&list));
        assert!(history.chunks.len() < 10);
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut history = History::default();
        (1..100).for_each(|main| history.push(record(main)));
        let old = history.clone();
        history.forget(60);
        (100..200).for_each(|main| history.push(record(main)));
        assert_eq!(
            (old.len(), old.at(10), old.at(150)),
            (99, Some(&record(10)), Some(&record(99)))
        );
    }
}
