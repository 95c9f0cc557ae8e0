//! The state stream to the byte, version 1. All numbers are little endian.
//!
//! ```text
//! stream:   "ferrodST", 8 bytes | version, 2 bytes | chunks: one header, any number of rows, one trailer
//!
//! chunk:    kind        1   1 header, 2 rows, 3 trailer
//!           length      4   of the payload
//!           digest      4   of all rows before this chunk
//!           payload
//!           checksum    4   CRC-32C of everything in the chunk before it
//!
//! header:   index       8   of the last log entry in the state
//!           term        8   of that entry
//!           revision    8   the state's current main revision
//!           rows        8   that came before this stream, which then goes on with a broken one; 0 at the beginning
//!           bytes       8   that they took in the payloads of their chunks
//!           context         the rest: opaque, for whoever carries the stream
//!
//! rows:     one or more of
//!           bucket      1   its place in `BUCKETS`
//!           key length  2
//!           value len.  4
//!           key
//!           value
//!
//! trailer:  rows        8   in the whole state
//!           bytes       8   that they took in the payloads of their chunks
//! ```
//!
//! The rows come in the order of `BUCKETS` and of their keys, each once; the bucket of keys is last, so that a stream can go
//! on from a revision. The digest is the CRC-32C of the payloads of all chunks of rows, one after the other. So a chunk that is
//! lost, doubled or out of its place is found at once, and a state that ends early is found by its trailer, or by its lack.

use bytes::{Buf, BufMut, Bytes};
use ferrod_mvcc::Bucket;

use crate::Error;

pub(super) const MAGIC: &[u8; 8] = b"ferrodST";
pub(super) const VERSION: u16 = 1;
pub(super) const PREAMBLE_BYTES: usize = MAGIC.len() + 2;

/// Before a chunk's payload, and behind it.
pub(super) const CHUNK_HEAD_BYTES: usize = 1 + 4 + 4;
pub(super) const CHECKSUM_BYTES: usize = 4;
const ROW_HEAD_BYTES: usize = 1 + 2 + 4;

/// What the stream calls a bucket is its place here.
const BUCKETS: [Bucket; 10] = [
    Bucket::Meta,
    Bucket::Lease,
    Bucket::Alarm,
    Bucket::Cluster,
    Bucket::Members,
    Bucket::MembersRemoved,
    Bucket::Auth,
    Bucket::AuthUsers,
    Bucket::AuthRoles,
    Bucket::Key,
];

/// The place of a bucket in the stream.
pub(super) fn bucket_place(bucket: Bucket) -> u8 {
    let place = BUCKETS.iter().position(|other| *other == bucket);
    place.expect("every bucket has a place") as u8
}

/// Which state a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Index of the last log entry in the state.
    pub applied_index: u64,
    /// Term of that entry.
    pub applied_term: u64,
    /// The state's current main revision.
    pub revision: i64,
    /// Opaque, for whoever carries the stream.
    pub context: Bytes,
}

/// How much a state is, or how much of it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows of all buckets.
    pub rows: u64,
    /// Bytes that they take in the stream, without what surrounds them.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkKind {
    Header = 1,
    Rows = 2,
    Trailer = 3,
}

impl ChunkKind {
    pub(super) fn from_byte(byte: u8) -> Option<ChunkKind> {
        [ChunkKind::Header, ChunkKind::Rows, ChunkKind::Trailer]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What a chunk of rows may weigh before it is closed; one row may make it longer.
pub(super) const ROWS_BYTES: usize = 256 << 10;

/// A chunk on its way out: the payload is written behind the head.
pub(super) fn begin_chunk(kind: ChunkKind, digest: u32, chunk: &mut Vec<u8>) -> usize {
    let start = chunk.len();
    chunk.put_u8(kind as u8);
    chunk.put_u32_le(0);
    chunk.put_u32_le(digest);
    start
}

/// Puts the length into the head of the chunk that begins at `start`, and the checksum behind it.
pub(super) fn end_chunk(start: usize, chunk: &mut Vec<u8>) {
    let length = chunk.len() - start - CHUNK_HEAD_BYTES;
    let length = u32::try_from(length).expect("rows are far below 4 GiB");
    chunk[start + 1..start + 5].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32c::crc32c(&chunk[start..]);
    chunk.put_u32_le(checksum);
}

pub(super) fn put_header(header: &Header, before: Totals, chunk: &mut Vec<u8>) {
    chunk.put_u64_le(header.applied_index);
    chunk.put_u64_le(header.applied_term);
    chunk.put_i64_le(header.revision);
    put_totals(before, chunk);
    chunk.put_slice(&header.context);
}

pub(super) fn get_header(mut payload: Bytes) -> Result<(Header, Totals), Error> {
    if payload.len() < 3 * 8 + TOTALS_BYTES {
        return Err(Error::corrupt("header is too short"));
    }
    let (applied_index, applied_term) = (payload.get_u64_le(), payload.get_u64_le());
    let revision = payload.get_i64_le();
    let before = get_totals(payload.split_to(TOTALS_BYTES))?;
    let header = Header {
        applied_index,
        applied_term,
        revision,
        context: payload,
    };
    Ok((header, before))
}

const TOTALS_BYTES: usize = 16;

pub(super) fn put_totals(totals: Totals, chunk: &mut Vec<u8>) {
    chunk.put_u64_le(totals.rows);
    chunk.put_u64_le(totals.bytes);
}

pub(super) fn get_totals(mut payload: Bytes) -> Result<Totals, Error> {
    if payload.len() != TOTALS_BYTES {
        return Err(Error::corrupt("totals are not 16 bytes"));
    }
    Ok(Totals {
        rows: payload.get_u64_le(),
        bytes: payload.get_u64_le(),
    })
}

/// Adds a row. Keys are those of a backend, at most 511 bytes.
pub(super) fn put_row(bucket: Bucket, key: &[u8], value: &[u8], chunk: &mut Vec<u8>) {
    chunk.put_u8(bucket_place(bucket));
    chunk.put_u16_le(u16::try_from(key.len()).expect("a row's key has at most 511 bytes"));
    chunk.put_u32_le(u32::try_from(value.len()).expect("a row is far below 4 GiB"));
    chunk.put_slice(key);
    chunk.put_slice(value);
}

/// Takes the first row off; key and value share the memory of the payload.
pub(super) fn take_row(payload: &mut Bytes) -> Result<(Bucket, Bytes, Bytes), Error> {
    let short = || Error::corrupt("row is cut off");
    if payload.len() < ROW_HEAD_BYTES {
        return Err(short());
    }
    let bucket = BUCKETS
        .get(usize::from(payload.get_u8()))
        .ok_or(Error::corrupt("unknown bucket"))?;
    let (key_len, value_len) = (payload.get_u16_le(), payload.get_u32_le());
    let (key_len, value_len) = (usize::from(key_len), value_len as usize);
    if payload.len() < key_len || payload.len() - key_len < value_len {
        return Err(short());
    }
    Ok((
        *bucket,
        payload.split_to(key_len),
        payload.split_to(value_len),
    ))
}
