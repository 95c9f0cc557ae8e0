//! Random numbers that follow from a seed.

use std::sync::{Mutex, PoisonError};

use fastrand::Rng;

use crate::Random;

/// Random numbers that follow from a seed.
#[derive(Debug)]
pub struct SimRandom(Mutex<Rng>);

impl SimRandom {
    /// Returns a source whose numbers follow from `seed`.
    pub fn new(seed: u64) -> SimRandom {
        SimRandom(Mutex::new(Rng::with_seed(seed)))
    }
}

impl Random for SimRandom {
    fn next_u64(&self) -> u64 {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rng.u64(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_numbers() {
        let draw = |seed| SimRandom::new(seed).next_u64();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
