//! A queue that grows without moving what it holds.
//!
//! A buffer that doubles copies everything into fresh memory when it is full: with a hundred thousand entries that stops
//! the node for tens of milliseconds, and every read and vote with it.

use std::collections::VecDeque;

/// Items in one chunk.
const CHUNK_LEN: usize = 1024;

/// Items in order; added at the back, removed at both ends.
pub(super) struct Chunks<T> {
    /// None is empty. All but the first and the last hold [`CHUNK_LEN`] items.
    chunks: VecDeque<VecDeque<T>>,
}

impl<T> Chunks<T> {
    pub(super) fn back(&self) -> Option<&T> {
        self.chunks.back()?.back()
    }

    /// The item at a position from the front.
    pub(super) fn get(&self, position: usize) -> Option<&T> {
        let first_len = self.chunks.front()?.len();
        match position.checked_sub(first_len) {
            None => self.chunks[0].get(position),
            Some(behind) => self
                .chunks
                .get(1 + behind / CHUNK_LEN)?
                .get(behind % CHUNK_LEN),
        }
    }

    pub(super) fn push_back(&mut self, item: T) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => chunk.push_back(item),
            _ => {
                let mut chunk = VecDeque::with_capacity(CHUNK_LEN);
                chunk.push_back(item);
                self.chunks.push_back(chunk);
            }
        }
    }

    pub(super) fn pop_back(&mut self) -> Option<T> {
        let chunk = self.chunks.back_mut()?;
        let item = chunk.pop_back();
        if chunk.is_empty() {
            self.chunks.pop_back();
        }
        item
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let chunk = self.chunks.front_mut()?;
        let item = chunk.pop_front();
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        item
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten()
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Chunks<T> {
        Chunks {
            chunks: VecDeque::new(),
        }
    }
}

impl<T> FromIterator<T> for Chunks<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Chunks<T> {
        let mut chunks = Chunks::default();
        items.into_iter().for_each(|item| chunks.push_back(item));
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain queue, with both ends moving over the edges of chunks.
    #[test]
    fn it_is_a_queue() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut chunks, mut plain) = (Chunks::default(), VecDeque::new());
        let mut next = 0;
        for _ in 0..200 {
            let count = rng.usize(0..3 * CHUNK_LEN);
            match rng.u8(0..4) {
                0 => (0..count).for_each(|_| assert_eq!(chunks.pop_front(), plain.pop_front())),
                1 => (0..count / 4).for_each(|_| assert_eq!(chunks.pop_back(), plain.pop_back())),
                _ => {
                    for _ in 0..count {
                        chunks.push_back(next);
                        plain.push_back(next);
                        next += 1;
                    }
                }
            }
            assert_eq!(chunks.back(), plain.back());
            for _ in 0..100 {
                let position = rng.usize(0..=plain.len());
                assert_eq!(chunks.get(position), plain.get(position));
            }
            assert!(chunks.iter_mut().eq(plain.iter_mut()));
        }
    }
}
