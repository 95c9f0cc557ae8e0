//! Proposals: into the own log, to the leader, or back.

use raft::eraftpb::{self, MessageType};

use super::{Core, convert};
use crate::{
    Action, ConfChange, DropReason, EntryKind, Forward, MemberId, PeerBody, PeerMessage, Proposal,
    ProposalId, Term,
};

/// How many changes of membership may wait for the one before them.
const WAITING_CHANGES_MAX: usize = 16;

impl Core {
    pub(super) fn propose(&mut self, mut proposals: Vec<Proposal>, actions: &mut Vec<Action>) {
        let term = Term(self.raft.raft.term);
        let leads = self.leads();
        let bound = |proposal: &Proposal| {
            proposal
                .only_in_term
                .is_some_and(|only| !leads || only != term)
                && !ferrod_env::planted("lease ended by a deposed leader")
        };
        if proposals.iter().any(bound) {
            let refused: Vec<_> = proposals
                .extract_if(.., |proposal| bound(proposal))
                .collect();
            drop_all(&refused, DropReason::WrongTerm, actions);
        }
        if proposals.is_empty() {
            return;
        }
        match MemberId(self.raft.raft.leader_id).known() {
            Some(_) if leads && !self.hands_over() => self.propose_here(proposals, actions),
            Some(leader) if !leads => self.forward(leader, proposals, actions),
            _ => {
                let bytes_max = self.config.limits.waiting_bytes_max;
                let refused = self.waiting.add(proposals, bytes_max);
                drop_all(&refused, DropReason::NoLeader, actions);
            }
        }
    }

    /// Whether this member leads and takes no proposals, because another one is about to lead.
    fn hands_over(&self) -> bool {
        self.leads() && self.raft.raft.lead_transferee.is_some()
    }

    /// Proposes what has waited for a leader.
    pub(super) fn propose_waiting(&mut self, actions: &mut Vec<Action>) {
        let led = self.raft.raft.leader_id != raft::INVALID_ID && !self.hands_over();
        while led && !self.waiting.is_empty() {
            let proposals = self.waiting.take(self.config.limits.batch_bytes_max);
            self.propose(proposals, actions);
        }
    }

    pub(super) fn tick_waiting(&mut self, actions: &mut Vec<Action>) {
        let expired = self.waiting.tick(self.config.proposal_wait_ticks);
        drop_all(&expired, DropReason::NoLeader, actions);
    }

    pub(super) fn drop_waiting(&mut self, actions: &mut Vec<Action>) {
        let left = self.waiting.take(u64::MAX);
        drop_all(&left, DropReason::Stopped, actions);
    }

    fn propose_here(&mut self, proposals: Vec<Proposal>, actions: &mut Vec<Action>) {
        let mut run = Vec::with_capacity(proposals.len());
        for proposal in proposals {
            if proposal.kind == EntryKind::Normal {
                run.push(proposal);
                continue;
            }
            self.propose_run(std::mem::take(&mut run), actions);
            self.propose_change(proposal, actions);
        }
        self.propose_run(run, actions);
    }

    /// raft-rs takes one change at a time. It would put an empty entry in the place of a second one
    /// and tell nobody.
    fn propose_change(&mut self, proposal: Proposal, actions: &mut Vec<Action>) {
        if ConfChange::decode(proposal.payload.clone()).is_none() {
            drop_all(&[proposal], DropReason::Malformed, actions);
        } else if !self.raft.raft.has_pending_conf() && self.waiting_changes.is_empty() {
            self.propose_run(vec![proposal], actions);
        } else if self.waiting_changes.len() < WAITING_CHANGES_MAX {
            self.waiting_changes.push_back(proposal);
        } else {
            drop_all(&[proposal], DropReason::ConfChangePending, actions);
        }
    }

    /// Proposes the next change once the one before it is applied; if this member leads no more,
    /// someone else must be asked.
    pub(super) fn propose_waiting_change(&mut self, actions: &mut Vec<Action>) {
        if !self.leads() {
            let waiting = Vec::from(std::mem::take(&mut self.waiting_changes));
            drop_all(&waiting, DropReason::NoLeader, actions);
        } else if !self.hands_over()
            && !self.raft.raft.has_pending_conf()
            && let Some(proposal) = self.waiting_changes.pop_front()
        {
            self.propose_run(vec![proposal], actions);
        }
    }

    /// One message with many entries: each call sends appends of its own.
    fn propose_run(&mut self, proposals: Vec<Proposal>, actions: &mut Vec<Action>) {
        if proposals.is_empty() {
            return;
        }
        let raft = &self.raft.raft;
        let refused = if raft.prs().get(raft.id).is_none() {
            Some(DropReason::NotMember)
        } else {
            let entry =
                |proposal: &Proposal| convert::proposal(proposal.kind, proposal.payload.clone());
            let message = eraftpb::Message {
                msg_type: MessageType::MsgPropose,
                from: raft.id,
                entries: proposals.iter().map(entry).collect::<Vec<_>>().into(),
                ..eraftpb::Message::default()
            };
            self.raft
                .step(message)
                .err()
                .map(|_| DropReason::Overloaded)
        };
        if let Some(reason) = refused {
            drop_all(&proposals, reason, actions);
        }
    }

    fn forward(&mut self, leader: MemberId, proposals: Vec<Proposal>, actions: &mut Vec<Action>) {
        self.forwards += 1;
        let forward = Forward {
            nonce: self.config.boot_nonce,
            number: self.forwards,
            proposals: proposals
                .into_iter()
                .map(|proposal| (proposal.kind, proposal.payload))
                .collect(),
        };
        actions.push(Action::Send(vec![PeerMessage {
            from: self.config.member,
            to: leader,
            term: Term(self.raft.raft.term),
            body: PeerBody::Propose(forward),
        }]));
    }

    pub(super) fn take_forward(
        &mut self,
        from: MemberId,
        forward: Forward,
        actions: &mut Vec<Action>,
    ) {
        if !self.forwarded.is_new(from, forward.nonce, forward.number) {
            return;
        }
        let unnamed = |(kind, payload)| Proposal {
            id: UNNAMED,
            kind,
            payload,
            only_in_term: None,
        };
        // They come late if this member has led and leads no more. They are in no log, so they may wait here for the next
        // leader, or go on to it: it has a higher term, so nothing is sent in a circle. A refusal is heard by nobody: the
        // waiters' deadlines at the sender call the outcome unknown.
        let proposals = forward.proposals.into_iter().map(unnamed).collect();
        self.propose(proposals, actions);
    }
}

/// What was forwarded has no name here.
const UNNAMED: ProposalId = ProposalId(0);

fn drop_all(proposals: &[Proposal], reason: DropReason, actions: &mut Vec<Action>) {
    let named = proposals
        .iter()
        .map(|proposal| proposal.id)
        .filter(|id| *id != UNNAMED);
    let ids: Vec<_> = named.collect();
    if !ids.is_empty() {
        actions.push(Action::Dropped { ids, reason });
    }
}
