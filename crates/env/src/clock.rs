//! Time as a seam. Deadlines are computed from [`Clock::now`]; wall time only labels things.

use std::time::{Duration, SystemTime};

/// A source of time, shared by every thread of a process.
pub trait Clock: Send + Sync {
    /// Monotonic time since an arbitrary start. It never goes back, whatever happens to the wall
    /// clock, and it may stand still between two calls.
    fn now(&self) -> Duration;

    /// Wall time, for log lines and certificates only. It may jump in either direction.
    fn wall(&self) -> SystemTime;
}
