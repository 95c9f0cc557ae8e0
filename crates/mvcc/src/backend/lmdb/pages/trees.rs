//! Walks over trees of pages that may be anything.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::Damage;
use super::meta::{Meta, Tree};
use super::page::{self, Kind, Page};
use super::places::Places;

/// Deeper than any tree of the largest file; LMDB's own limit.
const DEPTH_MAX: u16 = 32;
/// LMDB's root of an empty tree.
const NO_PAGE: u64 = u64::MAX;

/// A file of trees, and the places of its pages as far as they have been walked over.
pub(super) struct Trees {
    file: File,
    page_bytes: usize,
    pub(super) places: Places,
}

/// One entry of a tree.
pub(super) struct Node<'n> {
    /// Where it lies.
    pub(super) page: u64,
    pub(super) key: &'n [u8],
    /// What `data` is, if not a plain value.
    pub(super) flags: u16,
    pub(super) data: &'n [u8],
}

type Visit<'v> = dyn FnMut(&mut Places, &Node<'_>) -> Result<(), Damage> + 'v;

/// The state of a walk over one tree.
struct Walk<'v> {
    /// The pages and entries that have been seen, to be compared with the tree's record.
    seen: Tree,
    /// No key that follows is below this one, or equal to it if the second field is set.
    bound: Option<(Vec<u8>, bool)>,
    visit: &'v mut Visit<'v>,
}

impl Trees {
    pub(super) fn new(file: File, meta: &Meta) -> Result<Self, Damage> {
        let file_pages = file.metadata()?.len() / meta.page_bytes as u64;
        let places = Places::new(file_pages, meta.last_page);
        Ok(Self {
            file,
            page_bytes: meta.page_bytes,
            places,
        })
    }

    /// Walks over one tree in key order, and compares what is there with its record and with `flags`.
    pub(super) fn walk<'v>(
        &mut self,
        name: &str,
        tree: &Tree,
        flags: u16,
        visit: &'v mut Visit<'v>,
    ) -> Result<(), Damage> {
        let damage = |reason| {
            Err(Damage::Tree {
                tree: name.into(),
                reason,
            })
        };
        let seen = Tree {
            flags,
            root: tree.root,
            depth: tree.depth,
            ..Tree::default()
        };
        let mut walk = Walk {
            seen,
            bound: None,
            visit,
        };
        match (tree.root, tree.depth) {
            (NO_PAGE, 0) => {}
            (_, 1..=DEPTH_MAX) => self.subtree(tree.root, tree.depth, &mut walk)?,
            _ => return damage("impossible depth"),
        }
        if walk.seen != *tree {
            return damage("flags or counters do not match");
        }
        Ok(())
    }

    /// Looks at the root of a tree, and at nothing below it.
    pub(super) fn root(&mut self, tree: &Tree) -> Result<(), Damage> {
        if (tree.root, tree.depth) == (NO_PAGE, 0) {
            return Ok(());
        }
        let is_leaf = matches!(self.page(tree.root)?.kind()?, Kind::Leaf);
        if is_leaf != (tree.depth == 1) {
            return Err(Damage::Page {
                page: tree.root,
                reason: "is of another kind than its place",
            });
        }
        Ok(())
    }

    fn subtree(&mut self, number: u64, depth: u16, walk: &mut Walk<'_>) -> Result<(), Damage> {
        let page = self.page(number)?;
        match (page.kind()?, depth) {
            (Kind::Leaf, 1) => {
                walk.seen.leaf_pages += 1;
                for idx in 0..page.len() {
                    self.leaf_node(&page, idx, walk)?;
                }
                Ok(())
            }
            (Kind::Branch, 2..) => {
                walk.seen.branch_pages += 1;
                for idx in 0..page.len() {
                    let (key, child) = page.branch_node(idx)?;
                    // The first child holds whatever is below the second, so its key means nothing.
                    if idx > 0 {
                        walk.advance(number, key, false)?;
                    }
                    self.subtree(child, depth - 1, walk)?;
                }
                Ok(())
            }
            _ => Err(Damage::Page {
                page: number,
                reason: "is of another kind than its place",
            }),
        }
    }

    fn leaf_node(&mut self, page: &Page, idx: usize, walk: &mut Walk<'_>) -> Result<(), Damage> {
        let node = page.leaf_node(idx)?;
        walk.advance(page.number, node.key, true)?;
        walk.seen.entries += 1;
        let large;
        let data = match node.overflow_page() {
            None => node.data,
            Some(overflow) => {
                large = self.overflow(overflow?, node.data_len, walk)?;
                &large
            }
        };
        let flags = node.flags & !page::NODE_IS_LARGE;
        (walk.visit)(
            &mut self.places,
            &Node {
                page: page.number,
                key: node.key,
                flags,
                data,
            },
        )
    }

    /// The value on pages of its own that begin at `number`.
    fn overflow(
        &mut self,
        number: u64,
        len: usize,
        walk: &mut Walk<'_>,
    ) -> Result<Vec<u8>, Damage> {
        let first = self.page(number)?;
        let pages = first.overflow_pages()?;
        for rest in 1..pages {
            self.places.take(number.saturating_add(rest))?;
        }
        // All of them lie in the file, which bounds what is read.
        let room = pages * self.page_bytes as u64;
        if (page::HEADER_BYTES + len) as u64 > room {
            return Err(Damage::Page {
                page: number,
                reason: "value is cut",
            });
        }
        walk.seen.overflow_pages += pages;
        let mut data = vec![0; len];
        let start = number * self.page_bytes as u64 + page::HEADER_BYTES as u64;
        self.file.read_exact_at(&mut data, start)?;
        Ok(data)
    }

    /// Reads a page and gives it its place.
    fn page(&mut self, number: u64) -> Result<Page, Damage> {
        self.places.take(number)?;
        let mut bytes = vec![0; self.page_bytes];
        self.file
            .read_exact_at(&mut bytes, number * self.page_bytes as u64)?;
        Page::parse(number, bytes)
    }
}

impl Node<'_> {
    pub(super) fn damage(&self, reason: &'static str) -> Damage {
        Damage::Page {
            page: self.page,
            reason,
        }
    }
}

impl Walk<'_> {
    /// Checks that the keys are in order. A key in a leaf must be above the last one; a key in a branch must be too, and
    /// those that follow may be equal to it.
    fn advance(&mut self, page: u64, key: &[u8], leaf: bool) -> Result<(), Damage> {
        let mut key = key.to_vec();
        if self.seen.flags == Tree::INTEGER_KEYS {
            // As strings of big-endian bytes they order as the numbers do.
            #[cfg(target_endian = "little")]
            key.reverse();
        }
        if let Some((bound, exclusive)) = &self.bound
            && (key < *bound || (*exclusive && key == *bound))
        {
            return Err(Damage::Page {
                page,
                reason: "keys are out of order",
            });
        }
        self.bound = Some((key, leaf));
        Ok(())
    }
}
