//! The two meta pages: where the trees of the last two transactions begin.
//!
//! ```text
//! page header, 16 bytes   see page.rs; flags say "meta"
//! magic       u32         0xBEEFC0DE
//! version     u32         1
//! address     u64
//! map size    u64
//! free pages  tree        48 bytes; its first field holds the page size
//! main        tree        48 bytes
//! last page   u64
//! transaction u64
//!
//! tree: pad u32, flags u16, depth u16, branch pages, leaf pages, overflow pages, entries, root (u64 each)
//! ```
//!
//! Transaction `n` writes meta page `n % 2`; the newer one counts.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::{Damage, page};

const MAGIC: u32 = 0xbeef_c0de;
const VERSION: u32 = 1;
const TREE_BYTES: usize = 48;
const META_BYTES: usize = page::HEADER_BYTES + 24 + 2 * TREE_BYTES + 16;

/// What a meta page says.
#[derive(Debug)]
pub(super) struct Meta {
    pub(super) page_bytes: usize,
    pub(super) free: Tree,
    pub(super) main: Tree,
    pub(super) last_page: u64,
    pub(super) transaction: u64,
}

/// LMDB's record of a tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// How keys and values are to be understood.
    pub(super) flags: u16,
    pub(super) depth: u16,
    pub(super) branch_pages: u64,
    pub(super) leaf_pages: u64,
    pub(super) overflow_pages: u64,
    pub(super) entries: u64,
    pub(super) root: u64,
}

/// One of the last two transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Age {
    Newest,
    /// What LMDB goes back to when it is asked to.
    Previous,
}

impl Meta {
    /// The newer of the two, or the older. Both must be there, as LMDB demands.
    pub(super) fn read(file: &File, age: Age) -> Result<Self, Damage> {
        let first = Self::read_at(file, 0)?;
        let second = Self::read_at(file, first.page_bytes as u64)?;
        if first.page_bytes != second.page_bytes {
            return Err(Damage::NotLmdb);
        }
        let second_is_newer = second.transaction > first.transaction;
        Ok(if second_is_newer == (age == Age::Newest) {
            second
        } else {
            first
        })
    }

    fn read_at(file: &File, offset: u64) -> Result<Self, Damage> {
        let mut bytes = [0; META_BYTES];
        file.read_exact_at(&mut bytes, offset)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => Damage::NotLmdb,
                _ => error.into(),
            })?;
        Self::parse(&bytes).ok_or(Damage::NotLmdb)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, bytes) = bytes.split_at_checked(page::HEADER_BYTES)?;
        let is_meta = page::flags(header) & page::META != 0;
        let (magic, version) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?);
        let trees = bytes.get(24..)?;
        let (free, rest) = trees.split_at_checked(TREE_BYTES)?;
        let (main, rest) = rest.split_at_checked(TREE_BYTES)?;
        let page_bytes = u32_at(free, 0)? as usize;
        // LMDB's limits: offsets within a page have 16 bits.
        let is_page_size = page_bytes.is_power_of_two() && (256..=32_768).contains(&page_bytes);
        let meta = Self {
            page_bytes,
            free: Tree::parse(free)?,
            main: Tree::parse(main)?,
            last_page: u64_at(rest, 0)?,
            transaction: u64_at(rest, 8)?,
        };
        (is_meta && magic == MAGIC && version == VERSION && is_page_size).then_some(meta)
    }
}

impl Tree {
    /// Of a tree whose keys are plain bytes.
    pub(super) const PLAIN: u16 = 0;
    /// Of a tree whose keys are numbers in the machine's byte order.
    pub(super) const INTEGER_KEYS: u16 = 0x08;

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != TREE_BYTES {
            return None;
        }
        Some(Self {
            flags: u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?),
            depth: u16::from_ne_bytes(*bytes.get(6..)?.first_chunk()?),
            branch_pages: u64_at(bytes, 8)?,
            leaf_pages: u64_at(bytes, 16)?,
            overflow_pages: u64_at(bytes, 24)?,
            entries: u64_at(bytes, 32)?,
            root: u64_at(bytes, 40)?,
        })
    }

    /// All pages of the tree, as its counters say.
    pub(super) fn pages(&self) -> u64 {
        let nodes = self.branch_pages.saturating_add(self.leaf_pages);
        nodes.saturating_add(self.overflow_pages)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
