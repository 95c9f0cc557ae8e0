//! Ends streams that asked for a leader when there is none.

use std::task::Context;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use crate::engine::Engine;

/// Looks in one election timeout. A stream ends after so many in a row without a leader: an election that goes well is
/// over before.
const LOOKS: u32 = 4;

/// Looks for a leader now and then, for one stream.
pub(super) struct LeaderCheck {
    look: Interval,
    missed: u32,
}

impl LeaderCheck {
    /// Begins with a leader that is there.
    pub(super) fn new(election_timeout: Duration) -> LeaderCheck {
        let period = (election_timeout / LOOKS).max(Duration::from_millis(1));
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        // A process that was stopped must not find a leader missing four times at once.
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        LeaderCheck { look, missed: 0 }
    }

    /// Whether there has been no leader for too long. Wakes the caller for the next look.
    pub(super) fn is_lost(&mut self, engine: &Engine, cx: &mut Context<'_>) -> bool {
        while self.look.poll_tick(cx).is_ready() {
            let leads = engine.node.status().soft.leader.known().is_some();
            self.missed = if leads { 0 } else { self.missed + 1 };
        }
        self.missed >= LOOKS
    }
}
