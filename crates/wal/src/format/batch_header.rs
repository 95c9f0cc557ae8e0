//! What precedes the records of a batch.

use super::{u32_at, u64_at};
use crate::SegmentSeq;
use crate::chain::Chain;

pub(crate) const BATCH_HEADER_BYTES: usize = 48;
pub(crate) const BATCH_MAGIC: &[u8; 4] = b"FBt1";

/// What precedes the records of a batch. Its own checksum covers the length, so that a damaged length
/// is never followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) body_len: u32,
    pub(crate) batch: u64,
    pub(crate) segment: SegmentSeq,
    pub(crate) synced: u64,
    pub(crate) records: u32,
    pub(crate) prev: Chain,
    pub(crate) chain: Chain,
}

impl BatchHeader {
    /// Fills in the first bytes of `batch`, whose body is complete; `self.chain` is ignored. `salt`
    /// is the chain value that the segment starts from. Returns the new chain value.
    pub(crate) fn seal(&self, salt: Chain, batch: &mut [u8]) -> Chain {
        batch[0..4].copy_from_slice(BATCH_MAGIC);
        batch[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        batch[8..16].copy_from_slice(&self.batch.to_le_bytes());
        batch[16..24].copy_from_slice(&self.segment.0.to_le_bytes());
        batch[24..32].copy_from_slice(&self.synced.to_le_bytes());
        batch[32..36].copy_from_slice(&self.records.to_le_bytes());
        batch[36..40].copy_from_slice(&self.prev.0.to_le_bytes());
        let chain = link(self.prev, batch);
        batch[40..44].copy_from_slice(&chain.0.to_le_bytes());
        let sum = salt.over(&batch[..44]);
        batch[44..48].copy_from_slice(&sum.0.to_le_bytes());
        chain
    }

    /// Reads a header; `None` unless it is whole and its checksum holds. The body is not looked at.
    pub(crate) fn decode(salt: Chain, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..BATCH_HEADER_BYTES)?;
        if &bytes[0..4] != BATCH_MAGIC || salt.over(&bytes[..44]).0 != u32_at(bytes, 44) {
            return None;
        }
        Some(Self {
            body_len: u32_at(bytes, 4),
            batch: u64_at(bytes, 8),
            segment: SegmentSeq(u64_at(bytes, 16)),
            synced: u64_at(bytes, 24),
            records: u32_at(bytes, 32),
            prev: Chain(u32_at(bytes, 36)),
            chain: Chain(u32_at(bytes, 40)),
        })
    }

    /// Length of the batch, header included.
    pub(crate) fn batch_len(&self) -> u64 {
        BATCH_HEADER_BYTES as u64 + u64::from(self.body_len)
    }

    /// Whether the batch that this header precedes is whole.
    pub(crate) fn matches(&self, batch: &[u8]) -> bool {
        link(self.prev, batch) == self.chain
    }
}

fn link(prev: Chain, batch: &[u8]) -> Chain {
    prev.over(&batch[..40]).over(&batch[BATCH_HEADER_BYTES..])
}
