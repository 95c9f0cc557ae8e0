//! The lowest nodes of the index: keys with their records.

use std::sync::Arc;

use super::history::History;
use super::packed_keys::{PackedKeys, reserve};
use super::record::Record;
use super::{Totals, Write};
use crate::RecordKey;

/// Keys beyond which a leaf splits.
pub(crate) const LEAF_KEYS_MAX: usize = 64;
/// Bytes of keys beyond which a node splits, if it has a few: long keys must not make copies of nodes dear.
pub(crate) const NODE_BYTES_MAX: usize = 32 << 10;

/// Keys in order, each with what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Leaf {
    pub(crate) keys: PackedKeys,
    pub(crate) entries: Vec<Entry>,
}

/// What is known of one key: 40 bytes for a key that was written once.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) newest: Record,
    /// Kept records before the newest; never empty.
    pub(crate) history: Option<Arc<History>>,
}

impl Entry {
    /// The newest record with `main <= at`; it may be a tombstone.
    pub(crate) fn newest_at(&self, at: i64) -> Option<&Record> {
        if self.newest.main <= at {
            return Some(&self.newest);
        }
        self.history.as_ref()?.at(at)
    }

    /// The record that a read at `at` sees.
    pub(crate) fn at(&self, at: i64) -> Option<&Record> {
        self.newest_at(at).filter(|record| !record.is_tombstone())
    }

    /// All kept records, oldest first.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.history
            .iter()
            .flat_map(|history| history.iter())
            .chain([&self.newest])
    }

    pub(crate) fn totals(&self) -> Totals {
        let dead = self.newest.is_tombstone();
        Totals {
            live: u64::from(!dead),
            stale: u64::from(dead || self.history.is_some()),
        }
    }

    /// How many of the oldest records a compaction at `compacted` drops: those below it but what a read at it sees.
    fn superseded(&self, compacted: i64) -> usize {
        let history = self.history.as_deref();
        let mut below = history.map_or(0, |history| history.count_below(compacted));
        let len = history.map_or(0, History::len);
        if below == len && self.newest.main < compacted {
            below += 1;
        }
        let get = |i: usize| {
            if i == len {
                Some(&self.newest)
            } else {
                history.and_then(|history| history.get(i))
            }
        };
        let Some(last) = below.checked_sub(1).and_then(get) else {
            return 0;
        };
        let next_is_at = get(below).is_some_and(|next| next.main == compacted);
        if last.is_tombstone() || next_is_at {
            below
        } else {
            below - 1
        }
    }

    fn push(&mut self, record: Record) {
        let before = std::mem::replace(&mut self.newest, record);
        match &mut self.history {
            Some(history) => Arc::make_mut(history).push(before),
            None => self.history = Some(Arc::new(History::of(before))),
        }
    }

    /// Drops the `count` oldest records, all of which must be in the history.
    fn forget(&mut self, count: usize) {
        let Some(history) = &mut self.history else {
            return;
        };
        if count == 0 {
            return;
        }
        if count == history.len() {
            self.history = None;
        } else {
            Arc::make_mut(history).forget(count);
        }
    }
}

impl Leaf {
    /// Adds a record to a key.
    pub(crate) fn write(
        leaf: &mut Arc<Leaf>,
        key: &[u8],
        write: Write,
    ) -> (Record, Totals, Totals) {
        match leaf.keys.search(key) {
            Ok(i) => {
                let entry = &mut Leaf::own(leaf, 0).entries[i];
                let before = entry.totals();
                let record = write.record(Some(&entry.newest));
                entry.push(record);
                (record, before, entry.totals())
            }
            Err(i) => {
                let record = write.record(None);
                let entry = Entry {
                    newest: record,
                    history: None,
                };
                let after = entry.totals();
                let leaf = Leaf::own(leaf, key.len() + 1);
                leaf.keys.insert(i, key);
                reserve(&mut leaf.entries, 1, 4);
                leaf.entries.insert(i, entry);
                (record, Totals::default(), after)
            }
        }
    }

    /// The leaf for writing: copied if a view shares it, with room for a key of `spare` bytes.
    fn own(leaf: &mut Arc<Leaf>, spare: usize) -> &mut Leaf {
        if Arc::get_mut(leaf).is_none() {
            let mut entries = Vec::with_capacity(leaf.entries.len() + usize::from(spare > 0));
            entries.extend_from_slice(&leaf.entries);
            *leaf = Arc::new(Leaf {
                keys: leaf.keys.copy(spare),
                entries,
            });
        }
        Arc::get_mut(leaf).expect("the leaf was just made, or nobody shares it")
    }

    pub(crate) fn totals(&self) -> Totals {
        self.entries
            .iter()
            .fold(Totals::default(), |sum, entry| sum.plus(entry.totals()))
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.entries.len() > LEAF_KEYS_MAX
            || (self.keys.byte_len() > NODE_BYTES_MAX && self.entries.len() >= 4)
    }

    /// Moves the keys from `at` on into a new leaf.
    pub(crate) fn split_off(&mut self, at: usize) -> Leaf {
        let keys = self.keys.split_off(at);
        let entries = self.entries.split_off(at);
        self.entries.shrink_to_fit();
        Leaf { keys, entries }
    }

    /// Whether the leaf and its right neighbour are so small that one leaf is better.
    pub(crate) fn may_join(&self, right: &Leaf) -> bool {
        self.entries.len() + right.entries.len() <= LEAF_KEYS_MAX / 2
            && self.keys.byte_len() + right.keys.byte_len() <= NODE_BYTES_MAX
    }

    /// The leaf and its right neighbour as one.
    pub(crate) fn join(&self, right: &Leaf) -> Leaf {
        let mut keys = self.keys.copy(0);
        keys.append(&right.keys);
        Leaf {
            keys,
            entries: [self.entries.as_slice(), &right.entries].concat(),
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
        let has_work = |entry: &Entry| entry.totals().stale > 0 && entry.superseded(compacted) > 0;
        let mut i = from + leaf.entries[from..].iter().position(has_work)?;
        let leaf = Leaf::own(leaf, 0);
        while let Some(entry) = leaf.entries.get_mut(i) {
            let superseded = entry.superseded(compacted);
            let count = superseded.min(*budget);
            let keys = entry.records().take(count).map(|record| RecordKey {
                revision: record.revision(),
                tombstone: record.is_tombstone(),
            });
            dropped.extend(keys);
            *budget -= count;
            let history_len = entry.history.as_ref().map_or(0, |history| history.len());
            if count > history_len {
                leaf.keys.remove(i);
                leaf.entries.remove(i);
            } else {
                entry.forget(count);
                if count < superseded {
                    return Some(i);
                }
                i += 1;
            }
        }
        None
    }

    pub(crate) fn memory(&self) -> usize {
        let histories = self
            .entries
            .iter()
            .filter_map(|entry| entry.history.as_ref());
        size_of::<Self>()
            + self.keys.memory()
            + self.entries.capacity() * size_of::<Entry>()
            + histories.map(|history| history.memory()).sum::<usize>()
    }
}
