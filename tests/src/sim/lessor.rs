//! The leader's clock for leases, as the server has it: production deadlines, and who may use them when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::planted;
use ferrod_lease::{Checkpoint, Deadlines, LeaseId, Pace, Recording, Renewal};
use ferrod_node::{Role, SoftState, Term};
use ferrod_store::{Effect, SharedLeases};

/// The leader's clock for leases.
#[derive(Clone)]
pub(super) struct Lessor {
    leases: SharedLeases,
    /// What a new leader adds to every lease.
    extension: Duration,
    standing: Arc<Mutex<Standing>>,
}

/// Leases of the workload live for a few seconds.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(700);

/// A recorded rest that a renewal takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clearing {
    pub(super) lease: LeaseId,
    recording: Recording,
    pub(super) term: Term,
}

enum Standing {
    Following,
    /// Leads, and has not applied all of the earlier terms yet.
    Elected(Term),
    Leading(Term, Box<Deadlines>),
}

impl Lessor {
    pub(super) fn new(leases: SharedLeases, extension: Duration) -> Lessor {
        Lessor {
            leases,
            extension,
            standing: Arc::new(Mutex::new(Standing::Following)),
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn role_changed(&self, state: &SoftState) {
        let mut standing = self.standing();
        let stays = matches!(*standing, Standing::Leading(..));
        if stays && ferrod_env::planted(planted::DEPOSED) {
            return;
        }
        *standing = match state.role {
            Role::Leader => Standing::Elected(state.term),
            _ => Standing::Following,
        };
    }

    /// The first entry of a term was applied, and so all of earlier terms.
    pub(super) fn term_began(&self, began: Term, now: Duration) {
        let mut standing = self.standing();
        if matches!(*standing, Standing::Elected(term) if term == began) {
            let leases = self.leases.read();
            let pace = Pace {
                checkpoint_interval: Some(CHECKPOINT_INTERVAL),
                ..Pace::default()
            };
            let mut deadlines = Deadlines::promote(leases.len(), now, self.extension, pace);
            deadlines.load(leases.grants_after(None));
            *standing = Standing::Leading(began, Box::new(deadlines));
        }
    }

    pub(super) fn heard(&self, effect: &Effect, now: Duration) {
        let Standing::Leading(_, deadlines) = &mut *self.standing() else {
            return;
        };
        match effect {
            Effect::Granted(id, ttl) => deadlines.grant(*id, *ttl, now),
            Effect::Revoked(id) => deadlines.revoke(*id),
            Effect::Checkpointed(_)
            | Effect::AlarmRaised(_)
            | Effect::AlarmCleared(_)
            | Effect::Cluster => {}
        }
    }

    /// Renews a lease, after leadership was confirmed; seconds it lives, and what is to be cleared in which term before
    /// anyone hears of it.
    pub(super) fn renew(&self, id: LeaseId, now: Duration) -> Option<(i64, Option<Clearing>)> {
        let Standing::Leading(term, deadlines) = &mut *self.standing() else {
            return None;
        };
        let Renewal::Renewed { ttl, recording } = deadlines.renew(id, now) else {
            return None;
        };
        let clearing = |recording| Clearing {
            lease: id,
            recording,
            term: *term,
        };
        let recording = recording.filter(|_| !ferrod_env::planted(planted::CHECKPOINT));
        Some((ttl.seconds(), recording.map(clearing)))
    }

    pub(super) fn cleared(&self, clearing: &Clearing) {
        if let Standing::Leading(term, deadlines) = &mut *self.standing()
            && *term == clearing.term
        {
            deadlines.cleared(clearing.lease, clearing.recording);
        }
    }

    /// What is to be recorded of leases, with the term in which this member may say so.
    pub(super) fn checkpoints(&self, now: Duration) -> Option<(Term, Vec<Checkpoint>)> {
        match &mut *self.standing() {
            Standing::Leading(term, deadlines) => {
                let due = deadlines.checkpoints_due(now, 100);
                (!due.is_empty()).then_some((*term, due))
            }
            _ => None,
        }
    }

    /// Leases that have run out, with the term in which this member may say so.
    pub(super) fn expired(&self, now: Duration) -> Option<(Term, Vec<LeaseId>)> {
        match &mut *self.standing() {
            Standing::Leading(term, deadlines) => Some((*term, deadlines.expired(now, 100))),
            _ => None,
        }
    }
}
