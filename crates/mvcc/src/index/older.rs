//! The kept records of a leaf's keys but the newest ones, as long as a key has few of them.
//!
//! They lie in one array for the whole leaf: copying it touches one run of memory, where a shared allocation per key would
//! touch the reference count of each. A key with many moves them to a [`History`](super::history::History).

use std::ops::Range;

use super::record::Record;

/// Records beyond which a key gets a history of its own.
pub(crate) const OLDER_PER_KEY_MAX: usize = 4;
/// Records of one leaf beyond which the key that is written gets a history of its own.
const OLDER_PER_LEAF_MAX: usize = 128;

/// Records of the keys of a leaf, by key and then by revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct OlderRecords {
    list: Vec<Older>,
}

/// A [`Record`] and the place of its key in the leaf, in 32 bytes.
#[derive(Debug, Clone, Copy)]
struct Older {
    main: i64,
    create: i64,
    version: i64,
    sub: u32,
    place: u32,
}

impl Older {
    fn new(place: usize, record: Record) -> Self {
        let Record {
            main,
            create,
            version,
            sub,
        } = record;
        Self {
            main,
            create,
            version,
            sub,
            place: place as u32,
        }
    }

    fn record(&self) -> Record {
        let Self {
            main,
            create,
            version,
            sub,
            place: _,
        } = *self;
        Record {
            main,
            create,
            version,
            sub,
        }
    }
}

impl OlderRecords {
    /// A copy with room for one more.
    pub(crate) fn copy(&self) -> Self {
        if self.list.is_empty() {
            return Self::default();
        }
        let mut list = Vec::with_capacity(self.list.len() + 1);
        list.extend_from_slice(&self.list);
        Self { list }
    }

    /// The records of one key, oldest first.
    pub(crate) fn of(
        &self,
        place: usize,
    ) -> impl ExactSizeIterator<Item = Record> + DoubleEndedIterator {
        self.list[self.run(place)].iter().map(Older::record)
    }

    pub(crate) fn count(&self, place: usize) -> usize {
        self.run(place).len()
    }

    /// The newest record of a key with `main <= at`.
    pub(crate) fn at(&self, place: usize, at: i64) -> Option<Record> {
        self.of(place).rfind(|record| record.main <= at)
    }

    /// Adds a record that is newer than those of its key.
    ///
    /// Returns all records of the key, and keeps none of them, when there are too many.
    pub(crate) fn push(&mut self, place: usize, record: Record) -> Option<Vec<Record>> {
        let run = self.run(place);
        if run.len() == OLDER_PER_KEY_MAX || self.list.len() >= OLDER_PER_LEAF_MAX {
            let records = self
                .list
                .drain(run)
                .map(|older| older.record())
                .chain([record]);
            return Some(records.collect());
        }
        super::reserve(&mut self.list, 1, 4);
        self.list.insert(run.end, Older::new(place, record));
        None
    }

    /// Forgets the `count` oldest records of a key.
    pub(crate) fn forget(&mut self, place: usize, count: usize) {
        let start = self.run(place).start;
        self.list.drain(start..start + count);
    }

    /// Gives back memory that is not needed.
    pub(crate) fn shrink(&mut self) {
        self.list.shrink_to_fit();
    }

    /// Makes room for a new key.
    pub(crate) fn insert_key(&mut self, place: usize) {
        self.keys_from(place).for_each(|older| older.place += 1);
    }

    /// Closes the gap of a removed key, which has no records here any more.
    pub(crate) fn remove_key(&mut self, place: usize) {
        self.keys_from(place).for_each(|older| older.place -= 1);
    }

    /// Takes out the records of the keys from a place on.
    pub(crate) fn split_off(&mut self, place: usize) -> Self {
        let start = self
            .list
            .partition_point(|older| (older.place as usize) < place);
        let mut right = Self {
            list: self.list.split_off(start),
        };
        right
            .list
            .iter_mut()
            .for_each(|older| older.place -= place as u32);
        self.list.shrink_to_fit();
        right
    }

    /// These records, and those of a leaf whose keys follow the `len` keys of this one.
    pub(crate) fn joined(&self, len: usize, right: &Self) -> Self {
        let moved = right.list.iter().map(|older| Older {
            place: older.place + len as u32,
            ..*older
        });
        Self {
            list: self.list.iter().copied().chain(moved).collect(),
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.list.capacity() * size_of::<Older>()
    }

    fn run(&self, place: usize) -> Range<usize> {
        let start = self
            .list
            .partition_point(|older| (older.place as usize) < place);
        let run = self.list[start..]
            .iter()
            .take_while(|older| older.place as usize == place);
        start..start + run.count()
    }

    fn keys_from(&mut self, place: usize) -> impl Iterator<Item = &mut Older> {
        let start = self
            .list
            .partition_point(|older| (older.place as usize) < place);
        self.list[start..].iter_mut()
    }
}
