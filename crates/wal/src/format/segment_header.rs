//! The first bytes of a segment.

use super::{DATA_OFFSET, VERSION, u32_at, u64_at};
use crate::chain::Chain;
use crate::{Identity, SegmentSeq};

pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"FERRODWL";
const FLAG_REUSED: u32 = 1;

/// Who a segment belongs to and what it continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) reused: bool,
    pub(crate) identity: Identity,
    pub(crate) seq: SegmentSeq,
    pub(crate) first_batch: u64,
    pub(crate) file_len: u64,
    pub(crate) prev: Chain,
}

/// Why bytes are not a segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Never written, torn or damaged.
    Invalid,
    /// Written by another version.
    Version(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[0..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&u32::from(self.reused).to_le_bytes());
        out[16..24].copy_from_slice(&self.identity.cluster.to_le_bytes());
        out[24..32].copy_from_slice(&self.identity.member.to_le_bytes());
        out[32..40].copy_from_slice(&self.seq.0.to_le_bytes());
        out[40..48].copy_from_slice(&self.first_batch.to_le_bytes());
        out[48..56].copy_from_slice(&self.file_len.to_le_bytes());
        out[56..60].copy_from_slice(&self.prev.0.to_le_bytes());
        let sum = crc32c::crc32c(&out[..60]);
        out[60..64].copy_from_slice(&sum.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else {
            return Err(HeaderFault::Invalid);
        };
        if &bytes[0..8] != MAGIC {
            return Err(HeaderFault::Invalid);
        }
        // A write torn after the magic leaves a zero here.
        if ![0, VERSION].contains(&u32_at(bytes, 8)) {
            return Err(other_version(bytes));
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(HeaderFault::Invalid);
        }
        let header = Self {
            reused: u32_at(bytes, 12) & FLAG_REUSED != 0,
            identity: Identity {
                cluster: u64_at(bytes, 16),
                member: u64_at(bytes, 24),
            },
            seq: SegmentSeq(u64_at(bytes, 32)),
            first_batch: u64_at(bytes, 40),
            file_len: u64_at(bytes, 48),
            prev: Chain(u32_at(bytes, 56)),
        };
        // Far beyond what any log reaches, and sums cannot overflow.
        let sane = (1..1 << 62).contains(&header.first_batch)
            && (DATA_OFFSET..1 << 62).contains(&header.file_len);
        if sane {
            Ok(header)
        } else {
            Err(HeaderFault::Invalid)
        }
    }

    /// The chain value that the log's first segment starts from.
    pub(crate) fn origin(identity: Identity) -> Chain {
        Chain(0)
            .over(&identity.cluster.to_le_bytes())
            .over(&identity.member.to_le_bytes())
    }
}

/// A flipped bit in the version field of our own format is damage, not another version.
fn other_version(bytes: &[u8]) -> HeaderFault {
    let mut ours = [0; 60];
    ours.copy_from_slice(&bytes[..60]);
    ours[8..12].copy_from_slice(&VERSION.to_le_bytes());
    if crc32c::crc32c(&ours) == u32_at(bytes, 60) {
        HeaderFault::Invalid
    } else {
        HeaderFault::Version(u32_at(bytes, 8))
    }
}
