//! From bytes, however they are cut, to rows.

use bytes::{Buf as _, Bytes, BytesMut};
use ferrod_mvcc::{Bucket, RecordKey};

use super::Position;
use super::format::{
    self, CHECKSUM_BYTES, CHUNK_HEAD_BYTES, ChunkKind, Header, MAGIC, PREAMBLE_BYTES, Totals,
    VERSION, bucket_place,
};
use crate::Error;

/// Reads a state stream. After an error nothing more can be had from it.
///
/// Keeps one chunk in memory at most, beside what the last [`Decoder::push`] brought.
#[derive(Debug)]
pub struct Decoder {
    chunk_bytes_max: usize,
    buffer: BytesMut,
    expected: Expected,
    header: Option<Header>,
    come: Totals,
    digest: u32,
    /// Place of the bucket and key of the last row.
    last: Option<(u8, Bytes)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Preamble,
    Header,
    Rows,
    Nothing,
}

/// A part of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The first one: which state it is.
    Header(Header),
    /// Rows of one chunk, at least one.
    Rows(Vec<Row>),
    /// The last one: everything is there and agrees with the sender's totals.
    End(Totals),
}

/// A row of a bucket. Key and value share memory with the other rows of their chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The bucket.
    pub bucket: Bucket,
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

impl Decoder {
    /// A decoder that refuses chunks whose payload is longer than `chunk_bytes_max`. A chunk has about 256 KiB, or the length
    /// of the one row in it.
    pub fn new(chunk_bytes_max: usize) -> Decoder {
        Decoder {
            chunk_bytes_max,
            buffer: BytesMut::new(),
            expected: Expected::Preamble,
            header: None,
            come: Totals::default(),
            digest: 0,
            last: None,
        }
    }

    /// Adds bytes of the stream. Take the items out before more are added.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next part of the stream, `None` if more bytes are needed for it.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`], [`Error::Corrupt`], [`Error::TooLong`].
    pub fn next_item(&mut self) -> Result<Option<Item>, Error> {
        if self.expected == Expected::Preamble {
            if self.buffer.len() < PREAMBLE_BYTES {
                return Ok(None);
            }
            let preamble = self.buffer.split_to(PREAMBLE_BYTES);
            if preamble[..MAGIC.len()] != *MAGIC || preamble[MAGIC.len()..] != VERSION.to_le_bytes()
            {
                return Err(Error::UnknownFormat { known: VERSION });
            }
            self.expected = Expected::Header;
        }
        let Some((kind, payload)) = self.take_chunk()? else {
            return Ok(None);
        };
        let item = match (self.expected, kind) {
            (Expected::Header, ChunkKind::Header) => self.on_header(payload)?,
            (Expected::Rows, ChunkKind::Rows) => self.on_rows(payload)?,
            (Expected::Rows, ChunkKind::Trailer) => self.on_trailer(payload)?,
            _ => return Err(Error::corrupt("chunk is out of its place")),
        };
        Ok(Some(item))
    }

    /// Whether the whole state has come.
    pub fn is_complete(&self) -> bool {
        self.expected == Expected::Nothing && self.buffer.is_empty()
    }

    /// Which state it is, once that has come.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// How much has come.
    pub fn come(&self) -> Totals {
        self.come
    }

    /// Gets ready for the stream to go on from elsewhere, and says from where; `None` is from its beginning, with all rows
    /// again.
    pub fn restart(&mut self) -> Option<Position> {
        let position = self.position();
        if position.is_none() {
            *self = Decoder::new(self.chunk_bytes_max);
        }
        self.buffer.clear();
        self.expected = Expected::Preamble;
        position
    }

    fn position(&self) -> Option<Position> {
        let (bucket, key) = self.last.as_ref()?;
        if *bucket != bucket_place(Bucket::Key) {
            return None;
        }
        Some(Position {
            last: RecordKey::decode(key).ok()?,
            digest: self.digest,
            before: self.come,
        })
    }

    fn take_chunk(&mut self) -> Result<Option<(ChunkKind, Bytes)>, Error> {
        if self.expected == Expected::Nothing && !self.buffer.is_empty() {
            return Err(Error::corrupt("bytes behind the end"));
        }
        let Some(head) = self.buffer.first_chunk::<CHUNK_HEAD_BYTES>() else {
            return Ok(None);
        };
        let [kind, length @ .., _, _, _, _] = *head;
        let length = u32::from_le_bytes(length);
        if length as usize > self.chunk_bytes_max {
            return Err(Error::TooLong {
                length: length.into(),
                max: self.chunk_bytes_max,
            });
        }
        let whole = CHUNK_HEAD_BYTES + length as usize + CHECKSUM_BYTES;
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let mut chunk = self.buffer.split_to(whole).freeze();
        let mut checksum = chunk.split_off(whole - CHECKSUM_BYTES);
        if checksum.get_u32_le() != crc32c::crc32c(&chunk) {
            return Err(Error::corrupt("checksum of a chunk does not match"));
        }
        let payload = chunk.split_off(CHUNK_HEAD_BYTES);
        chunk.advance(5);
        if chunk.get_u32_le() != self.digest {
            return Err(Error::corrupt("chunk does not follow the one before"));
        }
        let kind = ChunkKind::from_byte(kind).ok_or(Error::corrupt("unknown kind of chunk"))?;
        Ok(Some((kind, payload)))
    }

    fn on_header(&mut self, payload: Bytes) -> Result<Item, Error> {
        let (header, before) = format::get_header(payload)?;
        let same_state = |old: &Header| {
            (old.applied_index, old.applied_term, old.revision)
                == (header.applied_index, header.applied_term, header.revision)
        };
        if before != self.come || !self.header.as_ref().is_none_or(same_state) {
            return Err(Error::corrupt("stream goes on with something else"));
        }
        self.header = Some(header.clone());
        self.expected = Expected::Rows;
        Ok(Item::Header(header))
    }

    fn on_rows(&mut self, mut payload: Bytes) -> Result<Item, Error> {
        let digest = crc32c::crc32c_append(self.digest, &payload);
        let bytes = payload.len() as u64;
        let mut rows = Vec::new();
        while !payload.is_empty() {
            let (bucket, key, value) = format::take_row(&mut payload)?;
            let place = (bucket_place(bucket), key.clone());
            if self.last.as_ref().is_some_and(|last| *last >= place) {
                return Err(Error::corrupt("rows are not in their order"));
            }
            self.last = Some(place);
            rows.push(Row { bucket, key, value });
        }
        if rows.is_empty() {
            return Err(Error::corrupt("chunk without rows"));
        }
        // The last key is kept for long, and must not keep its whole chunk.
        if let Some((_, key)) = &mut self.last {
            *key = Bytes::copy_from_slice(key);
        }
        self.digest = digest;
        self.come.rows += rows.len() as u64;
        self.come.bytes += bytes;
        Ok(Item::Rows(rows))
    }

    fn on_trailer(&mut self, payload: Bytes) -> Result<Item, Error> {
        let totals = format::get_totals(payload)?;
        if totals != self.come {
            return Err(Error::corrupt("totals do not match"));
        }
        self.expected = Expected::Nothing;
        Ok(Item::End(totals))
    }
}
