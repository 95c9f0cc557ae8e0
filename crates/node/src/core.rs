//! One raft member as a value: inputs in, actions out. No file, socket, thread, clock or random
//! source.
//!
//! raft-rs does the thinking; the core feeds it only what cannot make it panic, keeps the promises
//! that its asynchronous interface asks of a caller, and translates. Start reading at
//! [`Core::handle`], then `Core::collect` in `ready.rs`.

mod chunks;
mod convert;
mod election;
mod fetches;
mod forwarded;
mod gate;
mod jitter;
mod logger;
mod mem_log;
mod outbox;
mod propose;
mod put_back;
mod reads;
mod ready;
mod state_transfer;
mod suspect;
mod terms;
mod transfers;
mod validate;
mod waiting;

use std::collections::{BTreeSet, VecDeque};

use raft::{RawNode, StateRole};

use self::election::{Farewell, Hunt, Wish};
use self::forwarded::Forwarded;
use self::gate::Gate;
use self::mem_log::MemLog;
use self::outbox::Outbox;
use self::reads::Reads;
use self::waiting::Waiting;
use crate::recovered::Start;
use crate::{
    Action, AppliedChange, ConfChange, ConfChangeKind, ConfState, Config, Contradiction, Error,
    Forgotten, Input, LogIndex, MemberId, PeerBody, PeerMessage, Progress, Proposal, ReadFailure,
    ReadyNumber, Recovered, Refusal, Severity, SoftState, StartingPoint, Term,
};

/// One raft member.
///
/// Owns raft-rs's state, so nothing can step between a ready and its advance: both happen in one
/// call.
pub struct Core {
    raft: RawNode<MemLog>,
    config: Config,
    outbox: Outbox,
    gate: Gate,
    reads: Reads,
    forwarded: Forwarded,
    /// Batches sent to leaders so far.
    forwards: u64,
    /// Term and vote on disk. What a message promises by its term is kept only if these are
    /// current.
    durable: (u64, u64),
    /// Whether the commit index moved since the hard state was last written.
    commit_unwritten: bool,
    /// What was last announced.
    soft: SoftState,
    conf_state: ConfState,
    /// Members whose removal has come into force since the start; what of them was under way already counts no more.
    removed: BTreeSet<MemberId>,
    /// Changes of membership up to here are in force.
    changed: LogIndex,
    campaigns: u64,
    ticks: u64,
    /// Set while the member is suspect: it is to be trusted when it has applied this.
    suspect_until: Option<LogIndex>,
    /// The copy of the state that is being put in place of this member's.
    installing: Option<LogIndex>,
    wish: Option<Wish>,
    hunt: Option<Hunt>,
    farewell: Option<Farewell>,
    /// Proposals that wait for a leader.
    waiting: Waiting,
    /// Changes of membership that wait for the one before them: whoever hears that a change is
    /// applied may propose the next one before the core hears of it.
    waiting_changes: VecDeque<Proposal>,
}

