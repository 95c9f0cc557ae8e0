//! Which watchers hear of a key.
//!
//! Watchers of single keys, by far the most, are found by hash; those of ranges by an interval tree over
//! the distinct ranges, so that a thousand watchers of one prefix are one node. Inserting and removing
//! cost O(log n); finding costs O(log n) and the watchers found.

mod interval_tree;
#[cfg(test)]
mod tests;

use crate::KeyRange;
use bytes::Bytes;
use interval_tree::{High, IntervalTree};
use std::collections::{BTreeSet, HashMap};

/// A map from ranges to sets of `T`, asked by key.
#[derive(Debug)]
pub(crate) struct RangeIndex<T> {
    /// Never iterated, so that hash order is not seen.
    keys: HashMap<Bytes, BTreeSet<T>>,
    ranges: IntervalTree<T>,
}

impl<T> Default for RangeIndex<T> {
    fn default() -> Self {
        RangeIndex {
            keys: HashMap::new(),
            ranges: IntervalTree::default(),
        }
    }
}

impl<T: Copy + Ord> RangeIndex<T> {
    /// Adds `item` under `range`.
    pub(crate) fn insert(&mut self, range: &KeyRange, item: T) {
        match range {
            KeyRange::Key(key) => {
                self.keys.entry(key.clone()).or_default().insert(item);
            }
            KeyRange::Span { low, high } => {
                self.ranges.insert(low, &High::Before(high.clone()), item);
            }
            KeyRange::From(low) => self.ranges.insert(low, &High::End, item),
        }
    }

    /// Removes `item`, which was added under `range`.
    pub(crate) fn remove(&mut self, range: &KeyRange, item: T) {
        match range {
            KeyRange::Key(key) => {
                if let Some(items) = self.keys.get_mut(key) {
                    items.remove(&item);
                    if items.is_empty() {
                        self.keys.remove(key);
                    }
                }
            }
            KeyRange::Span { low, high } => {
                self.ranges.remove(low, &High::Before(high.clone()), item);
            }
            KeyRange::From(low) => self.ranges.remove(low, &High::End, item),
        }
    }

    /// Calls `visit` for each item under a range that holds `key`; once per range it was added under.
    pub(crate) fn for_each(&self, key: &[u8], mut visit: impl FnMut(T)) {
        if let Some(items) = self.keys.get(key) {
            items.iter().copied().for_each(&mut visit);
        }
        self.ranges.for_each(key, &mut visit);
    }
}
