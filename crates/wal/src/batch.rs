//! Records gathered for one write.

use crate::format::{BATCH_HEADER_BYTES, RECORD_HEADER_BYTES};

/// Records gathered for one write, encoded where they will be written from.
///
/// Meant to be kept and filled again: [`Wal::append`](crate::Wal::append) empties it and leaves its
/// memory.
#[derive(Debug)]
pub struct Batch {
    /// Room for the batch header, then records as they go to disk.
    bytes: Vec<u8>,
    records: u32,
}

impl Batch {
    /// Returns a batch without records.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BATCH_HEADER_BYTES],
            records: 0,
        }
    }

    /// Adds a record.
    ///
    /// # Panics
    /// If the payload is 4 GiB long or longer; [`Wal::append`](crate::Wal::append) refuses far
    /// shorter batches.
    pub fn push(&mut self, kind: u8, payload: &[u8]) {
        self.push_with(kind, |out| out.extend_from_slice(payload));
    }

    /// Adds a record whose payload is what `write` appends, which saves a copy.
    ///
    /// # Panics
    /// As [`Batch::push`]; and if `write` shortens the buffer.
    pub fn push_with(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0, 0, 0, kind]);
        write(&mut self.bytes);
        let written = self.bytes.len().checked_sub(start + RECORD_HEADER_BYTES);
        let len = written.and_then(|len| u32::try_from(len).ok());
        let len = len.expect("a payload is appended, and shorter than 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&len.to_le_bytes());
        self.records += 1;
    }

    /// Returns how many records there are.
    pub fn records(&self) -> usize {
        self.records as usize
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Returns how many bytes the batch takes in the log.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Removes all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.truncate(BATCH_HEADER_BYTES);
        self.records = 0;
    }

    /// The whole batch as it goes to disk, with room for its header in front.
    pub(crate) fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}
