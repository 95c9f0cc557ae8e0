//! What one direction of a link does to messages.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

/// What one direction of a link does to messages. The default is a good local network.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkFaults {
    /// How long a message takes, evenly spread.
    pub delay: Range<Duration>,
    /// Probability that a message takes much longer than that.
    pub tail: f64,
    /// How long it takes then, at most.
    pub tail_delay_max: Duration,
    /// Probability that a message is lost.
    pub loss: f64,
    /// Probability that a message comes twice, the second time up to `tail_delay_max` later.
    pub repeat: f64,
    /// Probability that a message may overtake earlier ones.
    pub reorder: f64,
}

impl Default for LinkFaults {
    fn default() -> LinkFaults {
        LinkFaults {
            delay: Duration::from_micros(100)..Duration::from_micros(400),
            tail: 0.0,
            tail_delay_max: Duration::from_secs(1),
            loss: 0.0,
            repeat: 0.0,
            reorder: 0.0,
        }
    }
}

impl LinkFaults {
    pub(super) fn loses(&self, rng: &mut Rng) -> bool {
        happens(self.loss, rng)
    }

    pub(super) fn repeats(&self, rng: &mut Rng) -> bool {
        happens(self.repeat, rng)
    }

    pub(super) fn reorders(&self, rng: &mut Rng) -> bool {
        happens(self.reorder, rng)
    }

    pub(super) fn delay(&self, rng: &mut Rng) -> Duration {
        if happens(self.tail, rng) {
            return self.repeat_delay(rng);
        }
        spread(self.delay.clone(), rng)
    }

    pub(super) fn repeat_delay(&self, rng: &mut Rng) -> Duration {
        spread(self.delay.start..self.tail_delay_max, rng)
    }
}

fn happens(probability: f64, rng: &mut Rng) -> bool {
    probability > 0.0 && rng.f64() < probability
}

fn spread(range: Range<Duration>, rng: &mut Rng) -> Duration {
    let (low, high) = (range.start.as_nanos() as u64, range.end.as_nanos() as u64);
    Duration::from_nanos(rng.u64(low..high.max(low + 1)))
}
