//! One raft member as a value: inputs in, actions out. No file, socket, thread, clock or random source.
//!
//! raft-rs does the thinking; the core feeds it only what cannot make it panic, keeps the promises that its asynchronous
//! interface asks of a caller, and translates. Start reading at [`Core::handle`], then `Core::collect`, where a ready is
//! taken apart.

mod convert;
mod forwarded;
mod gate;
mod jitter;
mod logger;
mod mem_log;
mod outbox;
mod reads;
mod validate;

use std::collections::VecDeque;

use raft::eraftpb::{self, MessageType};
use raft::{RawNode, StateRole, Storage as _};

use self::forwarded::Forwarded;
use self::gate::Gate;
use self::mem_log::MemLog;
use self::outbox::{Outbox, Pending};
use self::reads::Reads;
use crate::{
    Action, AppliedChange, Batch, ConfChange, ConfState, Config, DropReason, EntryKind, Error,
    Forward, Input, LogIndex, MemberId, PeerBody, PeerMessage, Proposal, ProposalId, ReadFailure,
    ReadyNumber, Recovered, Role, Severity, SoftState, StartingPoint, Term,
};

/// How many changes of membership may wait for the one before them.
const WAITING_CHANGES_MAX: usize = 16;

/// One raft member.
///
/// Owns raft-rs's state, so nothing can step between a ready and its advance: both happen in one call.
pub struct Core {
    raft: RawNode<MemLog>,
    config: Config,
    outbox: Outbox,
    gate: Gate,
    reads: Reads,
    forwarded: Forwarded,
    /// Batches sent to leaders so far.
    forwards: u64,
    /// Term and vote on disk. What a message promises by its term is kept only if these are current.
    durable: (u64, u64),
    /// Whether the commit index moved since the hard state was last written.
    commit_unwritten: bool,
    /// What was last announced.
    soft: SoftState,
    conf_state: ConfState,
    /// Changes of membership up to here are in force.
    changed: LogIndex,
    campaigns: u64,
    wish: Option<Wish>,
    /// Changes of membership that wait for the one before them: whoever hears that a change is applied may propose the
    /// next one before the core hears of it.
    waiting_changes: VecDeque<Proposal>,
}

/// An election that waits until it is safe.
enum Wish {
    Campaign,
    /// The leader's own request.
    TakeOver(eraftpb::Message),
}

impl Core {
    /// Starts from what the log and the state machine hold.
    ///
    /// # Errors
    /// If the configuration is unfit, or log and state machine do not fit together.
    pub fn new(config: Config, recovered: Recovered, from: &StartingPoint) -> Result<Core, Error> {
        let raft_config = config.to_raft(from.applied.0)?;
        let (entries, hard_state) = recovered.into_start(from)?;
        let applied = (from.applied.0, from.applied_term.0);
        let before = entries
            .first()
            .map_or(applied, |first| (first.index.0 - 1, 0));
        let start = mem_log::start_state(
            convert::raft_hard_state(hard_state),
            convert::raft_conf_state(&from.conf_state),
        );
        let mut log = MemLog::new(
            before,
            entries.into_iter().map(convert::raft_entry).collect(),
            start,
        );
        // The term before the first entry is not known, so that entry must go: raft-rs may ask for it.
        if before.0 > 0 {
            log.forget_first();
        }
        let raft = RawNode::new(&raft_config, log, &logger::logger(config.log.clone()))
            .map_err(|error| Error::Config(error.to_string()))?;
        let mut core = Core {
            outbox: Outbox::default(),
            gate: Gate::default(),
            reads: Reads::new(config.member, config.boot_nonce, config.read_retry_ticks),
            forwarded: Forwarded::default(),
            forwards: 0,
            durable: (hard_state.term.0, hard_state.vote.0),
            commit_unwritten: false,
            soft: SoftState {
                term: hard_state.term,
                ..SoftState::default()
            },
            conf_state: from.conf_state.clone(),
            changed: from.applied,
            campaigns: 0,
            wish: None,
            waiting_changes: VecDeque::new(),
            raft,
            config,
        };
        core.trim();
        core.raft.mut_store().own_payloads();
        core.set_timeout();
        Ok(core)
    }

