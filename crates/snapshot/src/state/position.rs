//! Where a broken stream goes on.
//!
//! ```text
//! digest, 4 bytes | rows, 8 | bytes, 8 | key of the last row, 17 or 18      all little endian, but for the key
//! ```

use bytes::{Buf, BufMut, Bytes};
use ferrod_mvcc::RecordKey;

use super::format::Totals;
use crate::Error;

/// Where a broken stream goes on: behind a row of the bucket of keys that was the last of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub(super) last: RecordKey,
    pub(super) digest: u32,
    pub(super) before: Totals,
}

impl Position {
    /// What is there already.
    pub fn totals(&self) -> Totals {
        self.before
    }

    /// As bytes, for the way to the sender.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(40);
        bytes.put_u32_le(self.digest);
        bytes.put_u64_le(self.before.rows);
        bytes.put_u64_le(self.before.bytes);
        bytes.put_slice(&self.last.encode());
        bytes.into()
    }

    /// Reads what [`Position::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`] if it is none.
    pub fn decode(mut bytes: &[u8]) -> Result<Position, Error> {
        if bytes.len() < 20 {
            return Err(Error::corrupt("position is too short"));
        }
        let digest = bytes.get_u32_le();
        let before = Totals {
            rows: bytes.get_u64_le(),
            bytes: bytes.get_u64_le(),
        };
        Ok(Position {
            last: RecordKey::decode(bytes)?,
            digest,
            before,
        })
    }
}
