//! Time and elections: when a member may campaign, and that the timeouts repeat.

use raft::StateRole;
use raft::eraftpb;

use super::{Core, jitter};
use crate::{Action, Config, MemberId};

/// An election that waits until it is safe.
pub(super) enum Wish {
    Campaign,
    /// The leader's own request.
    TakeOver(eraftpb::Message),
}

impl Core {
    pub(super) fn tick(&mut self, actions: &mut Vec<Action>) {
        self.tick_transfers(actions);
        if self.raft.raft.leader_id != raft::INVALID_ID
            && let Some(context) = self.reads.tick()
        {
            self.raft.read_index(context.to_vec());
        }
        if self.would_campaign() {
            if !self.may_campaign() {
                return;
            }
            self.campaigns += 1;
        }
        self.raft.tick();
    }

    /// Whether raft-rs's next tick starts an election.
    fn would_campaign(&self) -> bool {
        let raft = &self.raft.raft;
        raft.state != StateRole::Leader
            && raft.promotable()
            && raft.election_elapsed + 1 >= raft.randomized_election_timeout()
    }

    /// Whether an election is safe: winning one asserts that the whole log is on disk, the only
    /// voter wins at once, and raft-rs looks for changes of membership behind what is applied.
    fn may_campaign(&self) -> bool {
        let log = &self.raft.raft.raft_log;
        let written = !self.outbox.is_writing() && log.persisted == log.last_index();
        let whole = self.installing.is_none();
        written && whole && self.raft.raft.promotable() && self.gate.last_change().0 <= log.applied
    }

    /// Overwrites the timeout that raft-rs may just have drawn.
    pub(super) fn set_timeout(&mut self) {
        let Config {
            seed,
            member,
            election_ticks,
            ..
        } = self.config;
        let raft = &mut self.raft.raft;
        let timeout =
            jitter::election_timeout(seed, member.0, raft.term, self.campaigns, election_ticks);
        raft.set_randomized_election_timeout(timeout);
    }

    pub(super) fn grant_wish(&mut self) {
        let raft = &self.raft.raft;
        let led = raft.leader_id != raft::INVALID_ID;
        match &self.wish {
            Some(Wish::Campaign) if led => self.wish = None,
            Some(Wish::TakeOver(message)) if message.term < raft.term => self.wish = None,
            Some(_) if self.may_campaign() => {
                self.campaigns += 1;
                let result = match self.wish.take() {
                    Some(Wish::TakeOver(message)) => self.raft.step(message),
                    _ => self.raft.campaign(),
                };
                self.note(result);
                self.set_timeout();
            }
            _ => {}
        }
    }

    pub(super) fn leader_gone(&mut self, peer: MemberId) {
        let raft = &mut self.raft.raft;
        if raft.state == StateRole::Follower && raft.leader_id == peer.0 {
            raft.become_follower(raft.term, raft::INVALID_ID);
        }
    }

    pub(super) fn transfer(&mut self, member: MemberId) {
        if self.leads() && self.conf_state.voters.contains(&member) {
            self.raft.transfer_leader(member.0);
        }
    }
}
