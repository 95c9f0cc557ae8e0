//! Which records each key has: an ordered tree in memory, shared with readers without locks.
//!
//! A B+tree whose nodes are reference counted. The owner changes nodes that nobody shares in place and copies the
//! others, so cloning an [`Index`] takes no time and gives a reader an index that never changes; each node is copied at
//! most once between two clones. Branches carry totals of what is below each child: keys alive now, keys that a
//! compaction may shorten, and the newest revision. So counting a range walks only what changed after the revision
//! counted at, which is nothing for the current one, and a compaction skips subtrees without work.

mod branch;
mod build;
mod history;
mod leaf;
mod older;
mod packed_keys;
mod record;
mod run;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;

use branch::{Branch, Child};
pub(crate) use build::{ALONE_MAX, join};
use leaf::Leaf;
use packed_keys::common;
pub(crate) use record::Record;
pub(crate) use run::Run;

use crate::{KeyRange, RecordKey, Revision};

/// Keys in order, each with its kept records.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    root: Node,
}

/// What a change does to its key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Write {
    /// Begins a generation or continues it.
    Put(Revision),
    /// Ends the generation.
    Delete(Revision),
}

impl Write {
    fn record(self, newest: Option<&Record>) -> Record {
        match self {
            Write::Put(revision) => Record::put(revision, newest),
            Write::Delete(revision) => Record::tombstone(revision),
        }
    }
}

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Direction {
    /// Gives the items to `visit`, from the front or from the back.
    fn run<T>(
        self,
        mut items: impl DoubleEndedIterator<Item = T>,
        visit: impl FnMut(T) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Direction::Up => items.try_for_each(visit),
            Direction::Down => items.rev().try_for_each(visit),
        }
    }
}

/// Sums over the keys of a subtree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Keys whose newest record is a put.
    pub(crate) live: u64,
    /// Keys with more than a single put: what a compaction may shorten.
    pub(crate) stale: u64,
}

impl Totals {
    fn plus(self, other: Totals) -> Totals {
        Totals {
            live: self.live + other.live,
            stale: self.stale + other.stale,
        }
    }

    fn replace(&mut self, before: Totals, after: Totals) {
        self.live = self.live - before.live + after.live;
        self.stale = self.stale - before.stale + after.stale;
    }
}

#[derive(Debug, Clone)]
enum Node {
    Leaf(Arc<Leaf>),
    Branch(Arc<Branch>),
}

/// What a write did to a subtree.
struct Written {
    record: Record,
    before: Totals,
    after: Totals,
    /// A new right neighbour and the separator before it.
    split: Option<(Vec<u8>, Node)>,
}

/// The bounds of a walk within a subtree; `None` on a side where the whole subtree lies inside.
#[derive(Clone, Copy)]
struct Bounds<'k> {
    low: Option<&'k [u8]>,
    high: Option<&'k [u8]>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            root: Node::Leaf(Arc::default()),
        }
    }
}

impl Index {
    /// Adds a record to a key and returns it. Records of a key come in revision order.
    pub(crate) fn write(&mut self, key: &[u8], write: Write) -> Record {
        let written = self.root.write(key, write);
        if let Some((separator, right)) = written.split {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Arc::default()));
            let mut root = Branch::default();
            root.children.push(Child::of(left));
            root.insert(1, &separator, Child::of(right));
            self.root = Node::Branch(Arc::new(root));
        }
        written.record
    }

    /// The leaf in which the key is or would be.
    fn leaf_of(&self, key: &[u8]) -> &Leaf {
        let mut node = &self.root;
        loop {
            match node {
                Node::Branch(branch) => node = &branch.children[branch.child_of(key)].node,
                Node::Leaf(leaf) => return leaf,
            }
        }
    }

    /// The record of a key that a read at `at` sees.
    pub(crate) fn get(&self, key: &[u8], at: i64) -> Option<Record> {
        let leaf = self.leaf_of(key);
        leaf.at(leaf.keys.search(key).ok()?, at)
    }

    /// How many keys of the range are alive at `at`.
    pub(crate) fn count(&self, range: KeyRange<'_>, at: i64) -> u64 {
        match (range, Bounds::of(range)) {
            (KeyRange::Single(key), _) => u64::from(self.get(key, at).is_some()),
            (_, Some(bounds)) => self.root.count(bounds, at),
            (_, None) => 0,
        }
    }

    /// Visits the keys of the range, in key order or downwards, with the record that a read at `at` sees; `Break` ends
    /// the walk.
    pub(crate) fn walk<'t>(
        &'t self,
        range: KeyRange<'_>,
        at: i64,
        direction: Direction,
        mut visit: impl FnMut(&'t [u8], Record) -> ControlFlow<()>,
    ) {
        if let KeyRange::Single(key) = range {
            let leaf = self.leaf_of(key);
            if let Ok(place) = leaf.keys.search(key)
                && let Some(record) = leaf.at(place, at)
            {
                let _ended = visit(leaf.keys.get(place), record);
            }
        } else if let Some(bounds) = Bounds::of(range) {
            let _ended = self.root.walk(bounds, at, direction, &mut visit);
        }
    }

    /// Drops what a compaction at `compacted` drops: the records below it, but what a read at it sees.
    ///
    /// Begins at the key `from`, stops when about `budget` records and leaves are done, and returns the key to go on
    /// from, `None` at the end. The keys of dropped records are added to `dropped`, a key's own ones oldest first.
    pub(crate) fn trim(
        &mut self,
        from: &[u8],
        compacted: i64,
        mut budget: usize,
        dropped: &mut Vec<RecordKey>,
    ) -> Option<Vec<u8>> {
        assert!(budget > 0, "a step that may do nothing would never end");
        let next = self.root.trim(Some(from), compacted, &mut budget, dropped);
        while let Node::Branch(branch) = &self.root {
            match branch.children.as_slice() {
                [] => self.root = Node::Leaf(Arc::default()),
                [only] => self.root = only.node.clone(),
                _ => break,
            }
        }
        next
    }

    pub(crate) fn totals(&self) -> Totals {
        self.root.totals()
    }

    /// Bytes of memory, as far as this crate asked for them.
    pub(crate) fn memory(&self) -> usize {
        self.root.memory()
    }
}

