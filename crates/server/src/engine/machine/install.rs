//! Going on from a leader's copy of the state, and letting those know who must.

use ferrod_node::{BoxError, MemberId, StateMeta};
use ferrod_store::ConfState;

use super::Machine;
use crate::config::GoDuration;
use crate::mailbox::Installed;

impl Machine {
    /// Puts the received copy of this index in the place of everything.
    ///
    /// Whoever waits for one of the entries in between learns by its own deadline that the outcome is unknown here.
    pub(super) fn install_state(&mut self, state: &StateMeta) -> Result<(), BoxError> {
        let (from, began) = (self.store.applied().0, self.clock.now());
        let meters = self.meters.clone();
        let in_progress = &meters.server.snapshot_apply_in_progress_total;
        in_progress.set(1);
        tracing::info!(
            "current-applied-index" = from,
            "incoming-leader-snapshot-index" = state.index.0,
            "incoming-leader-snapshot-term" = state.term.0,
            "applying snapshot"
        );
        let view = self.store.install(state.index.0)?;
        self.check_membership(state)?;
        in_progress.set(0);
        let applied = &meters.server.proposals_applied_total;
        applied.set(state.index.0 as i64);
        self.members_changed.notify_one();
        self.discard_older(state.index.0);
        let installed = Installed {
            revision: view.revision(),
            compacted: view.compacted(),
        };
        for mailbox in self.mailboxes.iter().filter(|m| m.wants_events()) {
            mailbox.leave(|letters| letters.install(installed));
        }
        self.read_rounds.reached(state.index.0);
        tracing::info!(
            "current-applied-index" = state.index.0,
            revision = view.revision(),
            took = %GoDuration::from(self.clock.now().saturating_sub(began)),
            "applied snapshot"
        );
        Ok(())
    }

    /// Copies that came earlier are of no use any more.
    fn discard_older(&self, index: u64) {
        let backend = &self.quota.backend;
        for older in backend.received().unwrap_or_default() {
            if older < index {
                // What cannot be removed now is removed at the next start.
                let _left = backend.discard(older);
            }
        }
    }

    /// Raft counts quorums by what the sender has told it, the store by what is in the copy.
    fn check_membership(&mut self, state: &StateMeta) -> Result<(), BoxError> {
        let ids = |members: &[MemberId]| members.iter().map(|m| m.0).collect();
        let told = ConfState::new(ids(&state.conf.voters), ids(&state.conf.learners));
        let stored = self.store.conf_state()?;
        if stored != told {
            return Err(format!("the state of index {} has other members", state.index).into());
        }
        Ok(())
    }
}
