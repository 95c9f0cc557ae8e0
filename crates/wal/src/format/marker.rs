//! The proof that a batch was synced.

use super::{MARKER_OFFSETS, u32_at, u64_at};
use crate::chain::Chain;
use crate::{Identity, SegmentSeq};

pub(crate) const MARKER_BYTES: usize = 32;
const MAGIC: &[u8; 4] = b"FMk1";
const FLAG_SUCCEEDED: u32 = 1;

/// The proof that a batch, and all before it, was synced. Present and batch bad means damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    /// The next segment is in use: if it is gone, it was lost.
    pub(crate) succeeded: bool,
    pub(crate) batch: u64,
    pub(crate) end: u64,
    pub(crate) chain: Chain,
}

impl Marker {
    pub(crate) fn encode(&self, identity: Identity, segment: SegmentSeq) -> [u8; MARKER_BYTES] {
        let mut out = [0; MARKER_BYTES];
        out[0..4].copy_from_slice(MAGIC);
        out[4..8].copy_from_slice(&u32::from(self.succeeded).to_le_bytes());
        out[8..16].copy_from_slice(&self.batch.to_le_bytes());
        out[16..24].copy_from_slice(&self.end.to_le_bytes());
        out[24..28].copy_from_slice(&self.chain.0.to_le_bytes());
        let sum = salt(identity, segment).over(&out[..28]);
        out[28..32].copy_from_slice(&sum.0.to_le_bytes());
        out
    }

    fn decode(identity: Identity, segment: SegmentSeq, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..MARKER_BYTES)?;
        let sum = salt(identity, segment).over(&bytes[..28]);
        if &bytes[0..4] != MAGIC || sum.0 != u32_at(bytes, 28) {
            return None;
        }
        Some(Self {
            succeeded: u32_at(bytes, 4) & FLAG_SUCCEEDED != 0,
            batch: u64_at(bytes, 8),
            end: u64_at(bytes, 16),
            chain: Chain(u32_at(bytes, 24)),
        })
    }

    /// Returns the newer of the two markers of a segment and the slot it is in. A torn or damaged one
    /// leaves the other.
    pub(crate) fn newest(
        identity: Identity,
        segment: SegmentSeq,
        file: &[u8],
    ) -> Option<(Self, usize)> {
        let slots = MARKER_OFFSETS.iter().enumerate();
        slots
            .filter_map(|(slot, &offset)| {
                let bytes = file.get(offset as usize..)?;
                Some((Self::decode(identity, segment, bytes)?, slot))
            })
            .max_by_key(|(marker, _)| (marker.batch, marker.succeeded))
    }
}

/// A marker copied from another file proves nothing here.
fn salt(identity: Identity, segment: SegmentSeq) -> Chain {
    Chain(0)
        .over(&identity.cluster.to_le_bytes())
        .over(&identity.member.to_le_bytes())
        .over(&segment.0.to_le_bytes())
}
