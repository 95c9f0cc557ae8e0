//! Judges LMDB's data file page by page, without LMDB and without a map.
//!
//! LMDB believes what its pages say: a damaged branch page ends in a wild pointer or an endless loop, and a page beyond
//! the end of the file in a signal. This walk reads pages as data, believes nothing, and answers with an error. It
//! checks that every tree is whole and in order, that its counters are right, that no page is used twice or both used
//! and free, and the checksum of every row.
//!
//! The layout is that of LMDB 0.9 (data version 1) on 64-bit machines, in the machine's byte order; see [`meta`] and
//! [`page`].

mod meta;
mod page;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use self::meta::{Meta, Tree};
use self::page::{Kind, Page};
use super::super::Bucket;
use super::directory::at;
use super::row;
use crate::Error;

/// Deeper than any tree of the largest file; LMDB's own limit.
const DEPTH_MAX: u16 = 32;
/// LMDB's root of an empty tree.
const NO_PAGE: u64 = u64::MAX;
/// Pages 0 and 1.
const META_PAGES: u64 = 2;

/// What [`Lmdb::check`](super::Lmdb::check) found in a sound file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Rows in all buckets.
    pub rows: u64,
    /// Pages of buckets and of LMDB's own records.
    pub used_pages: u64,
    /// Pages that LMDB may use again.
    pub free_pages: u64,
}

/// What is wrong with a data file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("not an LMDB file of this machine")]
    NotLmdb,
    #[error("page {page}: {reason}")]
    Page { page: u64, reason: &'static str },
    #[error("tree of {tree}: {reason}")]
    Tree { tree: String, reason: &'static str },
    #[error("row")]
    Row(#[source] Box<Error>),
}

/// Whether the file is an LMDB file that is at least as long as LMDB believes.
///
/// A file may be sound although it is shorter, if its last pages are free: only [`check`] can tell.
pub(super) fn is_full_length(data: &Path) -> Result<bool, Error> {
    let look = || {
        let file = File::open(data)?;
        let meta = Meta::read(&file)?;
        Ok(file.metadata()?.len() / meta.page_bytes as u64 > meta.last_page)
    };
    look().map_err(at::<Damage>("read data file", data))
}

/// Reads and judges the whole file. Nobody may write to it meanwhile.
pub(super) fn check(data: &Path) -> Result<Checked, Error> {
    let check = || {
        let file = File::open(data)?;
        let meta = Meta::read(&file)?;
        Checker::new(file, &meta)?.check(&meta)
    };
    check().map_err(at::<Damage>("check data file", data))
}

struct Checker {
    file: File,
    page_bytes: usize,
    last_page: u64,
    /// Pages that have a place, in a tree or in the free list, as bits; as many as the file has pages.
    taken: Vec<u64>,
    file_pages: u64,
    checked: Checked,
}

/// The state of a walk over one tree.
struct Walk<'v> {
    /// The pages and entries that have been seen, to be compared with the tree's record.
    seen: Tree,
    /// No key that follows is below this one, or equal to it if the second field is set.
    bound: Option<(Vec<u8>, bool)>,
    visit: &'v mut Visit<'v>,
}

/// Called with page, key, flags of the node, and data.
type Visit<'v> = dyn FnMut(&mut Taken<'_>, &[u8], u16, &[u8]) -> Result<(), Damage> + 'v;

/// The part of the checker that visitors may use.
struct Taken<'c> {
    taken: &'c mut [u64],
    file_pages: u64,
    last_page: u64,
    page: u64,
}

impl Taken<'_> {
    /// Gives a page its place. Only free pages may lie beyond the end of the file.
    fn take(&mut self, page: u64, free: bool) -> Result<(), Damage> {
        let damage = |reason| Err(Damage::Page { page, reason });
        if page < META_PAGES || page > self.last_page {
            return damage("no such page");
        }
        if page >= self.file_pages {
            return if free {
                Ok(())
            } else {
                damage("beyond the end of the file")
            };
        }
        let (word, bit) = ((page / 64) as usize, 1 << (page % 64));
        if self.taken[word] & bit != 0 {
            return damage("has two places");
        }
        self.taken[word] |= bit;
        Ok(())
    }

    /// Takes the pages of one record of the free list: their number, then the pages.
    fn take_free(&mut self, list: &[u8]) -> Result<u64, Damage> {
        let damage = Damage::Page {
            page: self.page,
            reason: "free list is cut",
        };
        let mut numbers = list
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u64::from_ne_bytes(*bytes));
        let count = numbers
            .next()
            .filter(|count| *count < list.len() as u64 / 8);
        let count = count.ok_or(damage)?;
        for page in numbers.take(count as usize) {
            self.take(page, true)?;
        }
        Ok(count)
    }
}

impl Checker {
    fn new(file: File, meta: &Meta) -> Result<Self, Damage> {
        let file_pages = file.metadata()?.len() / meta.page_bytes as u64;
        Ok(Self {
            file,
            page_bytes: meta.page_bytes,
            last_page: meta.last_page,
            taken: vec![0; file_pages.div_ceil(64) as usize],
            file_pages,
            checked: Checked {
                used_pages: META_PAGES,
                ..Checked::default()
            },
        })
    }

    fn check(mut self, meta: &Meta) -> Result<Checked, Damage> {
        let mut free_pages = 0;
        self.tree(
            "free pages",
            &meta.free,
            Tree::INTEGER_KEYS,
            &mut |taken, _, _, list| {
                free_pages += taken.take_free(list)?;
                Ok(())
            },
        )?;
        let mut trees = Vec::new();
        self.tree(
            "buckets",
            &meta.main,
            Tree::PLAIN,
            &mut |taken, name, flags, record| {
                let tree = Tree::parse(record).filter(|_| flags == page::NODE_IS_TREE);
                let reason = "record of a bucket is damaged";
                trees.push((
                    name.to_vec(),
                    tree.ok_or(Damage::Page {
                        page: taken.page,
                        reason,
                    })?,
                ));
                Ok(())
            },
        )?;
        for bucket in Bucket::ALL {
            let tree = trees
                .iter()
                .find(|(name, _)| name == bucket.name().as_bytes());
            let damage = || Damage::Tree {
                tree: bucket.name().into(),
                reason: "is not there",
            };
            let (_, tree) = tree.ok_or_else(damage)?;
            self.tree(
                bucket.name(),
                tree,
                Tree::PLAIN,
                &mut |_, key, _, sealed| {
                    row::open(bucket, key, sealed).map_err(|error| Damage::Row(error.into()))?;
                    Ok(())
                },
            )?;
            self.checked.rows += tree.entries;
        }
        if trees.len() != Bucket::ALL.len() {
            return Err(Damage::Tree {
                tree: "buckets".into(),
                reason: "one is unknown",
            });
        }
        Ok(Checked {
            free_pages,
            ..self.checked
        })
    }

    /// Walks one tree and compares what is there with its record.
    fn tree<'v>(
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
        self.checked.used_pages += tree.pages();
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
        (walk.visit)(
            &mut self.taken(page.number),
            node.key,
            node.flags & !page::NODE_IS_LARGE,
            data,
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
            self.taken(number)
                .take(number.saturating_add(rest), false)?;
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
        self.taken(number).take(number, false)?;
        let mut bytes = vec![0; self.page_bytes];
        self.file
            .read_exact_at(&mut bytes, number * self.page_bytes as u64)?;
        Page::parse(number, bytes)
    }

    fn taken(&mut self, page: u64) -> Taken<'_> {
        Taken {
            taken: &mut self.taken,
            file_pages: self.file_pages,
            last_page: self.last_page,
            page,
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