impl Child {
    fn of(node: Node) -> Self {
        let newest = match &node {
            Node::Leaf(leaf) => {
                let mains = (0..leaf.len()).map(|place| leaf.newest(place).main);
                mains.max().unwrap_or(0)
            }
            Node::Branch(branch) => branch.newest(),
        };
        Self {
            totals: node.totals(),
            newest,
            node,
        }
    }
}

impl<'k> Bounds<'k> {
    /// `None` if nothing can be in the range.
    fn of(range: KeyRange<'k>) -> Option<Self> {
        match range {
            KeyRange::From(low) => Some(Self {
                low: Some(low),
                high: None,
            }),
            KeyRange::Span { low, high } if low < high => Some(Self {
                low: Some(low),
                high: Some(high),
            }),
            KeyRange::Span { .. } | KeyRange::Single(_) => None,
        }
    }

    /// The children of a branch that the bounds touch, each with the bounds within it.
    fn children<'t>(
        self,
        branch: &'t Branch,
    ) -> impl DoubleEndedIterator<Item = (&'t Child, Bounds<'k>)> {
        let first = self.low.map_or(0, |low| branch.child_of(low));
        let last = self
            .high
            .map_or(branch.children.len() - 1, |high| branch.child_of(high));
        (first..=last).map(move |i| {
            let low = self.low.filter(|_| i == first);
            let high = self.high.filter(|_| i == last);
            (&branch.children[i], Bounds { low, high })
        })
    }

    /// The places of a leaf that lie inside.
    fn places(self, leaf: &Leaf) -> std::ops::Range<usize> {
        let place = |key| leaf.keys.search(key).unwrap_or_else(|place| place);
        self.low.map_or(0, place)..self.high.map_or(leaf.len(), place)
    }

    fn is_whole(self) -> bool {
        self.low.is_none() && self.high.is_none()
    }
}

/// Recursion goes as deep as the tree is high: a few levels, as every branch but the root has many children.
impl Node {
    fn write(&mut self, key: &[u8], write: Write) -> Written {
        match self {
            Node::Leaf(leaf) => {
                let (record, before, after) = Leaf::write(leaf, key, write);
                Written {
                    record,
                    before,
                    after,
                    split: Node::split_leaf(leaf, key),
                }
            }
            Node::Branch(branch) => {
                let branch = Branch::own(branch);
                let i = branch.child_of(key);
                let child = &mut branch.children[i];
                let mut written = child.node.write(key, write);
                child.totals.replace(written.before, written.after);
                child.newest = child.newest.max(written.record.main);
                if let Some((separator, right)) = written.split.take() {
                    *child = Child::of(child.node.clone());
                    branch.insert(i + 1, &separator, Child::of(right));
                    written.split = Node::split_branch(branch, i + 1);
                }
                written
            }
        }
    }

    /// Splits a leaf that has become too large by writing `key`.
    fn split_leaf(leaf: &mut Arc<Leaf>, key: &[u8]) -> Option<(Vec<u8>, Node)> {
        if !leaf.is_too_large() {
            return None;
        }
        let len = leaf.len();
        // Keys that come in order fill their leaves.
        let at_end = leaf.keys.get(len - 1) == key;
        let at = if at_end { len - 1 } else { len / 2 };
        let leaf = Arc::get_mut(leaf).expect("a leaf that has just grown is not shared");
        let right = leaf.split_off(at);
        let separator = separator(leaf.keys.get(at - 1), right.keys.get(0));
        Some((separator, Node::Leaf(Arc::new(right))))
    }

