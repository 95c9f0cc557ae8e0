//! How a call ended, by the headers that the server sends (RFC 7541 for their compression).
//!
//! Servers repeat the same few header blocks for every call. A block that only points into the table cannot change
//! it, so its meaning is remembered and the next one like it costs a comparison of bytes; every other block is decoded,
//! because it may have added to the table, and what was remembered is forgotten.

use anyhow::{Context, Result};
use loona_hpack::Decoder;

/// What a block of headers says about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// `grpc-status` is 0.
    Good,
    /// `grpc-status` is something else.
    Bad,
    /// There is no `grpc-status`, as in the headers before an answer.
    Absent,
}

/// Reads the header blocks of one connection; needs to see each of them, in order.
pub(super) struct StatusReader {
    decoder: Decoder<'static>,
    known: Vec<(Vec<u8>, Status)>,
}

impl StatusReader {
    pub(super) fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            known: Vec::new(),
        }
    }

    /// The meaning of one whole header block.
    pub(super) fn read(&mut self, block: &[u8]) -> Result<Status> {
        if let Some((_, status)) = self.known.iter().find(|(bytes, _)| bytes == block) {
            return Ok(*status);
        }
        let mut status = Status::Absent;
        self.decoder
            .decode_with_cb(block, |name, value| {
                if name[..] == *b"grpc-status" {
                    status = if value[..] == *b"0" {
                        Status::Good
                    } else {
                        Status::Bad
                    };
                }
            })
            .map_err(|error| anyhow::anyhow!("{error:?}"))
            .context("decode a header block")?;
        if leaves_table(block) {
            self.known.push((block.to_vec(), status));
        } else {
            self.known.clear();
        }
        Ok(status)
    }
}

impl std::fmt::Debug for StatusReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusReader")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

/// Whether the block is made of references to the table with one-byte numbers, and nothing else.
fn leaves_table(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte > 0x80 && *byte < 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A literal header that is added to the table.
    fn literal(name: &str, value: &str) -> Vec<u8> {
        let mut block = vec![0x40, name.len() as u8];
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
        block
    }

    #[test]
    fn a_status_is_seen_in_full_and_by_reference() {
        let mut reader = StatusReader::new();
        assert_eq!(
            reader.read(&literal("grpc-status", "0")).ok(),
            Some(Status::Good)
        );
        assert_eq!(reader.read(&[0x80 | 62]).ok(), Some(Status::Good));
        assert_eq!(reader.read(&[0x80 | 62]).ok(), Some(Status::Good));
        assert_eq!(
            reader.read(&[0x88]).ok(),
            Some(Status::Absent),
            ":status 200"
        );
    }

    #[test]
    fn the_same_bytes_mean_something_else_once_the_table_has_grown() {
        let mut reader = StatusReader::new();
        assert!(reader.read(&literal("grpc-status", "0")).is_ok());
        assert_eq!(reader.read(&[0x80 | 62]).ok(), Some(Status::Good));
        assert_eq!(
            reader.read(&literal("grpc-status", "14")).ok(),
            Some(Status::Bad)
        );
        assert_eq!(reader.read(&[0x80 | 62]).ok(), Some(Status::Bad));
        assert_eq!(reader.read(&[0x80 | 63]).ok(), Some(Status::Good));
    }

    #[test]
    fn bytes_that_are_no_headers_are_an_error() {
        assert!(StatusReader::new().read(&[0x80 | 100]).is_err());
    }
}
