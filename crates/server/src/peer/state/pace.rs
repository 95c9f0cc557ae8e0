//! How fast a copy leaves.

use std::time::Duration;

/// Spreads bytes over time. Time that was not used is not made up for.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    due: Duration,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Pace {
        Pace {
            bytes_per_second,
            due: Duration::ZERO,
        }
    }

    /// How long to wait before so many bytes may leave.
    pub(super) fn wait(&mut self, bytes: usize, now: Duration) -> Duration {
        let wait = self.due.saturating_sub(now);
        let takes = bytes as f64 / self.bytes_per_second as f64;
        self.due = self.due.max(now) + Duration::from_secs_f64(takes);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spread_over_time() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(100);
        assert_eq!(pace.wait(50, second), Duration::ZERO);
        assert_eq!(pace.wait(100, second), second / 2);
        assert_eq!(pace.wait(1, second * 2), second / 2);
        // A pause is not made up for.
        assert_eq!(pace.wait(100, second * 60), Duration::ZERO);
        assert_eq!(pace.wait(100, second * 60), second);
    }
}
