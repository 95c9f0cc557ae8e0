//! Building a whole tree from records in the order of their keys, from the leaves up.
//!
//! Nothing is searched and no node is made twice, so a record costs a fraction of what it costs to write it.

use std::sync::Arc;

use super::branch::{Branch, Child};
use super::leaf::Leaf;
use super::packed_keys::PackedKeys;
use super::run::{Cursor, Run};
use super::{Index, Node, Record, separator};

/// Keys of a built leaf and children of a built branch: full, but for some room to grow.
const LEAF_KEYS: usize = super::leaf::LEAF_KEYS_MAX * 7 / 8;
const LEAF_BYTES: usize = super::leaf::NODE_BYTES_MAX * 7 / 8;
const CHILDREN: usize = super::branch::CHILDREN_MAX * 7 / 8;

/// Records for which a second thread is not worth starting.
pub(crate) const ALONE_MAX: usize = 1 << 15;

impl Index {
    /// What this index and newer records hold together. The runs must be sorted.
    pub(crate) fn merged(&self, runs: &[Run]) -> Index {
        let largest = runs.iter().max_by_key(|run| run.len());
        let nodes = match largest.and_then(Run::middle) {
            Some(middle) if runs.iter().map(Run::len).sum::<usize>() > ALONE_MAX => {
                self.merge_halves(runs, middle)
            }
            _ => self.merge(runs, b"", None),
        };
        Index { root: grow(nodes) }
    }

    /// Merges what is below and above a key at the same time.
    fn merge_halves(&self, runs: &[Run], middle: &[u8]) -> Vec<Grown> {
        std::thread::scope(|scope| {
            let upper = || self.merge(runs, middle, None);
            let other = std::thread::Builder::new().spawn_scoped(scope, upper);
            let mut lower = self.merge(runs, b"", Some(middle));
            // Without a second thread this one does both.
            let upper = other.map_or_else(|_| upper(), join);
            lower.extend(upper);
            lower
        })
    }

    /// The leaves for the keys in `[low, high)`.
    fn merge(&self, runs: &[Run], low: &[u8], high: Option<&[u8]>) -> Vec<Grown> {
        let mut leaves = Leaves::default();
        let mut old = Old::new(self, low);
        let mut news: Vec<Cursor<'_>> = runs.iter().map(|run| run.cursor(low)).collect();
        loop {
            let heads = news.iter().filter_map(|new| new.item());
            let heads = heads.map(|(key, _)| key).chain(old.key());
            let Some(key) = heads
                .min()
                .filter(|key| high.is_none_or(|high| *key < high))
            else {
                return leaves.finish();
            };
            leaves.begin(key);
            if old.key() == Some(key) {
                old.records().for_each(|record| leaves.add(record));
                old.advance();
            }
            while let Some((record, new)) = oldest_of(key, &mut news) {
                leaves.add(record);
                new.advance();
            }
        }
    }
}

/// The oldest record of the key, and where it comes from.
fn oldest_of<'c, 'r>(
    key: &[u8],
    news: &'c mut [Cursor<'r>],
) -> Option<(Record, &'c mut Cursor<'r>)> {
    let of_key = news.iter_mut().filter_map(|new| {
        let (found, record) = new.item()?;
        (found == key).then_some((record, new))
    });
    of_key.min_by_key(|(record, _)| record.revision())
}

/// What a thread has returned.
pub(crate) fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The keys of an index in order.
struct Old<'i> {
    leaves: std::vec::IntoIter<&'i Leaf>,
    leaf: Option<&'i Leaf>,
    place: usize,
}

impl<'i> Old<'i> {
    fn new(index: &'i Index, low: &[u8]) -> Self {
        let mut leaves = Vec::new();
        index.root.collect_leaves(&mut leaves);
        let before = leaves.partition_point(|leaf| {
            let last = leaf.len().checked_sub(1).map(|last| leaf.keys.get(last));
            last.is_none_or(|last| last < low)
        });
        let mut old = Self {
            leaves: leaves.split_off(before).into_iter(),
            leaf: None,
            place: 0,
        };
        old.leaf = old.leaves.next();
        if let Some(leaf) = old.leaf {
            old.place = leaf.keys.search(low).unwrap_or_else(|place| place);
        }
        old
    }

