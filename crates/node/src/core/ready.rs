//! Readies: what raft-rs wants done, taken apart and put in the order in which it must take effect.

use raft::StateRole;
use raft::eraftpb::{self, MessageType};

use super::outbox::Pending;
use super::{Core, convert};
use crate::{
    Action, Batch, LogIndex, MemberId, PeerBody, PeerMessage, ReadFailure, ReadyNumber, Role,
    SoftState, StateMeta, Term,
};

impl Core {
    /// Lets everything take effect that the inputs have made possible.
    pub(super) fn settle(&mut self, actions: &mut Vec<Action>) {
        loop {
            self.grant_wish();
            self.propose_waiting(actions);
            self.start_reads();
            if !self.waiting_changes.is_empty() {
                self.propose_waiting_change(actions);
            }
            // First the core learns what is durable, then the messages that promise it leave.
            let durable = &mut self.durable;
            let settled = self.outbox.settle(|pending| {
                if let Some(state) = &pending.hard_state {
                    *durable = (state.term, state.vote);
                }
                if let Some(state) = &pending.state {
                    actions.push(Action::InstallState(state.clone()));
                }
            });
            if let Some(number) = settled {
                self.raft.on_persist_ready(number);
            }
            let messages = self.outbox.release(self.changed);
            if !messages.is_empty() {
                actions.push(Action::Send(messages));
            }
            if !self.raft.has_ready() {
                self.look_after_fetches(actions);
                self.look_after_transfers(actions);
                return;
            }
            self.collect(actions);
        }
    }

    fn start_reads(&mut self) {
        let raft = &self.raft.raft;
        let answers = raft.leader_id != raft::INVALID_ID
            && (raft.state != StateRole::Leader || raft.commit_to_current_term());
        if answers
            && let Some(context) = self
                .reads
                .start((Term(raft.term), MemberId(raft.leader_id)))
        {
            self.raft.read_index(context.to_vec());
        }
    }

    /// Takes one ready apart. Nothing else touches raft-rs between `ready` and
    /// `advance_append_async`.
    fn collect(&mut self, actions: &mut Vec<Action>) {
        let mut ready = self.raft.ready();
        let state = (!ready.snapshot().is_empty()).then(|| convert::state(ready.snapshot()));
        let entries = ready.take_entries();
        let committed = ready.take_committed_entries();
        let messages = ready.take_messages();
        let held = ready.take_persisted_messages();
        let read_states = ready.take_read_states();
        let (number, sync, hard_state) = (ready.number(), ready.must_sync(), ready.hs().cloned());
        if let Some(state) = &state {
            self.raft.mut_store().restore(state);
        }
        self.raft.mut_store().append(&entries);
        self.raft.advance_append_async(ready);

        self.announce(actions);
        let held = self.send_now(messages, held, actions);
        let written_state =
            self.persist(number, sync, state.clone(), &entries, hard_state, actions);
        self.gate
            .push(committed.iter().map(convert::entry).collect(), actions);
        let after_change = if self.leads() {
            LogIndex::ZERO
        } else {
            self.gate.last_change()
        };
        self.outbox.push(Pending {
            number,
            sync,
            hard_state: written_state,
            state,
            messages: held,
            after_change,
        });
        for state in read_states {
            self.answer_reads(&state, actions);
        }
    }

    fn announce(&mut self, actions: &mut Vec<Action>) {
        let raft = &self.raft.raft;
        let role = match raft.state {
            StateRole::Follower => Role::Follower,
            StateRole::PreCandidate => Role::PreCandidate,
            StateRole::Candidate => Role::Candidate,
            StateRole::Leader => Role::Leader,
        };
        let soft = SoftState {
            role,
            leader: MemberId(raft.leader_id),
            term: Term(raft.term),
        };
        if soft != self.soft {
            self.soft = soft;
            actions.push(Action::RoleChanged(soft));
            if let Some(reads) = self.reads.leadership_is((soft.term, soft.leader)) {
                actions.push(Action::ReadFailed {
                    reads,
                    reason: ReadFailure::LeaderChanged,
                });
            }
        }
    }

    /// Sends what promises nothing that is not on disk; returns the rest.
    ///
    /// A leader's messages promise its term and vote, so they too wait while these are being
    /// written: the only voter becomes leader and has entries for a learner in one step. Of a
    /// follower's messages heartbeat answers and read requests promise nothing about the log; were
    /// they to wait, one slow disk would delay reads and lose its leader.
    fn send_now(
        &mut self,
        messages: Vec<eraftpb::Message>,
        held: Vec<eraftpb::Message>,
        actions: &mut Vec<Action>,
    ) -> Vec<PeerMessage> {
        let raft = &self.raft.raft;
        let durable = self.durable == (raft.term, raft.vote);
        let promises_nothing = |message: &eraftpb::Message| {
            matches!(
                message.msg_type,
                MessageType::MsgHeartbeatResponse | MessageType::MsgReadIndex
            )
        };
        let (mut now, mut later) = (Vec::new(), Vec::new());
        let of_leader = messages.into_iter().map(|message| (durable, message));
        let of_others = held
            .into_iter()
            .map(|message| (durable && promises_nothing(&message), message));
        for (may_leave, message) in of_leader.chain(of_others) {
            if let Some(message) = convert::message(message) {
                if let PeerBody::State(state) = &message.body {
                    let transfers = &mut self.raft.mut_store().transfers;
                    transfers.sending(message.to, state.index);
                }
                if may_leave || ferrod_env::planted("message before persist") {
                    now.push(message)
                } else {
                    later.push(message)
                }
            }
        }
        if !now.is_empty() {
            actions.push(Action::Send(now));
        }
        later
    }

    /// Asks for a write if the ready needs one; returns the hard state that it makes durable. A
    /// commit index alone waits for company.
    fn persist(
        &mut self,
        number: u64,
        sync: bool,
        state: Option<StateMeta>,
        entries: &[eraftpb::Entry],
        hard_state: Option<eraftpb::HardState>,
        actions: &mut Vec<Action>,
    ) -> Option<eraftpb::HardState> {
        if !sync {
            self.commit_unwritten |= hard_state.is_some();
            return None;
        }
        let written =
            (hard_state.is_some() || self.commit_unwritten).then(|| self.raft.raft.hard_state());
        self.commit_unwritten = false;
        actions.push(Action::Persist(Batch {
            number: ReadyNumber(number),
            state,
            entries: entries.iter().map(convert::entry).collect(),
            hard_state: written.as_ref().map(convert::hard_state),
            sync,
        }));
        written
    }

    pub(super) fn write_commit(&mut self, actions: &mut Vec<Action>) {
        if !std::mem::take(&mut self.commit_unwritten) {
            return;
        }
        actions.push(Action::Persist(Batch {
            number: ReadyNumber(0),
            state: None,
            entries: Vec::new(),
            hard_state: Some(convert::hard_state(&self.raft.raft.hard_state())),
            sync: false,
        }));
    }

    fn answer_reads(&mut self, state: &raft::ReadState, actions: &mut Vec<Action>) {
        let leadership = (self.soft.term, self.soft.leader);
        if let Some(reads) = self.reads.answered(&state.request_ctx, leadership) {
            actions.push(Action::ReadReady {
                reads,
                index: LogIndex(state.index),
            });
        }
    }
}
