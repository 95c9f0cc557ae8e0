//! The segment that is being written.

use std::path::PathBuf;
use std::sync::Arc;

use ferrod_env::DiskFile;

use crate::chain::Chain;
use crate::error::io_error;
use crate::format::{DATA_OFFSET, MARKER_OFFSETS, Marker, SegmentHeader};
use crate::{Error, SegmentSeq};

/// A segment file that nothing was written to yet.
pub(crate) struct Prepared {
    pub(crate) seq: SegmentSeq,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) len: u64,
    pub(crate) reused: bool,
}

/// The segment that is being written. Knows where, not what.
pub(crate) struct Segment {
    pub(crate) seq: SegmentSeq,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) len: u64,
    /// Where the next batch goes.
    pub(crate) offset: u64,
    /// The chain value the segment starts from; salts its batch headers.
    pub(crate) salt: Chain,
    /// The marker slot to write next: never the one with the newest durable marker.
    pub(crate) slot: usize,
}

impl Segment {
    /// Writes a prepared segment's header. Not synced: the first batch's sync covers it.
    pub(crate) fn start(prepared: Prepared, header: &SegmentHeader) -> Result<Self, Error> {
        let mut head = vec![0; DATA_OFFSET as usize];
        let encoded = header.encode();
        head[..encoded.len()].copy_from_slice(&encoded);
        let segment = Self {
            seq: prepared.seq,
            path: prepared.path,
            file: prepared.file,
            len: prepared.len,
            offset: DATA_OFFSET,
            salt: header.prev,
            slot: 0,
        };
        let written = segment.file.write_all_at(&head, 0);
        written.map_err(io_error("write", &segment.path))?;
        Ok(segment)
    }

    /// Whether `bytes` more fit.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.len - self.offset >= bytes
    }

    /// Writes a batch that fits.
    pub(crate) fn write(&mut self, batch: &[u8]) -> Result<(), Error> {
        assert!(self.fits(batch.len() as u64), "a segment never grows");
        let written = self.file.write_all_at(batch, self.offset);
        written.map_err(io_error("write", &self.path))?;
        self.offset += batch.len() as u64;
        Ok(())
    }

    /// Makes everything written so far durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(io_error("sync", &self.path))
    }

    /// Returns where the next marker goes; the one after goes to the other slot.
    pub(crate) fn next_slot(&mut self) -> u64 {
        let offset = MARKER_OFFSETS[self.slot];
        self.slot ^= 1;
        offset
    }

    /// Writes a marker; the next sync makes it durable.
    pub(crate) fn mark(&mut self, marker: &[u8]) -> Result<(), Error> {
        let offset = self.next_slot();
        let written = self.file.write_all_at(marker, offset);
        written.map_err(io_error("write", &self.path))
    }

    /// The marker for a last batch with this sequence and chain value.
    pub(crate) fn marker(&self, batch: u64, chain: Chain, succeeded: bool) -> Marker {
        Marker {
            succeeded,
            batch,
            end: self.offset,
            chain,
        }
    }
}
