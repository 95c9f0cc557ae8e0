//! The leader's clock for leases: who is renewed, and who has run out.
//!
//! Only the leader counts time. A member that becomes leader gives every lease its full time again, or what was last
//! recorded of it, from the moment when it has applied everything of earlier terms; one that loses leadership forgets all
//! deadlines at once.

use std::time::Duration;

use ferrod_lease::{Checkpoint, Deadlines, LeaseId, Pace, Recording, Renewal};
use ferrod_node::{Role, SoftState, Term};
use ferrod_store::{Effect, SharedLeases};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Leases that one slice of loading takes.
const LOAD_SLICE: usize = 10_000;

/// What became of a keep-alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    /// It lives on for this many seconds.
    Renewed(i64),
    /// No such lease.
    Unknown,
    /// It has run out and will be gone in a moment.
    Expired,
    /// This member does not lead.
    NotLeader,
}

/// The leader's clock for leases.
pub(crate) struct Lessor {
    leases: SharedLeases,
    /// Length of an election: what a new leader adds to every lease.
    extension: Duration,
    pace: Pace,
    standing: Mutex<Standing>,
    /// Rings when a lease is gone.
    revoked: Notify,
}

enum Standing {
    Following,
    /// Leads, and has not applied all of the earlier terms yet.
    Elected(Term),
    Leading {
        term: Term,
        deadlines: Box<Deadlines>,
        load: Load,
    },
}

enum Load {
    From(Option<LeaseId>),
    Complete,
}

impl Lessor {
    pub(crate) fn new(leases: SharedLeases, extension: Duration, pace: Pace) -> Lessor {
        let standing = Mutex::new(Standing::Following);
        Lessor {
            leases,
            extension,
            pace,
            standing,
            revoked: Notify::new(),
        }
    }

    /// Hears of leadership, in order with the entries.
    pub(crate) fn role_changed(&self, state: &SoftState) {
        let mut standing = self.standing.lock();
        *standing = match state.role {
            Role::Leader => Standing::Elected(state.term),
            _ => Standing::Following,
        };
        drop(standing);
        self.revoked.notify_waiters();
    }

    /// The first entry of a term was applied, and so all of earlier terms.
    pub(crate) fn term_began(&self, began: Term, now: Duration) {
        let mut standing = self.standing.lock();
        if matches!(*standing, Standing::Elected(term) if term == began) {
            let count = self.leases.read().len();
            let deadlines = Deadlines::promote(count, now, self.extension, self.pace);
            let deadlines = Box::new(deadlines);
            *standing = Standing::Leading {
                term: began,
                deadlines,
                load: Load::From(None),
            };
        }
    }

    /// Hears what an entry did to leases.
    pub(crate) fn heard(&self, effect: &Effect, now: Duration) {
        if let Standing::Leading { deadlines, .. } = &mut *self.standing.lock() {
            match effect {
                Effect::Granted(id, ttl) => deadlines.grant(*id, *ttl, now),
                Effect::Revoked(id) => deadlines.revoke(*id),
                Effect::Checkpointed(_)
                | Effect::AlarmRaised(_)
                | Effect::AlarmCleared(_)
                | Effect::Cluster => {}
            }
        }
        if matches!(effect, Effect::Revoked(_)) {
            self.revoked.notify_waiters();
        }
    }

    /// The term in which this member leads and has applied everything of earlier terms; `None` if it does not.
    pub(crate) fn leading(&self) -> Option<Term> {
        match &*self.standing.lock() {
            Standing::Leading { term, .. } => Some(*term),
            Standing::Following | Standing::Elected(_) => None,
        }
    }

    /// Renews a lease. Leadership is confirmed by the caller, before it tells anyone; and a recorded rest, if there is
    /// one, is cleared through the log.
    pub(crate) fn renew(&self, id: LeaseId, now: Duration) -> (KeepAlive, Option<Recording>) {
        let Standing::Leading {
            deadlines, load, ..
        } = &mut *self.standing.lock()
        else {
            return (KeepAlive::NotLeader, None);
        };
        let renewal = match deadlines.renew(id, now) {
            Renewal::Unknown if !matches!(load, Load::Complete) => {
                self.load_one(deadlines, id);
                deadlines.renew(id, now)
            }
            renewal => renewal,
        };
        match renewal {
            Renewal::Renewed { ttl, recording } => (KeepAlive::Renewed(ttl.seconds()), recording),
            Renewal::Expired => (KeepAlive::Expired, None),
            Renewal::Unknown => (KeepAlive::Unknown, None),
        }
    }

    /// The rest that was recorded of these leases has been cleared, by the leader of this term.
    pub(crate) fn cleared(&self, in_term: Term, leases: &[(LeaseId, Recording)]) {
        if let Standing::Leading {
            term, deadlines, ..
        } = &mut *self.standing.lock()
            && *term == in_term
        {
            for (id, recording) in leases {
                deadlines.cleared(*id, *recording);
            }
        }
    }

    /// What is to be recorded now, at most `max`, is handed to `offer`, which puts it on its way into the log: no
    /// renewal comes in between, so none can have its clearing overtaken by an older rest. Returns how many there were.
    pub(crate) fn record(
        &self,
        now: Duration,
        max: usize,
        offer: impl FnOnce(Term, Vec<Checkpoint>),
    ) -> usize {
        let Standing::Leading {
            term, deadlines, ..
        } = &mut *self.standing.lock()
        else {
            return 0;
        };
        let due = deadlines.checkpoints_due(now, max);
        let count = due.len();
        if count > 0 {
            offer(*term, due);
        }
        count
    }

    /// Whole seconds that a lease has left; `None` if it is unknown or this member does not lead.
    pub(crate) fn remaining(&self, id: LeaseId, now: Duration) -> Option<i64> {
        let Standing::Leading { deadlines, .. } = &mut *self.standing.lock() else {
            return None;
        };
        self.load_one(deadlines, id);
        deadlines.remaining(id, now)
    }

    /// All leases, soonest to end first, if this member leads.
    pub(crate) fn by_deadline(&self) -> Option<Vec<LeaseId>> {
        match &*self.standing.lock() {
            Standing::Leading {
                deadlines,
                load: Load::Complete,
                ..
            } => Some(deadlines.by_deadline()),
            _ => None,
        }
    }

    /// Leases that have run out, with the term in which this member may say so; loads a slice of leases first.
    pub(crate) fn expired(&self, now: Duration, max: usize) -> Option<(Term, Vec<LeaseId>)> {
        let Standing::Leading {
            term,
            deadlines,
            load,
        } = &mut *self.standing.lock()
        else {
            return None;
        };
        if let Load::From(after) = load {
            let slice: Vec<_> = self
                .leases
                .read()
                .grants_after(*after)
                .take(LOAD_SLICE)
                .collect();
            *load = match slice.last() {
                Some(last) if slice.len() == LOAD_SLICE => Load::From(Some(last.id)),
                _ => Load::Complete,
            };
            deadlines.load(slice);
        }
        Some((*term, deadlines.expired(now, max)))
    }

    /// Returns when a lease may have gone, or leadership. Ask for it before looking.
    pub(crate) fn change(&self) -> tokio::sync::futures::Notified<'_> {
        self.revoked.notified()
    }

    fn load_one(&self, deadlines: &mut Deadlines, id: LeaseId) {
        let leases = self.leases.read();
        if let Some(lease) = leases.get(id) {
            let grant = ferrod_lease::Grant {
                id,
                ttl: lease.ttl(),
                checkpoint: lease.checkpoint(),
            };
            deadlines.load([grant]);
        }
    }
}

#[cfg(test)]
mod tests;
