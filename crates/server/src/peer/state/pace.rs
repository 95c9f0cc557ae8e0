//! How fast a copy leaves: as fast as it can while nobody writes, and at a bounded rate while somebody does.

use std::time::Duration;

/// How long entries are counted before it is decided whether there is work that the copy must not slow down.
const WINDOW: Duration = Duration::from_millis(50);
/// Entries applied in a window from which on there is. A cluster that idles applies fewer: records of leases, elections
/// of its clients, 20 writes a second and more.
const ENTRIES_MIN: u64 = 5;
/// Windows over which the growth of the log is averaged.
const GROWTH_WINDOWS: f64 = 20.0;
/// A copy that leaves this much faster than the log grows has arrived before what follows it in the log, all of which must
/// be kept for it, takes half the room of the state itself.
const GROWTH_FACTOR: f64 = 2.0;

/// What this member has done so far, as its counters tell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    /// Index of the last entry applied.
    pub(super) applied: u64,
    /// Bytes written to the log.
    pub(super) logged: u64,
}

/// Spreads bytes over time while clients write. Time that was not used is not made up for.
#[derive(Debug)]
pub(super) struct Pace {
    /// While clients write.
    bytes_per_second: f64,
    due: Duration,
    /// What was done at the beginning of the window, once there is one.
    window: Option<(Duration, Work)>,
    busy: bool,
    /// Of the log, in bytes per second.
    growth: f64,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Pace {
        Pace {
            bytes_per_second: bytes_per_second as f64,
            due: Duration::ZERO,
            window: None,
            busy: true,
            growth: 0.0,
        }
    }

    /// How long to wait before so many bytes may leave, when so much is done.
    pub(super) fn wait(&mut self, bytes: usize, work: Work, now: Duration) -> Duration {
        self.look(work, now);
        if !self.busy {
            self.due = now;
            return Duration::ZERO;
        }
        let wait = self.due.saturating_sub(now);
        let rate = self.bytes_per_second.max(GROWTH_FACTOR * self.growth);
        self.due = self.due.max(now) + Duration::from_secs_f64(bytes as f64 / rate);
        wait
    }

    /// Decides at the end of each window whether clients write, and how much.
    fn look(&mut self, work: Work, now: Duration) {
        let (began, before) = *self.window.get_or_insert((now, work));
        let passed = now.saturating_sub(began);
        if passed < WINDOW {
            return;
        }
        self.busy = work.applied.saturating_sub(before.applied) >= ENTRIES_MIN;
        let logged = work.logged.saturating_sub(before.logged) as f64;
        let windows = passed.as_secs_f64() / WINDOW.as_secs_f64();
        let part = (windows / GROWTH_WINDOWS).min(1.0);
        self.growth += part * (logged / passed.as_secs_f64() - self.growth);
        self.window = Some((now, work));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn applied(applied: u64) -> Work {
        Work { applied, logged: 0 }
    }

    #[test]
    fn bytes_are_spread_over_time_while_clients_write() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.wait(50, applied(0), SECOND), Duration::ZERO);
        assert_eq!(pace.wait(100, applied(10), SECOND), SECOND / 2);
        assert_eq!(pace.wait(1, applied(20), SECOND * 2), SECOND / 2);
        // A pause is not made up for.
        assert_eq!(pace.wait(100, applied(30), SECOND * 60), Duration::ZERO);
        assert_eq!(pace.wait(100, applied(30), SECOND * 60), SECOND);
    }

    #[test]
    fn nothing_waits_while_nobody_writes() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.wait(100, applied(7), SECOND), Duration::ZERO);
        let unknown = pace.wait(100, applied(7), SECOND);
        assert_eq!(unknown, SECOND, "nothing is known yet");
        assert_eq!(pace.wait(100, applied(11), SECOND * 2), Duration::ZERO);
        assert_eq!(pace.wait(100, applied(11), SECOND * 2), Duration::ZERO);
        // Clients begin to write: from the end of the window on, bytes wait again.
        assert_eq!(pace.wait(100, applied(16), SECOND * 3), Duration::ZERO);
        assert_eq!(pace.wait(100, applied(16), SECOND * 3), SECOND);
    }

    #[test]
    fn a_copy_outruns_the_log() {
        let mut pace = Pace::new(100);
        let work = |second: u64| Work {
            applied: 10 * second,
            logged: 1000 * second,
        };
        pace.wait(0, work(0), Duration::ZERO);
        pace.wait(0, work(1), SECOND);
        // The log grows by 1000 bytes a second, and the copy by twice as many.
        assert_eq!(pace.wait(4000, work(2), SECOND * 2), Duration::ZERO);
        assert_eq!(pace.wait(0, work(2), SECOND * 2), SECOND * 2);
    }
}
