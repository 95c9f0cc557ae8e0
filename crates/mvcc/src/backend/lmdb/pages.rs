//! Judges LMDB's data file page by page, without LMDB and without a map.
//!
//! LMDB believes what its pages say: a damaged branch page ends in a wild pointer or an endless loop, and a page beyond
//! the end of the file in a signal. This walk reads pages as data, believes nothing, and answers with an error. It
//! checks that every tree is whole and in order, that its counters are right, that no page is used twice or both used
//! and free, and the checksum of every row.
//!
//! The layout is that of LMDB 0.9 (data version 1) on 64-bit machines, in the machine's byte order; see [`meta`] and
//! [`page`]. How pages are read and trees walked is in [`trees`].

mod meta;
mod page;
mod places;
mod trees;

use std::fs::File;
use std::path::Path;

pub(super) use self::meta::Age;
use self::meta::{Meta, Tree};
use self::places::META_PAGES;
use self::trees::{Node, Trees};
use super::super::Bucket;
use super::directory::at;
use super::row;
use crate::Error;

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
        let meta = Meta::read(&file, Age::Newest)?;
        Ok(file.metadata()?.len() / meta.page_bytes as u64 > meta.last_page)
    };
    look().map_err(at::<Damage>("read data file", data))
}

/// Reads and judges the whole file, as of one of its last two transactions. Nobody may write to it meanwhile.
pub(super) fn check(data: &Path, age: Age) -> Result<Checked, Error> {
    let check = || {
        let file = File::open(data)?;
        let meta = Meta::read(&file, age)?;
        check_store(Trees::new(file, &meta)?, &meta)
    };
    check().map_err(at::<Damage>("check data file", data))
}

/// Judges what the write that ends a commit may have torn: the newest meta page, and that the trees it names belong together.
///
/// Reads the tree of free pages, which is eight bytes for each of them, the list of buckets, and their roots.
pub(super) fn check_last_commit(data: &Path) -> Result<(), Error> {
    let check = || {
        let file = File::open(data)?;
        let meta = Meta::read(&file, Age::Newest)?;
        check_ends(Trees::new(file, &meta)?, &meta)
    };
    check().map_err(at::<Damage>("check data file", data))
}

/// A mixture of two commits is found by what only one commit has in common. The newest record of free pages is of the
/// commit itself, for each one frees the root that it replaces; that tells a foreign tree of free pages. All roots of
/// earlier commits are free pages; that tells a foreign root. And what is used and free must find room in the file.
fn check_ends(mut trees: Trees, meta: &Meta) -> Result<(), Damage> {
    walk_free(&mut trees, meta)?;
    let buckets = walk_buckets(&mut trees, meta)?;
    let roots = [&meta.free, &meta.main].into_iter().chain(&buckets);
    let mut pages = META_PAGES + trees.places.free_pages;
    for tree in roots {
        pages = pages.saturating_add(tree.pages());
    }
    if pages > meta.last_page.saturating_add(1) {
        return Err(Damage::Tree {
            tree: "free pages".into(),
            reason: "more pages are free or used than there are",
        });
    }
    buckets.iter().try_for_each(|tree| trees.root(tree))
}

fn check_store(mut trees: Trees, meta: &Meta) -> Result<Checked, Damage> {
    walk_free(&mut trees, meta)?;
    let buckets = walk_buckets(&mut trees, meta)?;
    let mut checked = Checked {
        used_pages: META_PAGES + meta.free.pages() + meta.main.pages(),
        ..Checked::default()
    };
    for (bucket, tree) in Bucket::ALL.into_iter().zip(&buckets) {
        trees.walk(bucket.name(), tree, Tree::PLAIN, &mut |_, node| {
            check_row(bucket, node)
        })?;
        checked.rows += tree.entries;
        checked.used_pages += tree.pages();
    }
    trees.places.check_end()?;
    Ok(Checked {
        free_pages: trees.places.free_pages,
        ..checked
    })
}

/// Gives all free pages their place.
fn walk_free(trees: &mut Trees, meta: &Meta) -> Result<(), Damage> {
    let mut newest = None;
    trees.walk(
        "free pages",
        &meta.free,
        Tree::INTEGER_KEYS,
        &mut |places, node| {
            newest = node.key.first_chunk().copied().map(u64::from_ne_bytes);
            places.take_free(node.page, node.data)
        },
    )?;
    // The first transaction creates the buckets, and replaces nothing.
    if meta.transaction > 1 && newest != Some(meta.transaction) {
        return Err(Damage::Tree {
            tree: "free pages".into(),
            reason: "is not of the last commit",
        });
    }
    Ok(())
}

/// The trees of all buckets, in the order of [`Bucket::ALL`].
fn walk_buckets(trees: &mut Trees, meta: &Meta) -> Result<Vec<Tree>, Damage> {
    let mut found = Vec::new();
    trees.walk("buckets", &meta.main, Tree::PLAIN, &mut |_, node| {
        let tree = Tree::parse(node.data).filter(|_| node.flags == page::NODE_IS_TREE);
        found.push((
            node.key.to_vec(),
            tree.ok_or_else(|| node.damage("is no bucket"))?,
        ));
        Ok(())
    })?;
    if found.len() > Bucket::ALL.len() {
        return Err(Damage::Tree {
            tree: "buckets".into(),
            reason: "one is unknown",
        });
    }
    let mut in_order = Vec::new();
    for bucket in Bucket::ALL {
        let place = found
            .iter()
            .position(|(name, _)| name == bucket.name().as_bytes());
        let place = place.ok_or_else(|| Damage::Tree {
            tree: bucket.name().into(),
            reason: "is not there",
        })?;
        in_order.push(found.swap_remove(place).1);
    }
    Ok(in_order)
}

fn check_row(bucket: Bucket, node: &Node<'_>) -> Result<(), Damage> {
    if node.flags != 0 {
        return Err(node.damage("row is of another kind"));
    }
    row::open(bucket, node.key, node.data).map_err(|error| Damage::Row(error.into()))?;
    Ok(())
}
