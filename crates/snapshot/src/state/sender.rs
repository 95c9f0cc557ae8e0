//! From an export to chunks of bytes.

use bytes::{BufMut as _, Bytes};
use ferrod_mvcc::{Bucket, Export};

use super::Position;
use super::format::{
    self, CHUNK_HEAD_BYTES, ChunkKind, Header, MAGIC, ROWS_BYTES, Totals, VERSION, bucket_place,
};
use crate::Error;

/// The chunks of a state stream, in order. After an error or the last chunk there are no more.
///
/// Each has about 256 KiB, or the length of a row if that is more. Nothing is read ahead, so whoever takes the chunks sets
/// the pace; the export is held until the sender is dropped.
#[derive(Debug)]
pub struct Sender {
    export: Export,
    header: Header,
    /// In the stream's order of buckets.
    small_rows: Vec<(Bucket, Bytes, Bytes)>,
    stage: Stage,
    sent: Totals,
    digest: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    /// The rows of the other buckets, from this one on.
    SmallRows(usize),
    Keys,
    Trailer,
    Done,
}

impl Sender {
    /// The whole state. The receiver finds `context` in the header.
    pub fn new(export: Export, context: Bytes) -> Sender {
        let head = export.head();
        let header = Header {
            applied_index: head.applied_index,
            applied_term: head.applied_term,
            revision: head.revision,
            context,
        };
        let mut small_rows = head.small_rows.clone();
        small_rows.sort_by_key(|(bucket, ..)| bucket_place(*bucket));
        Sender {
            export,
            header,
            small_rows,
            stage: Stage::Header,
            sent: Totals::default(),
            digest: 0,
        }
    }

    /// What is left of the same state behind `position`, or all of it without one.
    pub fn restart(&mut self, position: Option<Position>) {
        self.stage = Stage::Header;
        self.sent = position.map_or_else(Totals::default, |position| position.before);
        self.digest = position.map_or(0, |position| position.digest);
        self.export.seek(position.map(|position| position.last));
    }

    /// Which state this is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How much has gone out, and before this stream.
    pub fn sent(&self) -> Totals {
        self.sent
    }

    fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let chunk = match self.stage {
                Stage::Header => Some(self.header_chunk()),
                Stage::SmallRows(next) => self.small_rows_chunk(next),
                Stage::Keys => self.keys_chunk()?,
                Stage::Trailer => Some(self.trailer_chunk()),
                Stage::Done => return Ok(None),
            };
            if let Some(chunk) = chunk {
                return Ok(Some(chunk.into()));
            }
        }
    }

    fn header_chunk(&mut self) -> Vec<u8> {
        let mut chunk = Vec::new();
        chunk.put_slice(MAGIC);
        chunk.put_u16_le(VERSION);
        let start = format::begin_chunk(ChunkKind::Header, self.digest, &mut chunk);
        format::put_header(&self.header, self.sent, &mut chunk);
        format::end_chunk(start, &mut chunk);
        self.stage = if self.sent == Totals::default() {
            Stage::SmallRows(0)
        } else {
            Stage::Keys
        };
        chunk
    }

    fn small_rows_chunk(&mut self, next: usize) -> Option<Vec<u8>> {
        let mut chunk = Vec::new();
        format::begin_chunk(ChunkKind::Rows, self.digest, &mut chunk);
        let mut taken = 0;
        for (bucket, key, value) in &self.small_rows[next..] {
            if chunk.len() >= ROWS_BYTES {
                break;
            }
            format::put_row(*bucket, key, value, &mut chunk);
            taken += 1;
        }
        self.stage = if next + taken == self.small_rows.len() {
            Stage::Keys
        } else {
            Stage::SmallRows(next + taken)
        };
        self.end_rows(chunk, taken as u64)
    }

    fn keys_chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut chunk = Vec::with_capacity(ROWS_BYTES + 4096);
        format::begin_chunk(ChunkKind::Rows, self.digest, &mut chunk);
        let mut rows = 0;
        let more = self.export.step(ROWS_BYTES, &mut |key, value| {
            format::put_row(Bucket::Key, key, value, &mut chunk);
            rows += 1;
        })?;
        if !more {
            self.stage = Stage::Trailer;
        }
        Ok(self.end_rows(chunk, rows))
    }

    /// Closes a chunk of rows; one without rows is none.
    fn end_rows(&mut self, mut chunk: Vec<u8>, rows: u64) -> Option<Vec<u8>> {
        let payload = &chunk[CHUNK_HEAD_BYTES..];
        if payload.is_empty() {
            return None;
        }
        self.sent.rows += rows;
        self.sent.bytes += payload.len() as u64;
        self.digest = crc32c::crc32c_append(self.digest, payload);
        format::end_chunk(0, &mut chunk);
        Some(chunk)
    }

    fn trailer_chunk(&mut self) -> Vec<u8> {
        let mut chunk = Vec::new();
        format::begin_chunk(ChunkKind::Trailer, self.digest, &mut chunk);
        format::put_totals(self.sent, &mut chunk);
        format::end_chunk(0, &mut chunk);
        self.stage = Stage::Done;
        chunk
    }
}

impl Iterator for Sender {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.chunk();
        if chunk.is_err() {
            self.stage = Stage::Done;
        }
        chunk.transpose()
    }
}