    /// Splits a branch that has become too large by a new child at `grown`.
    fn split_branch(branch: &mut Branch, grown: usize) -> Option<(Vec<u8>, Node)> {
        if !branch.is_too_large() {
            return None;
        }
        let len = branch.children.len();
        let at = if grown == len - 1 { len - 2 } else { len / 2 };
        let (separator, right) = branch.split_off(at);
        Some((separator, Node::Branch(Arc::new(right))))
    }

    fn count(&self, bounds: Bounds<'_>, at: i64) -> u64 {
        match self {
            Node::Leaf(leaf) => {
                let alive = |&place: &usize| leaf.at(place, at).is_some();
                bounds.places(leaf).filter(alive).count() as u64
            }
            Node::Branch(branch) => {
                let counts = bounds.children(branch).map(|(child, bounds)| {
                    if bounds.is_whole() && child.newest <= at {
                        child.totals.live
                    } else {
                        child.node.count(bounds, at)
                    }
                });
                counts.sum()
            }
        }
    }

    fn walk<'t>(
        &'t self,
        bounds: Bounds<'_>,
        at: i64,
        direction: Direction,
        visit: &mut impl FnMut(&'t [u8], Record) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Node::Leaf(leaf) => {
                direction.run(bounds.places(leaf), |place| match leaf.at(place, at) {
                    Some(record) => visit(leaf.keys.get(place), record),
                    None => ControlFlow::Continue(()),
                })
            }
            Node::Branch(branch) => direction.run(bounds.children(branch), |(child, inner)| {
                child.node.walk(inner, at, direction, visit)
            }),
        }
    }

    fn trim(
        &mut self,
        from: Option<&[u8]>,
        compacted: i64,
        budget: &mut usize,
        dropped: &mut Vec<RecordKey>,
    ) -> Option<Vec<u8>> {
        /// What looking through a leaf costs, in records.
        const LEAF_COST: usize = 8;
        match self {
            Node::Leaf(leaf) => {
                let place = |key: &[u8]| leaf.keys.search(key).unwrap_or_else(|place| place);
                let from = from.map_or(0, place);
                let unfinished = Leaf::trim(leaf, from, compacted, budget, dropped);
                *budget = budget.saturating_sub(LEAF_COST);
                unfinished.map(|place| leaf.keys.get(place).to_vec())
            }
            Node::Branch(branch) => {
                let branch = Branch::own(branch);
                let next = Node::trim_children(branch, from, compacted, budget, dropped);
                branch.tidy();
                next
            }
        }
    }

    fn trim_children(
        branch: &mut Branch,
        from: Option<&[u8]>,
        compacted: i64,
        budget: &mut usize,
        dropped: &mut Vec<RecordKey>,
    ) -> Option<Vec<u8>> {
        let first = from.map_or(0, |from| branch.child_of(from));
        for i in first..branch.children.len() {
            let child = &mut branch.children[i];
            if child.totals.stale == 0 {
                continue;
            }
            if *budget == 0 && i > first {
                return Some(branch.separators.get(i - 1).to_vec());
            }
            let from = from.filter(|_| i == first);
            let next = child.node.trim(from, compacted, budget, dropped);
            child.totals = child.node.totals();
            if next.is_some() {
                return next;
            }
        }
        None
    }

    fn totals(&self) -> Totals {
        match self {
            Node::Leaf(leaf) => leaf.totals(),
            Node::Branch(branch) => branch.totals(),
        }
    }

    /// Adds the leaves below, in key order; an empty tree has none.
    fn collect_leaves<'t>(&'t self, leaves: &mut Vec<&'t Leaf>) {
        match self {
            Node::Leaf(leaf) if leaf.len() == 0 => {}
            Node::Leaf(leaf) => leaves.push(leaf),
            Node::Branch(branch) => {
                let nodes = branch.children.iter().map(|child| &child.node);
                nodes.for_each(|node| node.collect_leaves(leaves));
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Node::Leaf(leaf) => leaf.len() == 0,
            Node::Branch(branch) => branch.children.is_empty(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.memory(),
            Node::Branch(branch) => branch.memory(),
        }
    }
}

/// The shortest key above `left` and not above `right`.
fn separator(left: &[u8], right: &[u8]) -> Vec<u8> {
    right[..=common(left, right)].to_vec()
}

/// Makes room for `needed` more elements, and when that means to allocate, for `spare`: the index lives of being small.
fn reserve<T>(vec: &mut Vec<T>, needed: usize, spare: usize) {
    if vec.capacity() - vec.len() < needed {
        vec.reserve_exact(needed.max(spare));
    }
}
