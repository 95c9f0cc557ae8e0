//! The leader's clock for leases, as the server has it: production deadlines, and who may use them when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::planted;
use ferrod_lease::{Deadlines, LeaseId, Pace, Renewal};
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
            let mut deadlines =
                Deadlines::promote(leases.len(), now, self.extension, Pace::default());
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
            Effect::Checkpointed(stored) => {
                for (id, remaining) in stored {
                    deadlines.checkpointed(*id, *remaining);
                }
            }
            Effect::Cluster => {}
        }
    }

    /// Renews a lease, after leadership was confirmed; seconds it lives, or `None`.
    pub(super) fn renew(&self, id: LeaseId, now: Duration) -> Option<i64> {
        match &mut *self.standing() {
            Standing::Leading(_, deadlines) => match deadlines.renew(id, now) {
                Renewal::Renewed { ttl, .. } => Some(ttl.seconds()),
                Renewal::Expired | Renewal::Unknown => None,
            },
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