    fn key(&self) -> Option<&'i [u8]> {
        self.leaf.map(|leaf| leaf.keys.get(self.place))
    }

    /// The records of the key, oldest first.
    fn records(&self) -> impl Iterator<Item = Record> {
        let leaf = self.leaf.into_iter();
        leaf.flat_map(|leaf| leaf.records(self.place))
    }

    fn advance(&mut self) {
        self.place += 1;
        if self.leaf.is_some_and(|leaf| self.place == leaf.len()) {
            self.leaf = self.leaves.next();
            self.place = 0;
        }
    }
}

/// A finished node, and the lowest and the highest key below it.
struct Grown {
    child: Child,
    low: Vec<u8>,
    high: Vec<u8>,
}

/// Leaves in the making.
#[derive(Default)]
struct Leaves {
    finished: Vec<Grown>,
    /// The last leaf, without its keys; these lie one after the other, with their ends.
    leaf: Leaf,
    keys: Vec<u8>,
    ends: Vec<usize>,
    /// No record of the last key has come yet.
    begun: bool,
}

impl Leaves {
    /// Begins a key, above all others.
    fn begin(&mut self, key: &[u8]) {
        let is_long = self.keys.len() + key.len() > LEAF_BYTES && self.ends.len() >= 4;
        if self.ends.len() == LEAF_KEYS || is_long {
            self.close();
        }
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len());
        self.begun = true;
    }

    /// Adds the next record of the key begun last.
    fn add(&mut self, record: Record) {
        if std::mem::take(&mut self.begun) {
            self.leaf.push_key(record, LEAF_KEYS);
        } else {
            self.leaf.push(self.ends.len() - 1, record);
        }
    }

    fn close(&mut self) {
        let key = |i: usize| {
            let start = if i == 0 { 0 } else { self.ends[i - 1] };
            &self.keys[start..self.ends[i]]
        };
        let mut leaf = std::mem::take(&mut self.leaf);
        leaf.finish(PackedKeys::of((0..self.ends.len()).map(key)));
        let grown = Grown {
            low: key(0).to_vec(),
            high: key(self.ends.len() - 1).to_vec(),
            child: Child::of(Node::Leaf(Arc::new(leaf))),
        };
        self.finished.push(grown);
        self.keys.clear();
        self.ends.clear();
    }

    fn finish(mut self) -> Vec<Grown> {
        if !self.ends.is_empty() {
            self.close();
        }
        self.finished
    }
}

/// The root above some nodes.
fn grow(mut nodes: Vec<Grown>) -> Node {
    while nodes.len() > 1 {
        // Branches of about the same size, so that none is left with a single child.
        let branches = nodes.len().div_ceil(CHILDREN);
        let mut rest = nodes.len();
        let mut below = nodes.into_iter();
        nodes = (0..branches)
            .map(|i| {
                let children = rest.div_ceil(branches - i);
                rest -= children;
                branch(below.by_ref().take(children).collect())
            })
            .collect();
    }
    match nodes.pop() {
        Some(root) => root.child.node,
        None => Node::Leaf(Arc::default()),
    }
}

/// A branch above nodes, of which there must be one at least.
fn branch(below: Vec<Grown>) -> Grown {
    let separators: Vec<Vec<u8>> = below
        .windows(2)
        .map(|pair| separator(&pair[0].high, &pair[1].low))
        .collect();
    let keys = separators.iter().map(Vec::as_slice);
    let (mut low, mut high) = (Vec::new(), Vec::new());
    let mut children = Vec::with_capacity(below.len());
    for (i, node) in below.into_iter().enumerate() {
        if i == 0 {
            low = node.low;
        }
        high = node.high;
        children.push(node.child);
    }
    let branch = Branch {
        separators: PackedKeys::of(keys),
        children,
    };
    Grown {
        child: Child::of(Node::Branch(Arc::new(branch))),
        low,
        high,
    }
}
