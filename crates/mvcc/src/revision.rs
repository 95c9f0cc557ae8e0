//! Which change of the store: the main counter of its transaction and the place within it, and the key of its record.
//!
//! A record key is 17 bytes: `main` (8 bytes, big endian), `_`, `sub` (8 bytes, big endian). A tombstone's key has one
//! byte more, `t`. So records sort by revision. Source: etcd's storage form, kept so that hashes and backups agree.

use std::fmt;

use crate::Error;
use crate::backend::Bucket;

/// Which change of the store: `main` counts write transactions, `sub` the changes within one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// One per write transaction that changes something.
    pub main: i64,
    /// The change's place in its transaction, from 0.
    pub sub: u32,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}

/// A record's key: a [`Revision`], and whether the record is a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The change.
    pub revision: Revision,
    /// Whether the change ended its key's generation.
    pub tombstone: bool,
}

impl RecordKey {
    const SEPARATOR: u8 = b'_';
    const TOMBSTONE: u8 = b't';
    const PUT_LEN: usize = 17;

    /// The bytes under which the record is stored.
    pub fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::PUT_LEN + 1);
        bytes.extend_from_slice(&encode_revision(self.revision));
        if self.tombstone {
            bytes.push(Self::TOMBSTONE);
        }
        bytes
    }

    /// Reads a record key back.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the bytes cannot be a record key.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = |reason| Error::Corrupt {
            bucket: Bucket::Key.name(),
            key: bytes.to_vec(),
            reason,
        };
        let tombstone = match bytes.get(Self::PUT_LEN..) {
            Some([]) => false,
            Some([Self::TOMBSTONE]) => true,
            _ => return Err(corrupt("not the length of a record key")),
        };
        let revision =
            decode_revision(&bytes[..Self::PUT_LEN]).ok_or_else(|| corrupt("not a revision"))?;
        Ok(Self {
            revision,
            tombstone,
        })
    }
}

/// The 17 bytes of a revision; they sort as revisions do.
pub(crate) fn encode_revision(revision: Revision) -> [u8; 17] {
    let mut bytes = [0; 17];
    bytes[..8].copy_from_slice(&revision.main.to_be_bytes());
    bytes[8] = RecordKey::SEPARATOR;
    bytes[9..].copy_from_slice(&u64::from(revision.sub).to_be_bytes());
    bytes
}

/// Reads the 17 bytes of a revision; `None` if they cannot be one.
pub(crate) fn decode_revision(bytes: &[u8]) -> Option<Revision> {
    let bytes: &[u8; 17] = bytes.try_into().ok()?;
    let main = i64::from_be_bytes(bytes[..8].try_into().ok()?);
    let sub = u64::from_be_bytes(bytes[9..].try_into().ok()?);
    let well_formed = bytes[8] == RecordKey::SEPARATOR && main >= 0;
    well_formed.then_some(Revision {
        main,
        sub: u32::try_from(sub).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(main: i64, sub: u32, tombstone: bool) -> RecordKey {
        RecordKey {
            revision: Revision { main, sub },
            tombstone,
        }
    }

    #[test]
    fn record_keys_survive_a_round_trip_and_sort_as_revisions() {
        let keys = [
            key(0, 0, false),
            key(2, 0, false),
            key(2, 0, true),
            key(2, 1, false),
            key(256, 7, true),
        ];
        for pair in keys.windows(2) {
            assert!(pair[0].encode() < pair[1].encode());
        }
        for key in keys {
            assert_eq!(RecordKey::decode(&key.encode()).unwrap(), key);
        }
    }

    #[test]
    fn malformed_record_keys_are_refused() {
        let good = key(5, 0, true).encode();
        for bad in [
            &good[..16],
            b"",
            &[good.as_slice(), b"t"].concat(),
            &[0xff; 17],
        ] {
            assert!(RecordKey::decode(bad).is_err(), "{bad:?}");
        }
        let mut wrong_mark = good;
        wrong_mark[17] = b'u';
        assert!(RecordKey::decode(&wrong_mark).is_err());
    }
}