    /// Takes one input. Never blocks and never fails; touches only `self` and `actions`.
    ///
    /// # Panics
    /// If the executor breaks the protocol: reports as applied what was not handed out.
    pub fn handle(&mut self, input: Input, actions: &mut Vec<Action>) {
        self.handle_all([input], actions);
    }

    /// Takes inputs that happened together, which costs less than one by one.
    ///
    /// # Panics
    /// As [`Core::handle`].
    pub fn handle_all(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        actions: &mut Vec<Action>,
    ) {
        for input in inputs {
            self.step(input, actions);
            self.set_timeout();
        }
        self.settle(actions);
    }

    fn step(&mut self, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Tick => self.tick(),
            Input::Campaign => self.wish = Some(Wish::Campaign),
            Input::Peer(message) => self.peer(message, actions),
            Input::Unreachable(peer) => self.raft.report_unreachable(peer.0),
            Input::LeaderGone(peer) => self.leader_gone(peer),
            Input::Propose(proposals) => self.propose(proposals, actions),
            Input::Read(read) => self.reads.add(read),
            Input::Transfer(member) => self.transfer(member),
            Input::Persisted(ReadyNumber(number)) => self.outbox.persisted(number),
            Input::Applied(index) => self.applied_to(index),
            Input::ChangeJudged { index, accepted } => self.change_judged(index, accepted, actions),
            Input::Idle => self.write_commit(actions),
        }
    }

    // Time and elections.

    fn tick(&mut self) {
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

    /// Whether an election is safe: winning one asserts that the whole log is on disk, and the only voter wins at once.
    fn may_campaign(&self) -> bool {
        let log = &self.raft.raft.raft_log;
        let written = !self.outbox.is_writing() && log.persisted == log.last_index();
        written && self.raft.raft.promotable() && self.gate.last_change().0 <= log.applied
    }

    /// Overwrites the timeout that raft-rs may just have drawn.
    fn set_timeout(&mut self) {
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

    fn grant_wish(&mut self) {
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

    fn leader_gone(&mut self, peer: MemberId) {
        let raft = &mut self.raft.raft;
        if raft.state == StateRole::Follower && raft.leader_id == peer.0 {
            raft.become_follower(raft.term, raft::INVALID_ID);
        }
    }

    fn transfer(&mut self, member: MemberId) {
        if self.leads() && self.conf_state.voters.contains(&member) {
            self.raft.transfer_leader(member.0);
        }
    }

    // Peers.

    fn peer(&mut self, message: PeerMessage, actions: &mut Vec<Action>) {
        let raft = &self.raft.raft;
        let view = validate::View {
            member: self.config.member,
            term: Term(raft.term),
            leads: self.leads(),
            last_index: raft.raft_log.last_index(),
            writing: self.outbox.is_writing(),
            is_member: &|member| raft.prs().get(member.0).is_some(),
        };
        if let Err(refusal) = validate::validate(&message, &view) {
            self.log(
                Severity::Warning,
                &format!("refused a message from {}: {refusal}", message.from),
            );
            return;
        }
        match message.body {
            PeerBody::Propose(forward) => self.take_forward(message.from, forward, actions),
            PeerBody::TimeoutNow => self.wish = convert::raft_message(message).map(Wish::TakeOver),
            _ => {
                let message =
                    convert::raft_message(message).expect("all other bodies are raft-rs's");
                let result = self.raft.step(message);
                self.note(result);
            }
        }
    }

    fn take_forward(&mut self, from: MemberId, forward: Forward, actions: &mut Vec<Action>) {
        if !self.forwarded.is_new(from, forward.nonce, forward.number) {
            return;
        }
        let unnamed = |(kind, payload)| Proposal {
            id: UNNAMED,
            kind,
            payload,
            only_in_term: None,
        };
        // A refusal is heard by nobody: the waiters' deadlines at the sender call the outcome unknown.
        self.propose_here(
            forward.proposals.into_iter().map(unnamed).collect(),
            actions,
        );
    }

    // Proposals.

    fn propose(&mut self, mut proposals: Vec<Proposal>, actions: &mut Vec<Action>) {
        let term = Term(self.raft.raft.term);
        let leads = self.leads();
        let bound = |proposal: &Proposal| {
            proposal
                .only_in_term
                .is_some_and(|only| !leads || only != term)
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
            _ if leads => self.propose_here(proposals, actions),
            Some(leader) => self.forward(leader, proposals, actions),
            None => drop_all(&proposals, DropReason::NoLeader, actions),
        }
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

    /// raft-rs takes one change at a time. It would put an empty entry in the place of a second one and tell nobody.
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

    /// Proposes the next change once the one before it is applied; if this member leads no more, someone else must be asked.
    fn propose_waiting_change(&mut self, actions: &mut Vec<Action>) {
        if !self.leads() {
            let waiting = Vec::from(std::mem::take(&mut self.waiting_changes));
            drop_all(&waiting, DropReason::NoLeader, actions);
        } else if !self.raft.raft.has_pending_conf()
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
        } else if raft.lead_transferee.is_some() {
            Some(DropReason::LeaderTransfer)
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

    // The state machine's answers.

    fn applied_to(&mut self, index: LogIndex) {
        self.raft.advance_apply_to(index.0);
        self.trim();
    }

    fn trim(&mut self) {
        let limits = &self.config.limits;
        let alone = self.conf_state.voters.len() + self.conf_state.learners.len() <= 1;
        let bytes_max = if alone {
            limits.log_bytes_max_alone
        } else {
            limits.log_bytes_max
        };
        let applied = self.raft.raft.raft_log.applied;
        self.raft.mut_store().trim(applied, bytes_max);
    }

    fn change_judged(&mut self, index: LogIndex, accepted: bool, actions: &mut Vec<Action>) {
        let committed = self
            .gate
            .take_judged(index)
            .expect("a verdict answers the change that was handed out");
        let conf_state = if accepted {
            self.apply_change(&committed.change)
        } else {
            None
        };
        self.changed = index;
        actions.push(Action::ApplyChange(AppliedChange {
            committed,
            conf_state,
        }));
        self.gate.hand_on(actions);
    }

    /// Brings a change into force. `None` if raft-rs finds it impossible, which it finds on every member.
    fn apply_change(&mut self, change: &ConfChange) -> Option<ConfState> {
        if let Some(change) = convert::raft_conf_change(change) {
            match self.raft.apply_conf_change(&change) {
                Ok(state) => self.conf_state = convert::conf_state(&state),
                Err(error) => {
                    self.log(
                        Severity::Warning,
                        &format!("refused a change of membership: {error}"),
                    );
                    return None;
                }
            }
        }
        Some(self.conf_state.clone())
    }

    // Readies.

    /// Lets everything take effect that the inputs have made possible.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        loop {
            self.grant_wish();
            self.start_reads();
            if !self.waiting_changes.is_empty() {
                self.propose_waiting_change(actions);
            }
            // First the core learns what is durable, then the messages that promise it leave.
            let durable = &mut self.durable;
            if let Some(number) = self
                .outbox
                .settle(|state| *durable = (state.term, state.vote))
            {
                self.raft.on_persist_ready(number);
            }
            let messages = self.outbox.release(self.changed);
            if !messages.is_empty() {
                actions.push(Action::Send(messages));
            }
            if !self.raft.has_ready() {
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

    /// Takes one ready apart. Nothing else touches raft-rs between `ready` and `advance_append_async`.
    fn collect(&mut self, actions: &mut Vec<Action>) {
        let mut ready = self.raft.ready();
        assert!(
            ready.snapshot().is_empty(),
            "no message that brings a snapshot passes the fence"
        );
        let entries = ready.take_entries();
        let committed = ready.take_committed_entries();
        let messages = ready.take_messages();
        let held = ready.take_persisted_messages();
        let read_states = ready.take_read_states();
        let (number, sync, hard_state) = (ready.number(), ready.must_sync(), ready.hs().cloned());
        self.raft.mut_store().append(&entries);
        self.raft.advance_append_async(ready);

        self.announce(actions);
        let held = self.send_now(messages, held, actions);
        let written_state = self.persist(number, sync, &entries, hard_state, actions);
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
    /// A leader's messages promise its term and vote, so they too wait while these are being written: the only voter
    /// becomes leader and has entries for a learner in one step. Of a follower's messages heartbeat answers and read
    /// requests promise nothing about the log; were they to wait, one slow disk would delay reads and lose its leader.
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
                if may_leave {
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

    /// Asks for a write if the ready needs one; returns the hard state that it makes durable. A commit index alone waits
    /// for company.
    fn persist(
        &mut self,
        number: u64,
        sync: bool,
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
            entries: entries.iter().map(convert::entry).collect(),
            hard_state: written.as_ref().map(convert::hard_state),
            sync,
        }));
        written
    }

    fn write_commit(&mut self, actions: &mut Vec<Action>) {
        if !std::mem::take(&mut self.commit_unwritten) {
            return;
        }
        actions.push(Action::Persist(Batch {
            number: ReadyNumber(0),
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

    // What can be asked.

    fn leads(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    /// Role, leader and term as last announced.
    #[must_use]
    pub fn soft_state(&self) -> SoftState {
        self.soft
    }

    /// Highest index known to be committed.
    #[must_use]
    pub fn committed(&self) -> LogIndex {
        LogIndex(self.raft.raft.raft_log.committed)
    }

    /// Highest index reported as applied.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        LogIndex(self.raft.raft.raft_log.applied)
    }

    /// Last index of the log, durable or not.
    #[must_use]
    pub fn last_index(&self) -> LogIndex {
        LogIndex(self.raft.raft.raft_log.last_index())
    }

    /// The membership in force.
    #[must_use]
    pub fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    /// Whether this member is the only voter.
    #[must_use]
    pub fn is_sole_voter(&self) -> bool {
        self.conf_state.voters == [self.config.member]
    }

    /// Whether what is applied here is all that anyone can have been promised, so that reads need no round: the only
    /// voter, leading, with an entry of its term applied. Before that the disk's commit index may lag behind promises made
    /// before a restart.
    #[must_use]
    pub fn reads_alone(&self) -> bool {
        self.leads() && self.is_sole_voter() && self.raft.raft.apply_to_current_term()
    }

    /// Bytes of entries in memory.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.raft.store().bytes()
    }

    /// First index that is in memory.
    #[must_use]
    pub fn first_index(&self) -> LogIndex {
        LogIndex(
            self.raft
                .store()
                .first_index()
                .expect("a log in memory always answers"),
        )
    }

    /// Fails every read that waits: the member is stopping.
    pub fn fail_reads(&mut self, actions: &mut Vec<Action>) {
        let reads = self.reads.fail_all();
        if !reads.is_empty() {
            actions.push(Action::ReadFailed {
                reads,
                reason: ReadFailure::Stopped,
            });
        }
    }

    fn note(&self, result: raft::Result<()>) {
        if let Err(error) = result {
            self.log(Severity::Info, &format!("raft: {error}"));
        }
    }

    fn log(&self, severity: Severity, line: &str) {
        if let Some(log) = &self.config.log {
            log(severity, line);
        }
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

#[cfg(test)]
mod tests;
