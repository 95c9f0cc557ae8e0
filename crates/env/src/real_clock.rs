//! The operating system's clock.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what the ban points to"
)]

use std::time::{Duration, Instant, SystemTime};

use crate::Clock;

/// The operating system's clock, counted from its construction.
#[derive(Debug, Clone)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    /// Returns a clock that reads zero now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
