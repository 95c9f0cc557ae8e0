//! Bytes in pieces, sent one behind the other and never joined.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Bytes in pieces. One piece needs no memory beside its own.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Invariant: empty only if all are.
    first: Bytes,
    rest: VecDeque<Bytes>,
    remaining: usize,
}

impl Pieces {
    /// Appends a piece.
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.remaining += piece.len();
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.rest.push_back(piece);
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Pieces {
        Pieces {
            remaining: piece.len(),
            first: piece,
            rest: VecDeque::new(),
        }
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        &self.first
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let all = std::iter::once(&self.first).chain(&self.rest);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(all.filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining -= count;
        while count >= self.first.len() && count > 0 {
            count -= self.first.len();
            self.first = self.rest.pop_front().unwrap_or_default();
        }
        self.first.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_two(pieces: &Pieces) -> Vec<String> {
        let mut slices = [IoSlice::new(&[]); 2];
        let count = pieces.chunks_vectored(&mut slices);
        let text = |slice: &IoSlice<'_>| String::from_utf8(slice.to_vec()).unwrap();
        slices[..count].iter().map(text).collect()
    }

    #[test]
    fn pieces_come_out_as_one_run() {
        let texts = ["", "ab", "", "c", "defg"];
        for step in 1..=7 {
            let mut pieces = Pieces::default();
            texts
                .iter()
                .for_each(|text| pieces.push(Bytes::from_static(text.as_bytes())));
            assert_eq!(pieces.remaining(), 7);
            assert_eq!(first_two(&pieces), ["ab", "c"]);
            let mut out = Vec::new();
            while pieces.has_remaining() {
                assert!(!pieces.chunk().is_empty());
                let len = step.min(pieces.remaining());
                out.extend_from_slice(&pieces.copy_to_bytes(len));
            }
            assert_eq!(out, b"abcdefg");
            assert_eq!(first_two(&pieces), [""; 0]);
        }
    }
}
