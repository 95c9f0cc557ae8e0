//! Who is in the cluster, and an operator who changes it.
//!
//! What the operator wants goes through the log as in production, one change at a time, by way of any member. It is as
//! careful as an operator must be: a machine is turned on when it is a member and off when one that stays knows that it is
//! none any more, a learner gets its vote when it has caught up, and no quorum is taken from members that have forgotten
//! something.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ferrod_node::{ConfChange, ConfChangeKind, MemberId, Proposal, ProposalId};
use ferrod_store::Members;

use super::{Event, Judged, World};
use crate::sim::host::Host;
use crate::sim::machine::PROMOTION;
use crate::sim::process;

/// Machines that are on, or soon may be.
const HOSTS_MAX: usize = 6;

/// Who is in the cluster, and who shall be.
#[derive(Default)]
pub(super) struct Roster {
    /// The last change that anyone has applied.
    index: u64,
    /// The members after it.
    members: Members,
    /// Machines that were to be added and may still be.
    wanted: BTreeSet<u64>,
    /// Members that were to be removed and may still be.
    unwanted: BTreeSet<u64>,
    /// Learners that never start.
    absent: Vec<u64>,
    /// Ids that were given out to machines that came later, and to such learners.
    machines: u64,
    strangers: u64,
}

/// Ids of learners that never start are above this.
const STRANGERS: u64 = 100;

impl Roster {
    fn is_voter(&self, id: u64) -> bool {
        let member = self.members.present.get(&id);
        member.is_some_and(|member| !member.is_learner)
    }

    fn is_learner(&self, id: u64) -> bool {
        let member = self.members.present.get(&id);
        member.is_some_and(|member| member.is_learner)
    }

    /// Voters if everything happens that was asked for.
    fn staying(&self) -> usize {
        let present = self.members.present.values();
        let staying = |id: &u64| !self.unwanted.contains(id);
        let voters = present.filter(|member| !member.is_learner);
        voters.map(|member| member.id).filter(staying).count()
    }
}

impl World {
    /// Voters that there are at least, whatever becomes of what was asked for.
    pub(super) fn voters_at_least(&self) -> usize {
        self.roster.staying()
    }

    /// The operator wants something.
    ///
    /// covers: M-01, M-10
    pub(super) fn operate(&mut self) -> Judged {
        let Some(every) = self.plan.operates_every.filter(|_| self.troubled) else {
            return Ok(());
        };
        let ids: Vec<u64> = self.hosts.keys().copied().collect();
        let by = ids[self.rng.usize(0..ids.len())];
        let wish = match self.rng.u8(0..9) {
            0 => Some(self.change_strangers()),
            1 => Some((ConfChangeKind::Update, by, &b""[..])),
            2..4 => self.add_machine(),
            4..7 => self.promote(),
            _ => self.remove(),
        };
        if let Some((kind, member, context)) = wish {
            self.propose_change(by, kind, member, context);
        }
        let next = self.draw_around(every);
        self.plan_at(next, Event::Operate);
        Ok(())
    }

    fn propose_change(
        &mut self,
        by: u64,
        kind: ConfChangeKind,
        member: u64,
        context: &'static [u8],
    ) {
        let now = self.now;
        self.trace.note(now, [25, by, member], || {
            format!("{by} is asked for {kind:?} {member}")
        });
        let Some(process) = self.running(by) else {
            return;
        };
        let name = process.new_request();
        let change = ConfChange {
            id: name,
            kind,
            member: MemberId(member),
            context: Bytes::from_static(context),
        };
        let proposal = Proposal::conf_change(ProposalId(name), &change);
        // A member that has stopped answers nobody.
        let _stopped = process.executor.handle().propose_as(proposal);
        self.wake_node(by, now);
    }

    /// A learner that never starts comes or goes.
    fn change_strangers(&mut self) -> (ConfChangeKind, u64, &'static [u8]) {
        match self.roster.absent.pop() {
            Some(learner) => (ConfChangeKind::Remove, learner, b""),
            None => {
                self.roster.strangers += 1;
                let learner = STRANGERS + self.roster.strangers;
                self.roster.absent.push(learner);
                (ConfChangeKind::AddLearner, learner, b"")
            }
        }
    }

