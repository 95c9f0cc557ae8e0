//! The lowest nodes of the index: keys with their records.

use std::sync::Arc;

use super::history::History;
use super::older::OlderRecords;
use super::packed_keys::PackedKeys;
use super::record::Record;
use super::{Totals, Write, reserve};
use crate::RecordKey;

/// Keys beyond which a leaf splits.
pub(crate) const LEAF_KEYS_MAX: usize = 64;
/// Bytes of keys beyond which a node splits, if it has a few: long keys must not make copies of nodes dear.
pub(crate) const NODE_BYTES_MAX: usize = 32 << 10;

/// Keys in order, each with its kept records: the oldest in a history, then those in `older`, then the newest.
#[derive(Debug, Default)]
pub(crate) struct Leaf {
    pub(crate) keys: PackedKeys,
    entries: Vec<Entry>,
    older: OlderRecords,
}

/// What a key has beside its older records: 40 bytes.
#[derive(Debug, Clone)]
struct Entry {
    newest: Record,
    /// Never empty.
    history: Option<Arc<History>>,
}

impl Leaf {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn newest(&self, place: usize) -> &Record {
        &self.entries[place].newest
    }

    /// The record that a read of the key at `at` sees.
    pub(crate) fn at(&self, place: usize, at: i64) -> Option<Record> {
        let entry = &self.entries[place];
        let record = if entry.newest.main <= at {
            entry.newest
        } else {
            let in_history = || entry.history.as_ref()?.at(at).copied();
            self.older.at(place, at).or_else(in_history)?
        };
        (!record.is_tombstone()).then_some(record)
    }

    /// All kept records of a key, oldest first.
    pub(crate) fn records(&self, place: usize) -> impl Iterator<Item = Record> {
        let entry = &self.entries[place];
        let history = entry
            .history
            .iter()
            .flat_map(|history| history.iter().copied());
        history.chain(self.older.of(place)).chain([entry.newest])
    }