impl Core {
    /// Starts from what the log and the state machine hold.
    ///
    /// # Errors
    /// If the configuration is unfit, or log and state machine do not fit together.
    pub fn new(config: Config, recovered: Recovered, from: &StartingPoint) -> Result<Core, Error> {
        let again = u64::from(ferrod_env::planted("apply twice"));
        let raft_config = config.to_raft(from.applied.0.saturating_sub(again))?;
        let Start {
            before,
            entries,
            hard_state,
        } = recovered.into_start(from)?;
        let start = mem_log::start_state(
            convert::raft_hard_state(hard_state),
            convert::raft_conf_state(&from.conf_state),
        );
        let before_term = before.1.map_or(0, |term| term.0);
        let mut log = MemLog::new(
            (before.0.0, before_term),
            entries.into_iter().map(convert::raft_entry).collect(),
            start,
        );
        // raft-rs may ask for the term before the first entry; if it is not known, that entry goes.
        if before.1.is_none() {
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
            removed: BTreeSet::new(),
            changed: from.applied,
            campaigns: 0,
            ticks: 0,
            suspect_until: config.suspect_until,
            installing: None,
            wish: None,
            hunt: None,
            farewell: None,
            waiting: Waiting::default(),
            waiting_changes: VecDeque::new(),
            raft,
            config,
        };
        core.trust_at(from.applied);
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
            Input::Tick => self.tick(actions),
            Input::Campaign => self.wish = Some(Wish::Campaign),
            Input::Hasten(ticks) => self.hasten(ticks),
            Input::Peer(message) => self.peer(message, actions),
            Input::Unreachable(peer) => self.raft.report_unreachable(peer.0),
            Input::LeaderGone(peer) => self.leader_gone(peer, actions),
            Input::CampaignDue => self.campaign_due(actions),
            Input::HandOver => self.hand_over(),
            Input::StepDown => self.step_down(),
            Input::Propose(proposals) => self.propose(proposals, actions),
            Input::Read(read) => self.reads.add(read),
            Input::Transfer(member) => self.transfer(member),
            Input::Persisted(ReadyNumber(number)) => self.outbox.persisted(number),
            Input::Applied(index) => self.applied_to(index),
            Input::ChangeJudged { index, accepted } => self.change_judged(index, accepted, actions),
            Input::Fetched { low, entries } => self.fetched(low, entries),
            Input::Released(index) => self.raft.mut_store().released(index.0),
            Input::StateOffered { to, offer } => self.state_offered(to, offer, actions),
            Input::StateSent { to, index, arrived } => self.state_sent(to, index, arrived),
            Input::LogLost { member, last } => self.log_lost(member, last),
            Input::TrustFrom(index) => self.trust_from(index),
            Input::Idle => self.write_commit(actions),
        }
    }

    // Peers.

    fn peer(&mut self, mut message: PeerMessage, actions: &mut Vec<Action>) {
        if self.is_deaf_to(&message.body) {
            return;
        }
        if matches!(message.body, PeerBody::Vote { .. }) && self.removed.contains(&message.from) {
            return;
        }
        if let Err(refusal) = self.judge(&message) {
            return self.refuse(message, refusal, actions);
        }
        if let PeerBody::HeartbeatAnswer { commit, .. } = &message.body {
            self.hear_commit(message.from, *commit);
        }
        if let PeerBody::Heartbeat { commit, .. } = &mut message.body {
            *commit = self.commit_within_log(*commit);
        }
        match message.body {
            PeerBody::Propose(forward) => self.take_forward(message.from, forward, actions),
            PeerBody::State(ref state) => {
                let state = state.clone();
                self.take_state(message, state, actions);
            }
            PeerBody::TimeoutNow => self.wish = convert::raft_message(message).map(Wish::TakeOver),
            _ => {
                let message =
                    convert::raft_message(message).expect("all other bodies are raft-rs's");
                let result = self.raft.step(message);
                self.note(result);
            }
        }
    }

    fn judge(&self, message: &PeerMessage) -> Result<(), Refusal> {
        let raft = &self.raft.raft;
        let view = validate::View {
            member: self.config.member,
            term: Term(raft.term),
            leads: self.leads(),
            leader: MemberId(raft.leader_id),
            last_index: raft.raft_log.last_index(),
            committed: raft.raft_log.committed,
            writing: self.outbox.is_writing(),
            reads_waiting: raft.pending_read_count(),
            proposal_bytes_max: self.config.limits.proposal_bytes_max,
            is_member: &|member| raft.prs().get(member.0).is_some(),
            term_at: &|index| Some(Term(raft.raft_log.term(index).ok()?)).filter(|t| t.0 > 0),
        };
        validate::validate(message, &view)
    }

    /// Drops a message. A leader of this very configuration whose log differs from what is committed
    /// here is more than one bad message: one of the two has lost what somebody was promised, and
    /// going on would make it worse. So is one that counts on entries that this member has lost.
    fn refuse(&mut self, message: PeerMessage, refusal: Refusal, actions: &mut Vec<Action>) {
        let PeerMessage {
            from, term, body, ..
        } = message;
        self.log(
            Severity::Warning,
            &format!("refused a message from {from}: {refusal}"),
        );
        let leads = matches!(body, PeerBody::Append { .. } | PeerBody::State(_));
        if let PeerBody::State(state) = body {
            actions.push(Action::RefuseState(state));
        }
        actions.push(Action::Refused { from, refusal });
        match refusal {
            Refusal::Contradiction {
                index,
                ours,
                theirs,
            } if leads && self.raft.raft.prs().get(from.0).is_some() => {
                actions.push(Action::Contradicted(Contradiction {
                    leader: from,
                    leader_term: term,
                    index,
                    ours,
                    theirs,
                }));
            }
            Refusal::Forgotten { counted, last } => actions.push(Action::Forgotten(Forgotten {
                leader: from,
                leader_term: term,
                counted,
                last,
            })),
            _ => {}
        }
    }

    // The state machine's answers.

    fn applied_to(&mut self, index: LogIndex) {
        self.installing.take_if(|installing| *installing <= index);
        self.raft.advance_apply_to(index.0);
        self.trust_at(index);
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
        let Some(committed) = self.gate.take_judged(index) else {
            // A copy of the state has arrived meanwhile, and the change is in it.
            assert!(
                index <= self.changed,
                "a verdict answers what was handed out"
            );
            return;
        };
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
        if self.leads() && self.raft.raft.prs().get(self.config.member.0).is_none() {
            self.leave_office(actions);
        }
        self.gate.hand_on(actions);
    }

    /// Brings a change into force. `None` if raft-rs finds it impossible, which it finds on every
    /// member.
    fn apply_change(&mut self, change: &ConfChange) -> Option<ConfState> {
        if ferrod_env::planted("removed member counts") && change.kind == ConfChangeKind::Remove {
            self.conf_state.voters.retain(|id| *id != change.member);
            return Some(self.conf_state.clone());
        }
        if let Some(change) = convert::raft_conf_change(change) {
            match self.raft.apply_conf_change(&change) {
                Ok(state) => self.take_conf_state(convert::conf_state(&state)),
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

    fn take_conf_state(&mut self, state: ConfState) {
        let before = std::mem::replace(&mut self.conf_state, state);
        let members = before.voters.into_iter().chain(before.learners);
        self.removed.extend(members);
        let now = &self.conf_state;
        self.removed
            .retain(|id| !now.voters.contains(id) && !now.learners.contains(id));
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

    /// Whether what is applied here is all that anyone can have been promised, so that reads need
    /// no round: the only voter, leading, with an entry of its term applied. Before that the disk's
    /// commit index may lag behind promises made before a restart.
    #[must_use]
    pub fn reads_alone(&self) -> bool {
        self.leads() && self.is_sole_voter() && self.raft.raft.apply_to_current_term()
    }

    /// How far each member is, as the leader knows it; `None` if this member does not lead.
    #[must_use]
    pub fn progress(&self) -> Option<Vec<Progress>> {
        let of_one = |(member, progress): (&u64, &raft::Progress)| Progress {
            member: MemberId(*member),
            matched: LogIndex(progress.matched),
            next: LogIndex(progress.next_idx),
        };
        let mut all: Vec<_> = self.raft.raft.prs().iter().map(of_one).collect();
        all.sort_unstable_by_key(|progress| progress.member);
        self.leads().then_some(all)
    }

    /// Ticks without a leader before an election.
    #[must_use]
    pub fn election_ticks(&self) -> u32 {
        self.config.election_ticks
    }

    /// Bytes of entries in memory.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.raft.store().bytes()
    }

    /// First index that is in memory.
    #[must_use]
    pub fn first_index(&self) -> LogIndex {
        LogIndex(self.raft.store().first_in_memory())
    }

    /// Fails every read and proposal that waits: the member is stopping.
    pub fn give_up(&mut self, actions: &mut Vec<Action>) {
        self.drop_waiting(actions);
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

#[cfg(test)]
mod tests;
