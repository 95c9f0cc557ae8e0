//! Time and elections: when a member may campaign, and that the timeouts repeat.

use bytes::Bytes;
use raft::StateRole;
use raft::eraftpb;

use super::{Core, jitter};
use crate::{Action, Config, LogIndex, MemberId, PeerBody, PeerMessage, Term};

/// An election that waits until it is safe.
pub(super) enum Wish {
    Campaign,
    /// The leader's own request.
    TakeOver(eraftpb::Message),
}

/// Tries to replace a leader whose connections closed. After these the election timeout decides.
const HUNT_TRIES_MAX: u32 = 5;

/// Ticks without use after which entries read from the disk are forgotten.
const TICKS_PER_CHUNK: u64 = 20;

/// The search for a new leader after the old one's connections closed.
pub(super) struct Hunt {
    /// Tries so far.
    tries: u32,
    /// The term this member was a candidate of at the last try: a vote that is still open then has
    /// been split.
    candidacy: Option<u64>,
}

/// What a leader that was removed has to say before it goes.
pub(super) struct Farewell {
    /// The term it led.
    term: u64,
    /// Where its removal is in the log.
    removal: LogIndex,
    /// To members that have the removal, and may not know that it is committed.
    messages: Vec<PeerMessage>,
}

impl Core {
    pub(super) fn tick(&mut self, actions: &mut Vec<Action>) {
        self.repeat_farewell(actions);
        self.tick_transfers(actions);
        self.tick_waiting(actions);
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS_PER_CHUNK) {
            self.raft.mut_store().fetches.get_mut().tick();
        }
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

    /// Lets so many ticks of the election timeout pass at once, if no leader is known.
    pub(super) fn hasten(&mut self, ticks: u32) {
        let raft = &mut self.raft.raft;
        if raft.leader_id == raft::INVALID_ID {
            raft.election_elapsed = raft.election_elapsed.saturating_add(ticks as usize);
        }
    }

    /// Whether raft-rs's next tick starts an election.
    fn would_campaign(&self) -> bool {
        let raft = &self.raft.raft;
        raft.state != StateRole::Leader
            && raft.promotable()
            && raft.election_elapsed + 1 >= raft.randomized_election_timeout()
    }

