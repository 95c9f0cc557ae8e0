//! An interval tree: an AVL tree ordered by range, where each node knows the highest end below it.
//!
//! Balanced by height and not by chance, because clients choose the ranges and the order in which they
//! come: depth, and with it the recursion here, is at most 1.44 log2 of the number of distinct ranges.

use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Where a range ends. Ordered: every key comes before the end of the key space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum High {
    /// Before this key.
    Before(Bytes),
    /// With the key space.
    End,
}

impl High {
    fn is_above(&self, key: &[u8]) -> bool {
        match self {
            High::Before(high) => key < high.as_ref(),
            High::End => true,
        }
    }
}

/// Sets of items by distinct range.
#[derive(Debug)]
pub(super) struct IntervalTree<T> {
    root: Link<T>,
}

type Link<T> = Option<Box<Node<T>>>;

#[derive(Debug)]
struct Node<T> {
    low: Bytes,
    high: High,
    /// The highest `high` in this subtree.
    high_max: High,
    /// One more than that of the higher child.
    height: u32,
    left: Link<T>,
    right: Link<T>,
    /// Invariant: not empty.
    items: BTreeSet<T>,
}

impl<T> Default for IntervalTree<T> {
    fn default() -> Self {
        IntervalTree { root: None }
    }
}

impl<T: Copy + Ord> IntervalTree<T> {
    /// Adds `item` under `[low, high)`.
    pub(super) fn insert(&mut self, low: &Bytes, high: &High, item: T) {
        self.root = Some(insert(self.root.take(), low, high, item));
    }

    /// Removes `item` from `[low, high)`, and the range with its last item.
    pub(super) fn remove(&mut self, low: &Bytes, high: &High, item: T) {
        self.root = remove(self.root.take(), low, high, item);
    }

    /// Visits the items of all ranges that hold `key`.
    pub(super) fn for_each(&self, key: &[u8], visit: &mut impl FnMut(T)) {
        for_each(&self.root, key, visit);
    }

    #[cfg(test)]
    pub(super) fn height(&self) -> u32 {
        height(&self.root)
    }
}

fn for_each<T: Copy>(link: &Link<T>, key: &[u8], visit: &mut impl FnMut(T)) {
    let Some(node) = link else { return };
    if !node.high_max.is_above(key) {
        return;
    }
    for_each(&node.left, key, visit);
    if key < node.low.as_ref() {
        return;
    }
    if node.high.is_above(key) {
        node.items.iter().copied().for_each(&mut *visit);
    }
    for_each(&node.right, key, visit);
}

fn insert<T: Ord>(link: Link<T>, low: &Bytes, high: &High, item: T) -> Box<Node<T>> {
    let Some(mut node) = link else {
        return Box::new(Node {
            low: low.clone(),
            high: high.clone(),
            high_max: high.clone(),
            height: 1,
            left: None,
            right: None,
            items: BTreeSet::from([item]),
        });
    };
    match node.compare(low, high) {
        Ordering::Equal => {
            node.items.insert(item);
            return node;
        }
        Ordering::Less => node.left = Some(insert(node.left.take(), low, high, item)),
        Ordering::Greater => node.right = Some(insert(node.right.take(), low, high, item)),
    }
    balance(node)
}

fn remove<T: Ord>(link: Link<T>, low: &Bytes, high: &High, item: T) -> Link<T> {
    let mut node = link?;
    match node.compare(low, high) {
        Ordering::Less => node.left = remove(node.left.take(), low, high, item),
        Ordering::Greater => node.right = remove(node.right.take(), low, high, item),
        Ordering::Equal => {
            node.items.remove(&item);
            if node.items.is_empty() {
                return join(node.left.take(), node.right.take());
            }
        }
    }
    Some(balance(node))
}

/// One tree of two, all of `left` being before all of `right`, their heights differing by one at most.
fn join<T>(left: Link<T>, right: Link<T>) -> Link<T> {
    let Some(right) = right else { return left };
    let (mut first, rest) = take_first(right);
    first.left = left;
    first.right = rest;
    Some(balance(first))
}

fn take_first<T>(mut node: Box<Node<T>>) -> (Box<Node<T>>, Link<T>) {
    match node.left.take() {
        None => {
            let rest = node.right.take();
            (node, rest)
        }
        Some(left) => {
            let (first, rest) = take_first(left);
            node.left = rest;
            (first, Some(balance(node)))
        }
    }
}

/// Restores height, order of heights and highest end of a node whose children are in order.
fn balance<T>(mut node: Box<Node<T>>) -> Box<Node<T>> {
    let (left, right) = (height(&node.left), height(&node.right));
    if left > right + 1 {
        let child = node.left.take().expect("the higher side");
        let inner_is_higher = height(&child.right) > height(&child.left);
        node.left = Some(if inner_is_higher {
            rotate_left(child)
        } else {
            child
        });
        rotate_right(node)
    } else if right > left + 1 {
        let child = node.right.take().expect("the higher side");
        let inner_is_higher = height(&child.left) > height(&child.right);
        node.right = Some(if inner_is_higher {
            rotate_right(child)
        } else {
            child
        });
        rotate_left(node)
    } else {
        node.refresh();
        node
    }
}

fn rotate_left<T>(mut node: Box<Node<T>>) -> Box<Node<T>> {
    let Some(mut top) = node.right.take() else {
        return node;
    };
    node.right = top.left.take();
    node.refresh();
    top.left = Some(node);
    top.refresh();
    top
}

fn rotate_right<T>(mut node: Box<Node<T>>) -> Box<Node<T>> {
    let Some(mut top) = node.left.take() else {
        return node;
    };
    node.left = top.right.take();
    node.refresh();
    top.right = Some(node);
    top.refresh();
    top
}

fn height<T>(link: &Link<T>) -> u32 {
    link.as_ref().map_or(0, |node| node.height)
}

impl<T> Node<T> {
    /// How a range compares with the one of this node.
    fn compare(&self, low: &Bytes, high: &High) -> Ordering {
        low.cmp(&self.low).then_with(|| high.cmp(&self.high))
    }

    fn refresh(&mut self) {
        self.height = 1 + height(&self.left).max(height(&self.right));
        let children = [&self.left, &self.right];
        let highest = children
            .into_iter()
            .flatten()
            .map(|child| &child.high_max)
            .max();
        self.high_max = highest
            .max(Some(&self.high))
            .expect("its own at least")
            .clone();
    }
}
