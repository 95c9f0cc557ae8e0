//! The upper nodes of the index: children with the totals of what is below them.

use std::sync::Arc;

use super::leaf::{Leaf, NODE_BYTES_MAX};
use super::packed_keys::PackedKeys;
use super::{Node, Totals};

/// Children beyond which a branch splits. Small, because copying a branch touches the reference count of each child.
pub(crate) const CHILDREN_MAX: usize = 16;

/// Children in key order.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    /// `separators[i]` is at most the first key below `children[i + 1]`, and above every key below `children[i]`.
    pub(crate) separators: PackedKeys,
    pub(crate) children: Vec<Child>,
}

/// A subtree and what its parent knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) node: Node,
    pub(crate) totals: Totals,
    /// At least the `main` of every record in the subtree.
    pub(crate) newest: i64,
}

impl Branch {
    /// The child under which the key is or would be.
    pub(crate) fn child_of(&self, key: &[u8]) -> usize {
        match self.separators.search(key) {
            Ok(i) => i + 1,
            Err(i) => i,
        }
    }

    /// The branch for writing: copied if a view shares it.
    pub(crate) fn own(branch: &mut Arc<Branch>) -> &mut Branch {
        if Arc::get_mut(branch).is_none() {
            branch.fetch_counts();
            let separators = branch.separators.clone();
            *branch = Arc::new(Branch {
                separators,
                children: branch.children.clone(),
            });
        }
        Arc::get_mut(branch).expect("the branch was just made, or nobody shares it")
    }

    /// Reads the reference counts of all children. Cloning the children changes them, one after the other, each waiting
    /// for memory; reads wait together, and find the counts in the cache afterwards.
    fn fetch_counts(&self) {
        let counts = self.children.iter().map(|child| match &child.node {
            Node::Leaf(leaf) => Arc::strong_count(leaf),
            Node::Branch(branch) => Arc::strong_count(branch),
        });
        std::hint::black_box(counts.sum::<usize>());
    }

    pub(crate) fn insert(&mut self, i: usize, separator: &[u8], child: Child) {
        self.separators = self.separators.inserted(i - 1, separator);
        self.children.insert(i, child);
    }

    pub(crate) fn totals(&self) -> Totals {
        self.children
            .iter()
            .fold(Totals::default(), |sum, child| sum.plus(child.totals))
    }

    pub(crate) fn newest(&self) -> i64 {
        self.children
            .iter()
            .map(|child| child.newest)
            .max()
            .unwrap_or(0)
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.children.len() > CHILDREN_MAX
            || (self.separators.byte_len() > NODE_BYTES_MAX && self.children.len() >= 4)
    }

    /// Moves the children from `at` on into a new branch; the separator between the two goes up.
    pub(crate) fn split_off(&mut self, at: usize) -> (Vec<u8>, Branch) {
        let between = self.separators.get(at - 1).to_vec();
        let separators = self.separators.sliced(at..self.separators.len());
        self.separators = self.separators.sliced(0..at - 1);
        let children = self.children.split_off(at);
        (
            between,
            Branch {
                separators,
                children,
            },
        )
    }

    /// Removes children without keys and joins small neighbours. The branch itself may end up without children.
    pub(crate) fn tidy(&mut self) {
        let mut i = 0;
        while i < self.children.len() {
            let superfluous = self.children[i].node.is_empty() || self.join_with_left(i);
            if superfluous {
                self.remove(i);
            } else {
                i += 1;
            }
        }
    }

    /// Removes a child; its left neighbour, or the right one if there is none, takes over its range.
    fn remove(&mut self, i: usize) {
        self.children.remove(i);
        if self.separators.len() > 0 {
            self.separators = self.separators.removed(i.saturating_sub(1));
        }
    }

    /// Puts what child `i` holds into the child before it, if one node is enough for both.
    fn join_with_left(&mut self, i: usize) -> bool {
        if i == 0 {
            return false;
        }
        let joined = match (&self.children[i - 1].node, &self.children[i].node) {
            (Node::Leaf(left), Node::Leaf(right)) if left.may_join(right) => {
                Node::Leaf(Arc::new(Leaf::join(left, right)))
            }
            (Node::Branch(left), Node::Branch(right)) if left.may_join(right) => {
                Node::Branch(Arc::new(left.join(self.separators.get(i - 1), right)))
            }
            _ => return false,
        };
        let right = (self.children[i].totals, self.children[i].newest);
        let left = &mut self.children[i - 1];
        left.node = joined;
        left.totals = left.totals.plus(right.0);
        left.newest = left.newest.max(right.1);
        true
    }

    fn may_join(&self, right: &Branch) -> bool {
        self.children.len() + right.children.len() <= CHILDREN_MAX / 2
            && self.separators.byte_len() + right.separators.byte_len() <= NODE_BYTES_MAX
    }

    fn join(&self, between: &[u8], right: &Branch) -> Branch {
        Branch {
            separators: self.separators.joined(Some(between), &right.separators),
            children: [self.children.as_slice(), &right.children].concat(),
        }
    }

    pub(crate) fn memory(&self) -> usize {
        let below = self
            .children
            .iter()
            .map(|child| child.node.memory())
            .sum::<usize>();
        size_of::<Self>()
            + self.separators.memory()
            + self.children.capacity() * size_of::<Child>()
            + below
    }
}
