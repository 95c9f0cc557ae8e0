//! How fast a copy leaves: as fast as it can while nobody writes, and at a bounded rate while somebody does.

use std::time::Duration;

/// How long entries are counted before it is decided whether there is work that the copy must not slow down.
const WINDOW: Duration = Duration::from_millis(50);
/// Entries applied in a window from which on there is. A cluster that idles applies fewer: records of leases, elections
/// of its clients, 20 writes a second and more.
const ENTRIES_MIN: u64 = 5;

/// Spreads bytes over time while clients write. Time that was not used is not made up for.
#[derive(Debug)]
pub(super) struct Pace {
    /// While clients write.
    bytes_per_second: u64,
    due: Duration,
    /// Applied index at the beginning of the window, once there is one.
    window: Option<(Duration, u64)>,
    busy: bool,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Pace {
        Pace {
            bytes_per_second,
            due: Duration::ZERO,
            window: None,
            busy: true,
        }
    }

    /// How long to wait before so many bytes may leave, when this index is applied.
    pub(super) fn wait(&mut self, bytes: usize, applied: u64, now: Duration) -> Duration {
        self.look(applied, now);
        if !self.busy {
            self.due = now;
            return Duration::ZERO;
        }
        let wait = self.due.saturating_sub(now);
        let takes = bytes as f64 / self.bytes_per_second as f64;
        self.due = self.due.max(now) + Duration::from_secs_f64(takes);
        wait
    }

    /// Decides at the end of each window whether clients write.
    fn look(&mut self, applied: u64, now: Duration) {
        let (began, before) = *self.window.get_or_insert((now, applied));
        if now >= began + WINDOW {
            self.busy = applied.saturating_sub(before) >= ENTRIES_MIN;
            self.window = Some((now, applied));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bytes_are_spread_over_time_while_clients_write() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.wait(50, 0, SECOND), Duration::ZERO);
        assert_eq!(pace.wait(100, 10, SECOND), SECOND / 2);
        assert_eq!(pace.wait(1, 20, SECOND * 2), SECOND / 2);
        // A pause is not made up for.
        assert_eq!(pace.wait(100, 30, SECOND * 60), Duration::ZERO);
        assert_eq!(pace.wait(100, 30, SECOND * 60), SECOND);
    }

    #[test]
    fn nothing_waits_while_nobody_writes() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.wait(100, 7, SECOND), Duration::ZERO);
        assert_eq!(pace.wait(100, 7, SECOND), SECOND, "nothing is known yet");
        assert_eq!(pace.wait(100, 11, SECOND * 2), Duration::ZERO);
        assert_eq!(pace.wait(100, 11, SECOND * 2), Duration::ZERO);
        // Clients begin to write: from the end of the window on, bytes wait again.
        assert_eq!(pace.wait(100, 16, SECOND * 3), Duration::ZERO);
        assert_eq!(pace.wait(100, 16, SECOND * 3), SECOND);
    }
}