    /// A new machine as a learner or, less carefully, as a voter.
    fn add_machine(&mut self) -> Option<(ConfChangeKind, u64, &'static [u8])> {
        let id = match self.roster.wanted.first() {
            // Perhaps the first attempt was lost.
            Some(id) => *id,
            None if self.hosts.len() >= HOSTS_MAX => return None,
            None => {
                self.roster.machines += 1;
                self.plan.members + self.roster.machines
            }
        };
        self.roster.wanted.insert(id);
        let kind = if self.rng.u8(0..3) == 0 {
            ConfChangeKind::AddVoter
        } else {
            ConfChangeKind::AddLearner
        };
        Some((kind, id, b""))
    }

    /// A learner gets its vote.
    fn promote(&mut self) -> Option<(ConfChangeKind, u64, &'static [u8])> {
        let committed = self.truth.committed();
        let is_ready = |host: &&Host| {
            let process = host.running.as_ref();
            self.roster.is_learner(host.id)
                && !host.is_doubted()
                && process.is_some_and(|process| 10 * process.applied >= 9 * committed)
        };
        let learner = self.hosts.values().find(is_ready)?.id;
        Some((ConfChangeKind::AddVoter, learner, PROMOTION))
    }

    /// A member goes for ever, if the others are enough.
    fn remove(&mut self) -> Option<(ConfChangeKind, u64, &'static [u8])> {
        let present = self.roster.members.present.keys();
        let ids: Vec<u64> = present.copied().filter(|id| *id < STRANGERS).collect();
        let id = *ids.get(self.rng.usize(0..ids.len().max(1)))?;
        let mut staying = self.roster.staying();
        if self.roster.is_voter(id) && !self.roster.unwanted.contains(&id) {
            staying -= 1;
        }
        let stay = |host: &&Host| host.id != id && host.is_doubted();
        let doubted = self.hosts.values().filter(stay).count();
        if staying == 0 || doubted > (staying - 1) / 2 {
            return None;
        }
        self.roster.unwanted.insert(id);
        Some((ConfChangeKind::Remove, id, b""))
    }

    /// Somebody has applied a change.
    pub(super) fn members_changed(&mut self, index: u64, members: Members) {
        let roster = &mut self.roster;
        if index <= roster.index {
            return;
        }
        self.counts.changes += 1;
        roster.index = index;
        let is_new = |id: &u64| members.present.contains_key(id);
        let arrived: Vec<u64> = roster.wanted.iter().copied().filter(is_new).collect();
        let hosts = self.hosts.keys().copied();
        let gone: Vec<u64> = hosts.filter(|id| members.removed.contains(id)).collect();
        roster.wanted.retain(|id| !is_new(id));
        roster.unwanted.retain(is_new);
        roster.members = members;
        for id in arrived {
            self.turn_on(id);
        }
        for id in gone {
            let at = self.draw(0, 2_000);
            self.plan_at(at, Event::TurnOff(id));
        }
    }

    fn turn_on(&mut self, id: u64) {
        let (seed, sync) = (self.rng.u64(..), self.plan.sync_takes.clone());
        let host = Host::new(id, seed, Arc::clone(&self.clock), sync);
        host.create_log(process::wal_options(&self.plan), &[]);
        self.hosts.insert(id, host);
        let at = self.draw(0, 1_000);
        self.plan_for(id, at, Event::Restart(id));
    }

    /// A machine is turned off for ever when somebody who stays knows that it was removed: of two members the one that is
    /// left may need the other one to hear of it.
    pub(super) fn turn_off(&mut self, id: u64) -> Judged {
        if !self.hosts.contains_key(&id) {
            return Ok(());
        }
        let knows = |host: &Host| self.roster.is_voter(host.id) && host.refuses(id);
        if !self.hosts.values().any(knows) {
            let at = self.draw(50, 500);
            self.plan_at(at, Event::TurnOff(id));
            return Ok(());
        }
        self.trace
            .note(self.now, [26, id, 0], || format!("{id} is turned off"));
        self.hang_up(id);
        self.hosts.remove(&id);
        self.network.lose_inbound(id);
        self.tell_leader_gone(id);
        Ok(())
    }
}
