//! Time that moves when told.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::Clock;

/// A clock that stands still until it is told to move. Its wall time can be set apart.
#[derive(Debug)]
pub struct SimClock {
    time: Mutex<Time>,
}

#[derive(Debug)]
struct Time {
    now: Duration,
    wall: SystemTime,
}

impl SimClock {
    /// Returns a clock at monotonic zero with the given wall time.
    pub fn new(wall: SystemTime) -> Self {
        let now = Duration::ZERO;
        Self {
            time: Mutex::new(Time { now, wall }),
        }
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.with(|time| {
            time.now += by;
            time.wall += by;
        });
    }

    /// Makes the wall clock jump; monotonic time does not notice.
    pub fn set_wall(&self, wall: SystemTime) {
        self.with(|time| time.wall = wall);
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Time) -> T) -> T {
        use_it(&mut self.time.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Duration {
        self.with(|time| time.now)
    }

    fn wall(&self) -> SystemTime {
        self.with(|time| time.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: T-01
    #[test]
    fn a_jump_of_the_wall_clock_does_not_move_monotonic_time() {
        let clock = SimClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        clock.advance(Duration::from_secs(2));
        clock.set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), Duration::from_secs(2));
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH);
    }
}
