//! How a value lies in LMDB: the value itself, then its checksum.
//!
//! ```text
//! value bytes | CRC-32C, 4 bytes, little endian
//! ```
//!
//! LMDB's pages carry no checksums, and a misplaced page yields rows that look sound. So the checksum covers what says
//! where the row belongs too: the bucket's name, a zero byte, the key's length (2 bytes, little endian), the key, and
//! the value.

use super::super::Bucket;
use crate::Error;

/// What a row is longer than its value.
pub(super) const TRAILER_BYTES: usize = 4;

/// Replaces the content of `row` with `value` and its checksum.
pub(super) fn seal(bucket: Bucket, key: &[u8], value: &[u8], row: &mut Vec<u8>) {
    row.clear();
    row.reserve(value.len() + TRAILER_BYTES);
    row.extend_from_slice(value);
    row.extend_from_slice(&checksum(bucket, key, value).to_le_bytes());
}

/// The value in `row`.
///
/// # Errors
/// [`Error::Corrupt`] if the checksum is missing or does not match.
pub(super) fn open<'r>(bucket: Bucket, key: &[u8], row: &'r [u8]) -> Result<&'r [u8], Error> {
    let corrupt = |reason| Error::Corrupt {
        bucket: bucket.name(),
        key: key.to_vec(),
        reason,
    };
    let (value, trailer) = row
        .split_last_chunk::<TRAILER_BYTES>()
        .ok_or_else(|| corrupt("no checksum"))?;
    if u32::from_le_bytes(*trailer) != checksum(bucket, key, value) {
        return Err(corrupt("checksum does not match"));
    }
    Ok(value)
}

/// The value in a row that [`open`] has accepted.
pub(super) fn value(sealed: &[u8]) -> &[u8] {
    &sealed[..sealed.len() - TRAILER_BYTES]
}

fn checksum(bucket: Bucket, key: &[u8], value: &[u8]) -> u32 {
    // Buckets' names have at most 15 bytes and keys at most 511: one short buffer instead of three short checksums.
    let mut place = [0; 16 + 2 + 64];
    let name = bucket.name().as_bytes();
    let (head, rest) = place.split_at_mut(name.len() + 1);
    head[..name.len()].copy_from_slice(name);
    let (length, rest) = rest.split_at_mut(2);
    length.copy_from_slice(&(key.len() as u16).to_le_bytes());
    let mut crc = match rest.get_mut(..key.len()) {
        Some(room) => {
            room.copy_from_slice(key);
            crc32c::crc32c(&place[..name.len() + 3 + key.len()])
        }
        None => crc32c::crc32c_append(crc32c::crc32c(&place[..name.len() + 3]), key),
    };
    crc = crc32c::crc32c_append(crc, value);
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(bucket: Bucket, key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut row = Vec::new();
        seal(bucket, key, value, &mut row);
        row
    }

    #[test]
    fn the_format_is_fixed() {
        // Checked against CRC-32C of "key\0" 01 00 "a" "bc", computed bit by bit.
        let mut crc = !0_u32;
        for byte in *b"key\0\x01\0abc" {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ 0x82f6_3b78
                } else {
                    crc >> 1
                };
            }
        }
        let mut expected = b"bc".to_vec();
        expected.extend_from_slice(&(!crc).to_le_bytes());
        assert_eq!(sealed(Bucket::Key, b"a", b"bc"), expected);
    }

    #[test]
    fn a_sealed_row_opens_at_its_place() {
        for key_len in [1, 17, 63, 64, 65, 90, 511] {
            let key = vec![7; key_len];
            let row = sealed(Bucket::MembersRemoved, &key, b"value");
            assert_eq!(open(Bucket::MembersRemoved, &key, &row).unwrap(), b"value");
        }
        assert_eq!(
            open(Bucket::Key, b"a", &sealed(Bucket::Key, b"a", b"")).unwrap(),
            b""
        );
    }

    // covers: D-06
    #[test]
    fn any_flipped_bit_is_found() {
        let row = sealed(Bucket::Lease, b"key", b"value");
        for bit in 0..row.len() * 8 {
            let mut bad = row.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(
                open(Bucket::Lease, b"key", &bad),
                Err(Error::Corrupt { .. })
            ));
        }
    }

    // covers: D-06, D-16
    #[test]
    fn a_row_at_another_place_is_found() {
        let row = sealed(Bucket::Auth, b"key", b"value");
        assert!(open(Bucket::AuthUsers, b"key", &row).is_err());
        assert!(open(Bucket::Auth, b"kez", &row).is_err());
        assert!(open(Bucket::Auth, b"keyv", &row[1..]).is_err());
        assert!(open(Bucket::Auth, b"key", b"abc").is_err());
    }
}
