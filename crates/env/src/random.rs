//! Randomness as a seam: seeds, nonces and whatever else must not repeat itself.

/// A source of random numbers, shared by every thread of a process.
pub trait Random: Send + Sync {
    /// The next number; all 64 bits are random.
    fn next_u64(&self) -> u64;
}
