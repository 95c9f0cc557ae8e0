//! How long a disk takes: a script beside the one that says what fails.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

/// How long each sync of a disk takes.
///
/// Calls on a [`SimDisk`](super::SimDisk) return at once: nobody can wait in a world of one thread. Its driver asks here
/// how long a sync would have taken, and goes on with whoever waits for it only then.
#[derive(Debug, Clone)]
pub struct DiskPace {
    usual: Range<Duration>,
    stalls: Vec<Stall>,
}

/// A time in which nothing gets done.
#[derive(Debug, Clone, Copy)]
struct Stall {
    from: Duration,
    until: Duration,
}

impl DiskPace {
    /// A disk whose syncs take a time in `usual`, evenly spread.
    pub fn new(usual: Range<Duration>) -> DiskPace {
        DiskPace {
            usual,
            stalls: Vec::new(),
        }
    }

    /// What is under way at any time in `[from, until)` is not done before `until`. [`Duration::MAX`] hangs for ever.
    pub fn stall(&mut self, from: Duration, until: Duration) {
        self.stalls.push(Stall { from, until });
    }

    /// Ends all stalls.
    pub fn recover(&mut self) {
        self.stalls.clear();
    }

    /// When a sync that begins at `now` is done.
    pub fn done_at(&mut self, now: Duration, rng: &mut Rng) -> Duration {
        self.stalls.retain(|stall| stall.until > now);
        let (low, high) = (self.usual.start.as_nanos(), self.usual.end.as_nanos());
        let took = rng.u64(low as u64..(high as u64).max(low as u64 + 1));
        let done = now + Duration::from_nanos(took);
        let held = self.stalls.iter().filter(|stall| stall.from < done);
        held.map(|stall| stall.until)
            .max()
            .unwrap_or(done)
            .max(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: D-14, D-15
    #[test]
    fn a_stall_holds_up_what_is_under_way() {
        let second = Duration::from_secs;
        let mut rng = Rng::with_seed(1);
        let mut pace = DiskPace::new(second(1)..second(2));
        pace.stall(second(10), second(20));
        let usual = pace.done_at(second(0), &mut rng);
        assert!(usual >= second(1) && usual < second(2));
        assert_eq!(pace.done_at(second(9), &mut rng), second(20));
        assert_eq!(pace.done_at(second(12), &mut rng), second(20));
        assert!(pace.done_at(second(20), &mut rng) < second(22));
        pace.stall(second(30), Duration::MAX);
        assert_eq!(pace.done_at(second(31), &mut rng), Duration::MAX);
        pace.recover();
        assert!(pace.done_at(second(31), &mut rng) < second(33));
    }
}
