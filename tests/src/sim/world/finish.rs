//! The end of a run: troubles stop, the cluster must get well, and everything that was seen is judged.

use std::time::Duration;

use ferrod_node::Role;

use super::{Judged, World};
use crate::check::history::{self, Outcome, Summary};
use crate::check::{Response, Violation, watch};
use crate::sim::host::Host;
use crate::sim::process::{ELECTION_TICKS, TICK};

/// Time for the cluster to serve again: members start, three elections.
fn recovery() -> Duration {
    Duration::from_secs(1) + TICK * ELECTION_TICKS * 2 * 3
}

/// Time for all members to catch up, and for leases to end.
const CALM: Duration = Duration::from_secs(60);

/// How late a lease may end when nothing is wrong: a new leader's full time and its extension, a look at the clock,
/// the wait until one that was not revoked is named again.
const LEASE_SLACK: Duration = Duration::from_secs(25);

impl World {
    /// Runs from the first start to the last judgement.
    pub(in crate::sim) fn run(&mut self) -> Result<Summary, Violation> {
        self.run_until(self.plan.troubles_last)?;
        self.end_troubles();
        let healed = self.now;
        self.run_until(healed + recovery())?;
        self.progress_since(healed)?;
        self.quiet = true;
        self.calm_down()?;
        self.judge()
    }

    /// Total time that passed.
    pub(in crate::sim) fn time(&self) -> Duration {
        self.now
    }

    /// Somebody was served.
    ///
    /// covers: C-10
    fn progress_since(&self, healed: Duration) -> Judged {
        let healed = healed.as_nanos() as u64;
        let served = self.operations.iter().rev().any(|operation| {
            operation.called >= healed
                && matches!(
                    operation.outcome,
                    Outcome::Answered(
                        Response::Put(_) | Response::Txn(_) | Response::DeleteRange(_)
                    )
                )
        });
        if served {
            return Ok(());
        }
        let text = format!(
            "no write was answered in {:?} after the last trouble: {}",
            recovery(),
            self.standings()
        );
        Err(Violation::new("C-10", text))
    }

    /// All members come to hold the same.
    ///
    /// covers: C-10
    fn calm_down(&mut self) -> Judged {
        let end = self.now + CALM;
        while self.now < end {
            self.run_until(self.now + Duration::from_millis(500))?;
            if self.calls.is_empty()
                && self.all_agree()
                && !self.hosts.values().any(Host::is_doubted)
                && self.all_have_heard()
                && self.leases_are_over()
            {
                return Ok(());
            }
        }
        let heard: Vec<i64> = self.subscribers.iter().map(|s| s.next).collect();
        let text = format!(
            "after {CALM:?} without troubles: {}; calls {:?}; subscribers wait for {heard:?} of {}",
            self.standings(),
            self.calls,
            self.truth.timeline.last()
        );
        Err(Violation::new("C-10", text))
    }

    fn leases_are_over(&self) -> bool {
        let (now, slack) = (self.now.as_nanos() as u64, 0);
        self.leases.check_ends(now, slack).is_ok() && self.leases.latest_due() < now
    }

    /// Every member has applied everything that any has.
    fn all_agree(&self) -> bool {
        let committed = self.truth.committed();
        self.hosts.values().all(|host| {
            host.running
                .as_ref()
                .is_some_and(|process| process.applied == committed)
        })
    }

    fn standings(&self) -> String {
        let standings = self.hosts.values().map(|host| match &host.running {
            None => format!("{} is down ({:?})", host.id, host.damage),
            Some(process) => {
                let status = process.executor.handle().status();
                let lead = match status.soft.role {
                    Role::Leader => "leads",
                    _ if status.suspect => "is suspect and follows",
                    _ => "follows",
                };
                format!(
                    "{} {lead} {} in term {}, last {}, committed {}, applied {}",
                    host.id,
                    status.soft.leader,
                    status.soft.term,
                    status.last,
                    status.committed,
                    process.applied
                )
            }
        });
        standings.collect::<Vec<_>>().join("; ")
    }

    /// Everything that clients were told is held against what the members did.
    ///
    /// covers: C-01, C-04, C-05, C-06
    fn judge(&mut self) -> Result<Summary, Violation> {
        let rate = f64::from(self.plan.drift_ppm_max) / 1e6;
        self.counts.expired = self.leases.check(rate)?;
        let now = self.now.as_nanos() as u64;
        self.leases.check_ends(now, LEASE_SLACK.as_nanos() as u64)?;
        let mut events = 0;
        for subscription in self.subscriptions() {
            events += watch::check(&self.truth.timeline, subscription, true)?;
        }
        self.counts.watch_events = events;
        history::check(&self.truth.timeline, &self.operations)
    }
}