    fn entry_totals(&self, place: usize) -> Totals {
        let entry = &self.entries[place];
        let dead = entry.newest.is_tombstone();
        let stale = dead || entry.history.is_some() || self.older.count(place) > 0;
        Totals {
            live: u64::from(!dead),
            stale: u64::from(stale),
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let each = (0..self.len()).map(|place| self.entry_totals(place));
        each.fold(Totals::default(), Totals::plus)
    }

    /// Adds a record to a key; returns it, and the totals of the key before and after.
    pub(crate) fn write(
        leaf: &mut Arc<Leaf>,
        key: &[u8],
        write: Write,
    ) -> (Record, Totals, Totals) {
        match leaf.keys.search(key) {
            Ok(place) => {
                let before = leaf.entry_totals(place);
                let record = write.record(Some(leaf.newest(place)));
                let leaf = Leaf::own(leaf, 0);
                leaf.push(place, record);
                (record, before, leaf.entry_totals(place))
            }
            Err(place) => {
                let record = write.record(None);
                let leaf = Leaf::own(leaf, 1);
                leaf.keys = leaf.keys.inserted(place, key);
                reserve(&mut leaf.entries, 1, 4);
                leaf.entries.insert(
                    place,
                    Entry {
                        newest: record,
                        history: None,
                    },
                );
                leaf.older.insert_key(place);
                (record, Totals::default(), leaf.entry_totals(place))
            }
        }
    }

    /// Adds a key above all others, whose bytes [`Leaf::finish`] brings, with its first record; `keys_max` keys will come.
    pub(crate) fn push_key(&mut self, record: Record, keys_max: usize) {
        if self.entries.is_empty() {
            self.entries.reserve_exact(keys_max);
        }
        self.entries.push(Entry {
            newest: record,
            history: None,
        });
    }

    /// Ends a leaf made by [`Leaf::push_key`].
    pub(crate) fn finish(&mut self, keys: PackedKeys) {
        assert_eq!(keys.len(), self.entries.len(), "every key has its entry");
        self.keys = keys;
        self.entries.shrink_to_fit();
        self.older.shrink();
    }

    /// Adds a record that is newer than those of the key.
    pub(crate) fn push(&mut self, place: usize, record: Record) {
        let entry = &mut self.entries[place];
        let before = std::mem::replace(&mut entry.newest, record);
        if let Some(records) = self.older.push(place, before) {
            let history = entry.history.get_or_insert_default();
            let history = Arc::make_mut(history);
            records.into_iter().for_each(|record| history.push(record));
        }
    }

    /// The leaf for writing: copied if a view shares it, with room for so many entries more.
    fn own(leaf: &mut Arc<Leaf>, spare: usize) -> &mut Leaf {
        if Arc::get_mut(leaf).is_none() {
            let mut entries = Vec::with_capacity(leaf.entries.len() + spare);
            entries.extend_from_slice(&leaf.entries);
            let (keys, older) = (leaf.keys.clone(), leaf.older.copy());
            *leaf = Arc::new(Leaf {
                keys,
                entries,
                older,
            });
        }
        Arc::get_mut(leaf).expect("the leaf was just made, or nobody shares it")
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.len() > LEAF_KEYS_MAX || (self.keys.byte_len() > NODE_BYTES_MAX && self.len() >= 4)
    }

    /// Moves the keys from `at` on into a new leaf.
    pub(crate) fn split_off(&mut self, at: usize) -> Leaf {
        let right = self.keys.sliced(at..self.keys.len());
        self.keys = self.keys.sliced(0..at);
        let entries = self.entries.split_off(at);
        self.entries.shrink_to_fit();
        Leaf {
            keys: right,
            entries,
            older: self.older.split_off(at),
        }
    }

    /// Whether the leaf and its right neighbour are so small that one leaf is better.
    pub(crate) fn may_join(&self, right: &Leaf) -> bool {
        self.len() + right.len() <= LEAF_KEYS_MAX / 2
            && self.keys.byte_len() + right.keys.byte_len() <= NODE_BYTES_MAX
    }

    /// The leaf and its right neighbour as one.
    pub(crate) fn join(&self, right: &Leaf) -> Leaf {
        Leaf {
            keys: self.keys.joined(None, &right.keys),
            entries: [self.entries.as_slice(), &right.entries].concat(),
            older: self.older.joined(self.len(), &right.older),
        }
    }

    /// Drops what a compaction at `compacted` drops, of the keys from place `from` on and about `budget` records.
    ///
    /// Returns the place of a key that is not finished.
    pub(crate) fn trim(
        leaf: &mut Arc<Leaf>,
        from: usize,
        compacted: i64,
        budget: &mut usize,
        dropped: &mut Vec<RecordKey>,
    ) -> Option<usize> {
        let mut place = (from..leaf.len()).find(|&place| leaf.superseded(place, compacted) > 0)?;
        let leaf = Leaf::own(leaf, 0);
        while place < leaf.len() {
            let superseded = leaf.superseded(place, compacted);
            let count = superseded.min(*budget);
            *budget -= count;
            dropped.extend(leaf.records(place).take(count).map(|record| record.key()));
            let removed = leaf.forget(place, count);
            if count < superseded {
                return Some(place);
            }
            place += usize::from(!removed);
        }
        leaf.older.shrink();
        None
    }

    /// How many of the oldest records of a key a compaction at `compacted` drops: those below it but what a read at it sees.
    fn superseded(&self, place: usize, compacted: i64) -> usize {
        if self.entry_totals(place).stale == 0 {
            return 0;
        }
        let compacted = compacted + i64::from(crate::planted::planted("tombstone dropped"));
        let history = self.entries[place].history.as_deref();
        let in_history = history.map_or(0, |history| history.count_below(compacted));
        let later = || self.older.of(place).chain([*self.newest(place)]);
        let below = in_history + later().take_while(|record| record.main < compacted).count();
        let Some(last) = below.checked_sub(1) else {
            return 0;
        };

        let in_history = history.map_or(0, History::len);
        let get = |i: usize| match i.checked_sub(in_history) {
            Some(i) => later().nth(i),
            None => history.and_then(|history| history.get(i)).copied(),
        };
        let next_is_at = get(below).is_some_and(|next| next.main == compacted);
        let last_is_dead = get(last).is_some_and(|last| last.is_tombstone());
        if next_is_at || last_is_dead {
            below
        } else {
            last
        }
    }

    /// Drops the `count` oldest records of a key; returns whether the key is gone with them.
    fn forget(&mut self, place: usize, count: usize) -> bool {
        let entry = &mut self.entries[place];
        let in_history = entry.history.as_ref().map_or(0, |history| history.len());
        let from_history = count.min(in_history);
        if from_history > 0 {
            match &mut entry.history {
                Some(history) if from_history < in_history => {
                    Arc::make_mut(history).forget(from_history);
                }
                history => *history = None,
            }
        }
        let in_older = self.older.count(place);
        let from_older = (count - from_history).min(in_older);
        self.older.forget(place, from_older);
        let removed = count > in_history + in_older;
        if removed {
            self.keys = self.keys.removed(place);
            self.entries.remove(place);
            self.older.remove_key(place);
        }
        removed
    }

    pub(crate) fn memory(&self) -> usize {
        let histories = self
            .entries
            .iter()
            .filter_map(|entry| entry.history.as_ref());
        size_of::<Self>()
            + self.keys.memory()
            + self.entries.capacity() * size_of::<Entry>()
            + self.older.memory()
            + histories.map(|history| history.memory()).sum::<usize>()
    }
}
