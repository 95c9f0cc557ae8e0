//! How long to wait before the next attempt to connect.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses that double up to a bound, each shortened by up to half at random, so that members which lost each other at the
/// same moment do not knock at the same moments.
#[derive(Debug)]
pub(super) struct Backoff {
    attempts: u32,
    random: u64,
}

impl Backoff {
    /// Starts at the beginning. Different seeds give different pauses.
    pub(super) fn new(seed: u64) -> Backoff {
        Backoff {
            attempts: 0,
            // Spread, or small seeds would begin with equal pauses.
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// The next pause; the first one after a reset is hardly any.
    pub(super) fn next(&mut self) -> Duration {
        let full = match self.attempts {
            0 => Duration::from_millis(2),
            attempts => LONGEST.min(FIRST * (1 << (attempts - 1).min(10))),
        };
        self.attempts = self.attempts.saturating_add(1);
        full / 2 + full.mul_f64(self.fraction() / 2.0)
    }

    /// The other end has answered.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// xorshift: nothing here needs better numbers.
    fn fraction(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_again() {
        let mut backoff = Backoff::new(7);
        assert!(backoff.next() <= Duration::from_millis(2));
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses[19] >= LONGEST / 2);
        assert!(pauses[0] <= FIRST);
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(2));
        assert_ne!(Backoff::new(1).next(), Backoff::new(99).next());
    }
}
