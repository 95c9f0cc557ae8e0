//! A row: the bytes of one `mvccpb.KeyValue`, written and read by hand.
//!
//! ```text
//! field 1 bytes  key              field 4 int64  version
//! field 2 int64  create_revision  field 5 bytes  value
//! field 3 int64  mod_revision     field 6 int64  lease
//! ```
//!
//! Fields are written in this order and left out when 0 or empty, byte for byte as etcd does, because hashes cover these
//! bytes. A tombstone has field 1 alone; a put always has field 2.

use bytes::{BufMut, Bytes, BytesMut};

const KEY: u8 = 1 << 3 | LENGTH;
const CREATE_REVISION: u8 = 2 << 3;
const MOD_REVISION: u8 = 3 << 3;
const VERSION: u8 = 4 << 3;
const VALUE: u8 = 5 << 3 | LENGTH;
const LEASE: u8 = 6 << 3;
/// Wire type of fields that carry their length.
const LENGTH: u8 = 2;

/// The six fields of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyValue<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Main revision that began the key's generation.
    pub create_revision: i64,
    /// Main revision of the latest change.
    pub mod_revision: i64,
    /// Puts since the generation began.
    pub version: i64,
    /// The value; may be empty.
    pub value: &'a [u8],
    /// The lease that the key is attached to, 0 for none.
    pub lease: i64,
}

impl<'a> KeyValue<'a> {
    /// Reads a row; `None` if the bytes are not a `KeyValue`. Unknown fields are skipped.
    pub fn decode(encoded: &'a [u8]) -> Option<Self> {
        let mut rest = encoded;
        let mut row = KeyValue::default();
        while !rest.is_empty() {
            let tag = read_varint(&mut rest)?;
            match u8::try_from(tag) {
                Ok(KEY) => row.key = read_bytes(&mut rest)?,
                Ok(CREATE_REVISION) => row.create_revision = read_int64(&mut rest)?,
                Ok(MOD_REVISION) => row.mod_revision = read_int64(&mut rest)?,
                Ok(VERSION) => row.version = read_int64(&mut rest)?,
                Ok(VALUE) => row.value = read_bytes(&mut rest)?,
                Ok(LEASE) => row.lease = read_int64(&mut rest)?,
                _ => skip_field(tag, &mut rest)?,
            }
        }
        Some(row)
    }

    /// How many bytes [`KeyValue::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        bytes_len(self.key)
            + int64_len(self.create_revision)
            + int64_len(self.mod_revision)
            + int64_len(self.version)
            + bytes_len(self.value)
            + int64_len(self.lease)
    }

    /// Appends the row.
    pub fn encode(&self, out: &mut impl BufMut) {
        put_bytes(out, KEY, self.key);
        put_int64(out, CREATE_REVISION, self.create_revision);
        put_int64(out, MOD_REVISION, self.mod_revision);
        put_int64(out, VERSION, self.version);
        put_bytes(out, VALUE, self.value);
        put_int64(out, LEASE, self.lease);
    }
}

/// Allocates rows, many of them in one block.
///
/// A row keeps its block alive. Rows die in the order in which they are made (they are flushed in that order), so
/// a block is freed soon after its last row; a holder of a single old row pins one block.
#[derive(Debug, Default)]
pub(crate) struct RowArena {
    block: BytesMut,
}

impl RowArena {
    const BLOCK: usize = 64 << 10;
    /// Larger rows get memory of their own.
    const SHARED_MAX: usize = 8 << 10;

    /// Encodes a row.
    pub(crate) fn encode(&mut self, row: &KeyValue<'_>) -> Bytes {
        let len = row.encoded_len();
        if len > Self::SHARED_MAX {
            let mut own = Vec::with_capacity(len);
            row.encode(&mut own);
            return Bytes::from(own);
        }
        if self.block.capacity() < len {
            self.block = BytesMut::with_capacity(Self::BLOCK);
        }
        row.encode(&mut self.block);
        self.block.split().freeze()
    }
}

/// The key of a row that this crate has encoded, as a share of its bytes.
pub(crate) fn key_of(encoded: &Bytes) -> Bytes {
    let key = KeyValue::decode(encoded).map_or(&[][..], |row| row.key);
    encoded.slice_ref(key)
}

fn varint_len(value: u64) -> usize {
    // A varint carries 7 bits per byte; 0 takes one byte too.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn int64_len(value: i64) -> usize {
    if value == 0 {
        0
    } else {
        1 + varint_len(value as u64)
    }
}

fn bytes_len(bytes: &[u8]) -> usize {
    if bytes.is_empty() {
        0
    } else {
        1 + varint_len(bytes.len() as u64) + bytes.len()
    }
}

pub(crate) fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn put_int64(out: &mut impl BufMut, tag: u8, value: i64) {
    if value != 0 {
        out.put_u8(tag);
        // A negative int64 is its two's complement, ten bytes.
        put_varint(out, value as u64);
    }
}

fn put_bytes(out: &mut impl BufMut, tag: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.put_u8(tag);
        put_varint(out, bytes.len() as u64);
        out.put_slice(bytes);
    }
}

pub(crate) fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (i, &byte) in rest.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *rest = &rest[i + 1..];
            return Some(value);
        }
    }
    None
}

fn read_int64(rest: &mut &[u8]) -> Option<i64> {
    read_varint(rest).map(|value| value as i64)
}

fn read_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(read_varint(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(bytes)
}

fn skip_field(tag: u64, rest: &mut &[u8]) -> Option<()> {
    let fixed = match tag & 7 {
        0 => return read_varint(rest).map(drop),
        2 => return read_bytes(rest).map(drop),
        1 => 8,
        5 => 4,
        _ => return None,
    };
    *rest = rest.get(fixed..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(row: &KeyValue<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        row.encode(&mut out);
        assert_eq!(out.len(), row.encoded_len());
        out
    }

    #[test]
    fn rows_have_etcds_bytes() {
        let put = KeyValue {
            key: b"foo",
            create_revision: 2,
            mod_revision: 2,
            version: 1,
            value: b"bar",
            lease: 0,
        };
        assert_eq!(
            encode(&put),
            b"\x0a\x03foo\x10\x02\x18\x02\x20\x01\x2a\x03bar"
        );
        assert_eq!(
            encode(&KeyValue {
                key: b"foo",
                ..KeyValue::default()
            }),
            b"\x0a\x03foo"
        );
    }

    #[test]
    fn rows_survive_a_round_trip() {
        let numbers = [0, 1, 127, 128, 16383, 16384, i64::MAX, -1, i64::MIN];
        let long = vec![7; 300];
        for (i, &number) in numbers.iter().enumerate() {
            let row = KeyValue {
                key: &long[..i * 30],
                create_revision: number,
                mod_revision: numbers[(i + 1) % numbers.len()],
                version: number,
                value: &long[i * 20..],
                lease: number,
            };
            assert_eq!(KeyValue::decode(&encode(&row)), Some(row));
            let mut arena = RowArena::default();
            let shared = arena.encode(&row);
            assert_eq!(shared, encode(&row));
            assert_eq!(key_of(&shared), row.key);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic() {
        let row = KeyValue {
            key: b"foo",
            create_revision: 300,
            value: b"bar",
            lease: -1,
            ..KeyValue::default()
        };
        let good = encode(&row);
        for cut in 0..good.len() {
            KeyValue::decode(&good[..cut]);
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[cut] ^= 1 << bit;
                KeyValue::decode(&bad);
            }
        }
        assert_eq!(KeyValue::decode(&[0xff; 11]), None);
        assert_eq!(
            KeyValue::decode(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            None
        );
    }
}
