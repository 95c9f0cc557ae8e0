//! A segment's bytes as read, and what can be found in them.

use std::path::Path;

use bytes::Bytes;
use ferrod_env::{Disk, DiskFile, OpenMode};
use memchr::memmem;

use super::End;
use crate::chain::Chain;
use crate::error::io_error;
use crate::format::{BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, Marker};
use crate::{Error, Identity, SegmentSeq};

/// A segment's bytes.
pub(crate) struct Image {
    pub(crate) seq: SegmentSeq,
    pub(crate) bytes: Bytes,
}

/// What lies behind the end of the good batches of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Something of this segment was written there.
    pub(crate) begun: bool,
    /// A batch there says that the first bad one was synced.
    pub(crate) synced: bool,
}

impl Image {
    pub(crate) fn read(disk: &dyn Disk, dir: &Path, seq: SegmentSeq) -> Result<Self, Error> {
        let path = dir.join(seq.file_name());
        let file = disk
            .open(&path, OpenMode::Read)
            .map_err(io_error("open", &path))?;
        // After a failed sync the page cache may show bytes that never reached the disk.
        file.drop_cache()
            .map_err(io_error("drop the cache of", &path))?;
        Self::of_file(&*file, &path, seq)
    }

    /// As [`Image::read`], for a segment that this process writes: its cache is right.
    pub(crate) fn peek(disk: &dyn Disk, dir: &Path, seq: SegmentSeq) -> Result<Self, Error> {
        let path = dir.join(seq.file_name());
        let file = disk
            .open(&path, OpenMode::Read)
            .map_err(io_error("open", &path))?;
        Self::of_file(&*file, &path, seq)
    }

    fn of_file(file: &dyn DiskFile, path: &Path, seq: SegmentSeq) -> Result<Self, Error> {
        let len = file.len().map_err(io_error("measure", path))?;
        let mut bytes = vec![0; len as usize];
        let read = file
            .read_full_at(&mut bytes, 0)
            .map_err(io_error("read", path))?;
        bytes.truncate(read);
        Ok(Self {
            seq,
            bytes: bytes.into(),
        })
    }

    /// Returns the header of the batch at `end`, if it is whole and continues the log.
    pub(crate) fn batch(&self, end: &End) -> Option<BatchHeader> {
        let rest = self.bytes.get(end.offset as usize..)?;
        let header = BatchHeader::decode(end.header.prev, rest)?;
        let continues = header.segment == self.seq
            && header.batch == end.batch + 1
            && header.prev == end.chain
            && header.synced <= end.batch;
        let whole = rest.get(..usize::try_from(header.batch_len()).ok()?)?;
        (continues && header.matches(whole)).then_some(header)
    }

    /// Returns the records of the batch in `[low, high)`.
    pub(crate) fn body(&self, low: u64, high: u64) -> Bytes {
        self.bytes
            .slice(low as usize + BATCH_HEADER_BYTES..high as usize)
    }

    /// Returns the newest marker and its slot.
    pub(crate) fn marker(&self, identity: Identity) -> Option<(Marker, usize)> {
        Marker::newest(identity, self.seq, &self.bytes)
    }

    /// Returns where the last byte that is not zero ends.
    pub(crate) fn data_end(&self) -> u64 {
        const CHUNK: usize = 4096;
        let is_zero = |chunk: &[u8]| chunk.iter().fold(0, |any, byte| any | byte) == 0;
        let mut end = self.bytes.len();
        // By chunks first: the tail of a fresh segment is millions of zeros.
        while end >= CHUNK && is_zero(&self.bytes[end - CHUNK..end]) {
            end -= CHUNK;
        }
        let last = self.bytes[..end].iter().rposition(|&byte| byte != 0);
        last.map_or(0, |at| at as u64 + 1)
    }

    /// Looks for batch headers from `offset` on, where a good batch `next` would be.
    ///
    /// A header has a checksum of its own, so what a whole one says counts even if its body is torn.
    /// The body behind it is skipped: it may hold anything, a copy of a log included.
    pub(crate) fn behind(&self, offset: usize, salt: Chain, next: u64) -> Behind {
        let finder = memmem::Finder::new(BATCH_MAGIC);
        let mut begun = false;
        let mut at = offset.min(self.bytes.len());
        while let Some(found) = finder.find(&self.bytes[at..]) {
            at += found;
            let header = BatchHeader::decode(salt, &self.bytes[at..]);
            let step = match header.filter(|header| header.segment == self.seq) {
                Some(header) if header.synced >= next => {
                    return Behind {
                        begun: true,
                        synced: true,
                    };
                }
                Some(header) => {
                    begun = true;
                    header.batch_len() as usize
                }
                None => 1,
            };
            at = (at + step).min(self.bytes.len());
        }
        Behind {
            begun,
            synced: false,
        }
    }
}