    /// Whether an election is safe: winning one asserts that the whole log is on disk, the only
    /// voter wins at once, and raft-rs looks for changes of membership behind what is applied. A suspect
    /// member must not lead.
    fn may_campaign(&self) -> bool {
        let log = &self.raft.raft.raft_log;
        let written = !self.outbox.is_writing() && log.persisted == log.last_index();
        let whole = self.installing.is_none() && !self.is_suspect();
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
            Some(_) if self.is_suspect() => self.wish = None,
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

    /// Forgets the leader if it is this peer, and campaigns after a short random delay: votes are
    /// possible again only where the leader is forgotten, so members that still hear it are left
    /// alone.
    pub(super) fn leader_gone(&mut self, peer: MemberId, actions: &mut Vec<Action>) {
        let raft = &mut self.raft.raft;
        if raft.state == StateRole::Follower && raft.leader_id == peer.0 {
            raft.become_follower(raft.term, raft::INVALID_ID);
            let hunt = Hunt {
                tries: 0,
                candidacy: None,
            };
            self.wait_for_hunt(hunt, actions);
        }
    }

    /// The delay after [`Action::CampaignSoon`] is over: campaigns, if there is still no leader.
    pub(super) fn campaign_due(&mut self, actions: &mut Vec<Action>) {
        let raft = &self.raft.raft;
        let Some(hunt) = self.hunt.take() else { return };
        if raft.leader_id != raft::INVALID_ID || hunt.tries >= HUNT_TRIES_MAX {
            return;
        }
        let candidacy = (raft.state == StateRole::Candidate).then_some(raft.term);
        if candidacy.is_none() || candidacy == hunt.candidacy {
            self.wish = Some(Wish::Campaign);
        }
        let next = Hunt {
            tries: hunt.tries + 1,
            candidacy,
        };
        self.wait_for_hunt(next, actions);
    }

    fn wait_for_hunt(&mut self, hunt: Hunt, actions: &mut Vec<Action>) {
        let (seed, member) = (self.config.seed, self.config.member.0);
        let permille = jitter::campaign_delay(seed, member, self.raft.raft.term, hunt.tries);
        self.hunt = Some(hunt);
        actions.push(Action::CampaignSoon { permille });
    }

    /// Hands leadership to the voter that has most of the log, of those heard of lately.
    pub(super) fn hand_over(&mut self) {
        let raft = &self.raft.raft;
        if !self.leads() || raft.lead_transferee.is_some() {
            return;
        }
        let is_fit = |member: &MemberId| *member != self.config.member;
        let others = self.conf_state.voters.iter().copied().filter(is_fit);
        let progress = others.filter_map(|member| {
            let progress = raft.prs().get(member.0)?;
            let known = progress.recent_active;
            known.then_some((progress.matched, member))
        });
        if let Some((_, member)) = progress.max_by_key(|(matched, _)| *matched) {
            self.transfer(member);
        }
    }

    /// Leads no more, whoever comes next.
    pub(super) fn step_down(&mut self) {
        if self.leads() {
            let raft = &mut self.raft.raft;
            raft.become_follower(raft.term, raft::INVALID_ID);
        }
    }

    /// A leader that was removed goes at once: raft-rs takes it for granted that a leader is a member, and panics on the
    /// next write or answer if it is not. The others hear first that its removal is committed, and whoever has most of the
    /// log that it may take over.
    pub(super) fn leave_office(&mut self, actions: &mut Vec<Action>) {
        let raft = &self.raft.raft;
        let (term, committed) = (raft.term, raft.raft_log.committed);
        let progress = |(id, progress): (&u64, &raft::Progress)| (*id, progress.matched);
        let mut others: Vec<_> = raft.prs().iter().map(progress).collect();
        others.sort_unstable();
        let message = |to, body| PeerMessage {
            from: self.config.member,
            to: MemberId(to),
            term: Term(term),
            body,
        };
        let heartbeat = |&(id, matched): &(u64, u64)| {
            let body = PeerBody::Heartbeat {
                commit: LogIndex(matched.min(committed)),
                context: Bytes::new(),
            };
            message(id, body)
        };
        let mut messages: Vec<_> = others.iter().map(heartbeat).collect();
        let votes = |(id, _): &&(u64, u64)| self.conf_state.voters.contains(&MemberId(*id));
        let heir = others
            .iter()
            .filter(votes)
            .max_by_key(|(_, matched)| *matched);
        messages.extend(heir.map(|(id, _)| message(*id, PeerBody::TimeoutNow)));
        if !messages.is_empty() {
            actions.push(Action::Send(messages.clone()));
        }
        let has_removal = |message: &PeerMessage| {
            let has = |(id, matched): &(u64, u64)| {
                MemberId(*id) == message.to && *matched >= self.changed.0
            };
            others.iter().any(has)
        };
        messages.retain(has_removal);
        self.farewell = Some(Farewell {
            term,
            removal: self.changed,
            messages,
        });
        self.step_down();
    }

    /// Says it again to those who have not answered. It may be lost, and nobody else can say it: of two members the one
    /// that is left cannot find out alone that the other one's removal is committed, and would ask for its vote for ever.
    pub(super) fn repeat_farewell(&mut self, actions: &mut Vec<Action>) {
        let term = self.raft.raft.term;
        self.farewell
            .take_if(|farewell| farewell.term != term || farewell.messages.is_empty());
        if let Some(farewell) = &self.farewell {
            actions.push(Action::Send(farewell.messages.clone()));
        }
    }

    /// Somebody has committed up to here.
    pub(super) fn hear_commit(&mut self, from: MemberId, commit: LogIndex) {
        if let Some(farewell) = &mut self.farewell
            && commit >= farewell.removal
        {
            farewell.messages.retain(|message| message.to != from);
        }
    }

    pub(super) fn transfer(&mut self, member: MemberId) {
        if self.leads() && self.conf_state.voters.contains(&member) {
            self.raft.transfer_leader(member.0);
        }
    }
}
