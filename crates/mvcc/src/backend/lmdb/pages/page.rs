//! One page, as bytes that may be anything.
//!
//! ```text
//! number u64, pad u16, flags u16, lower u16, upper u16     for the first page of a large value: number of pages u32
//!                                                          in the place of lower and upper
//! offsets of nodes, u16 each, up to lower; free room; nodes from upper to the end of the page
//!
//! node: low u16, high u16, flags u16, key length u16, key, data
//!       in a leaf, low and high are the data's length; in a branch, low, high and flags are the child's number
//! ```

use super::Damage;

pub(super) const HEADER_BYTES: usize = 16;
const NODE_HEADER_BYTES: usize = 8;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
pub(super) const META: u16 = 0x08;

/// The node's data is the number of the first page of a large value.
pub(super) const NODE_IS_LARGE: u16 = 0x01;
/// The node's data is the record of a tree.
pub(super) const NODE_IS_TREE: u16 = 0x02;

pub(super) enum Kind {
    Branch,
    Leaf,
}

/// A page of a tree, or the first one of a large value.
pub(super) struct Page {
    pub(super) number: u64,
    bytes: Vec<u8>,
}

/// A row of a leaf.
pub(super) struct LeafNode<'p> {
    page: u64,
    pub(super) flags: u16,
    pub(super) key: &'p [u8],
    pub(super) data: &'p [u8],
    pub(super) data_len: usize,
}

impl Page {
    /// `bytes` is a whole page.
    pub(super) fn parse(number: u64, bytes: Vec<u8>) -> Result<Self, Damage> {
        let page = Self { number, bytes };
        let own_number = page
            .bytes
            .first_chunk()
            .map(|bytes| u64::from_ne_bytes(*bytes));
        if own_number != Some(number) {
            return Err(page.damage("has another page's number"));
        }
        Ok(page)
    }

    pub(super) fn kind(&self) -> Result<Kind, Damage> {
        let kind = match flags(&self.bytes) {
            BRANCH => Kind::Branch,
            LEAF => Kind::Leaf,
            _ => return Err(self.damage("is no page of a tree")),
        };
        let (lower, upper) = (self.u16_at(12), self.u16_at(14));
        let in_order = HEADER_BYTES < lower && lower <= upper && upper <= self.bytes.len();
        if !in_order || lower % 2 != 0 {
            return Err(self.damage("impossible bounds"));
        }
        Ok(kind)
    }

    /// The number of nodes. Only after [`Page::kind`].
    pub(super) fn len(&self) -> usize {
        (self.u16_at(12) - HEADER_BYTES) / 2
    }

    /// The pages of the large value that begins here.
    pub(super) fn overflow_pages(&self) -> Result<u64, Damage> {
        let pages = u32::from_ne_bytes([12, 13, 14, 15].map(|at| self.bytes[at]));
        if flags(&self.bytes) != OVERFLOW || pages == 0 {
            return Err(self.damage("is no page of a large value"));
        }
        Ok(u64::from(pages))
    }

    /// Key and child.
    pub(super) fn branch_node(&self, idx: usize) -> Result<(&[u8], u64), Damage> {
        let (node, key_len) = self.node(idx)?;
        let key = node.get(NODE_HEADER_BYTES..NODE_HEADER_BYTES + key_len);
        let word = |at: usize| u64::from(u16::from_ne_bytes([node[at], node[at + 1]]));
        let child = self.low_and_high(node) | word(4) << 32;
        Ok((key.ok_or_else(|| self.damage("key is cut"))?, child))
    }

    pub(super) fn leaf_node(&self, idx: usize) -> Result<LeafNode<'_>, Damage> {
        let (node, key_len) = self.node(idx)?;
        let flags = u16::from_ne_bytes([node[4], node[5]]);
        let data_len = self.low_and_high(node) as usize;
        let stored_len = if flags & NODE_IS_LARGE == 0 {
            data_len
        } else {
            size_of::<u64>()
        };
        let content = &node[NODE_HEADER_BYTES..];
        if key_len + stored_len > content.len() || flags & !(NODE_IS_LARGE | NODE_IS_TREE) != 0 {
            return Err(self.damage("row is cut"));
        }
        let (key, rest) = content.split_at(key_len);
        Ok(LeafNode {
            page: self.number,
            flags,
            key,
            data: &rest[..stored_len],
            data_len,
        })
    }

    /// A node with all that follows it, at least a header, and the length of its key.
    fn node(&self, idx: usize) -> Result<(&[u8], usize), Damage> {
        let offset = self.u16_at(HEADER_BYTES + 2 * idx);
        let node = self.bytes.get(offset..).filter(|node| {
            offset >= self.u16_at(14) && offset.is_multiple_of(2) && node.len() >= NODE_HEADER_BYTES
        });
        let node = node.ok_or_else(|| self.damage("node is out of place"))?;
        Ok((node, usize::from(u16::from_ne_bytes([node[6], node[7]]))))
    }

    fn low_and_high(&self, node: &[u8]) -> u64 {
        let [low, high] = [0, 2].map(|at| u64::from(u16::from_ne_bytes([node[at], node[at + 1]])));
        low | high << 16
    }

    /// `at` lies within the header or the offsets.
    fn u16_at(&self, at: usize) -> usize {
        usize::from(u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    fn damage(&self, reason: &'static str) -> Damage {
        Damage::Page {
            page: self.number,
            reason,
        }
    }
}

impl LeafNode<'_> {
    /// Where the value lies if not here.
    pub(super) fn overflow_page(&self) -> Option<Result<u64, Damage>> {
        (self.flags & NODE_IS_LARGE != 0).then(|| {
            let number = self
                .data
                .first_chunk()
                .map(|bytes| u64::from_ne_bytes(*bytes));
            number.ok_or(Damage::Page {
                page: self.page,
                reason: "row is cut",
            })
        })
    }
}

/// The kind of a page, without what only LMDB's memory needs.
pub(super) fn flags(header: &[u8]) -> u16 {
    u16::from_ne_bytes([header[10], header[11]])
}
