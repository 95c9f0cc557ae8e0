//! One machine's idea of time: the world's, faster or slower, and jumping.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::SimClock;
use crate::Clock;

/// A clock that follows a [`SimClock`] at a rate of its own.
///
/// Monotonic time never goes back, whatever the rate is set to; it may stand still, as in a suspended machine that
/// does not count the time it was away.
#[derive(Debug)]
pub struct DriftingClock {
    world: Arc<SimClock>,
    drift: Mutex<Drift>,
}

#[derive(Debug, Clone, Copy)]
struct Drift {
    /// A moment in the world's time, and what this clock showed then.
    since: (Duration, Duration),
    /// Millionths of a second that it gains in a second; negative if it loses.
    gain_ppm: i32,
    /// Seconds that wall time is ahead of the world's.
    wall_ahead_s: i64,
}

impl DriftingClock {
    /// Returns a clock that agrees with `world` until it is told otherwise.
    pub fn new(world: Arc<SimClock>) -> DriftingClock {
        let now = world.now();
        DriftingClock {
            world,
            drift: Mutex::new(Drift {
                since: (now, now),
                gain_ppm: 0,
                wall_ahead_s: 0,
            }),
        }
    }

    /// From now on the clock gains so many millionths; negative to lose. At -1,000,000 it stands still.
    pub fn set_gain(&self, gain_ppm: i32) {
        let shown = self.now();
        self.with(|drift| {
            drift.since = (self.world.now(), shown);
            drift.gain_ppm = gain_ppm.max(-1_000_000);
        });
    }

    /// Wall time jumps, so that it is this far ahead of the world's; monotonic time does not notice.
    pub fn set_wall_ahead(&self, seconds: i64) {
        self.with(|drift| drift.wall_ahead_s = seconds);
    }

    /// When in the world's time this clock will show `local`, at today's rate; now if it has done so already, and
    /// [`Duration::MAX`] if it stands still.
    pub fn world_time(&self, local: Duration) -> Duration {
        let (world, drift) = (self.world.now(), self.with(|drift| *drift));
        let missing = local.saturating_sub(drift.at(world)).as_nanos();
        let rate = u128::from(drift.rate());
        if missing == 0 {
            return world;
        }
        match (missing * 1_000_000).checked_div(rate) {
            // One more: rounding down must not wake anyone too early for ever.
            Some(nanos) => world + Duration::from_nanos(nanos as u64 + 1),
            None => Duration::MAX,
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Drift) -> T) -> T {
        use_it(&mut self.drift.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drift {
    /// Millionths of a second that pass in a second of the world.
    fn rate(&self) -> u64 {
        u64::try_from(1_000_000 + i64::from(self.gain_ppm)).unwrap_or(0)
    }

    fn at(&self, world: Duration) -> Duration {
        let passed = world.saturating_sub(self.since.0).as_nanos() * u128::from(self.rate());
        self.since.1 + Duration::from_nanos((passed / 1_000_000) as u64)
    }
}

impl Clock for DriftingClock {
    fn now(&self) -> Duration {
        let world = self.world.now();
        self.with(|drift| drift.at(world))
    }

    fn wall(&self) -> SystemTime {
        let ahead = self.with(|drift| drift.wall_ahead_s);
        let by = Duration::from_secs(ahead.unsigned_abs());
        let wall = self.world.wall();
        let moved = if ahead < 0 {
            wall.checked_sub(by)
        } else {
            wall.checked_add(by)
        };
        moved.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: T-01, T-02, T-03
    #[test]
    fn a_clock_gains_loses_and_stands_still() {
        let world = Arc::new(SimClock::new(SystemTime::UNIX_EPOCH));
        let clock = DriftingClock::new(world.clone());
        let second = Duration::from_secs(1);
        clock.set_gain(100_000);
        world.advance(10 * second);
        assert_eq!(clock.now(), 11 * second);
        clock.set_gain(-100_000);
        world.advance(10 * second);
        assert_eq!(clock.now(), 20 * second);
        let due = clock.world_time(21 * second);
        world.advance(due - world.now());
        assert!(clock.now() >= 21 * second && clock.now() < 22 * second);
        clock.set_gain(-1_000_000);
        let stopped = clock.now();
        world.advance(second);
        assert_eq!(clock.now(), stopped);
        assert_eq!(clock.world_time(100 * second), Duration::MAX);
        clock.set_wall_ahead(-1_000_000);
        assert!(clock.wall() < SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), stopped);
    }
}
