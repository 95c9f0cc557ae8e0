//! Members whose disks, networks and state machines move only when told to.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::{
    Action, AppliedChange, Batch, CommittedChange, ConfChange, ConfChangeKind, Config, Core, Entry,
    EntryKind, Fetch, HardState, Input, LogIndex, MemberId, PeerBody, PeerMessage, Recovered, Role,
    SoftState, StartingPoint, StateMeta, Term,
};

/// Something for a state machine to do.
pub(super) enum Job {
    Entries(Vec<Entry>),
    Judge(CommittedChange),
    Change(AppliedChange),
    Install(StateMeta),
}

/// All that a state machine has applied.
pub(super) type Applied = Vec<(LogIndex, Term, Bytes)>;

/// One member with its surroundings.
pub(super) struct Member {
    /// `None` while it is down.
    pub(super) core: Option<Core>,
    /// What survives a crash.
    pub(super) log: Recovered,
    pub(super) from: StartingPoint,
    pub(super) applied: Applied,
    /// Copies of leaders' states that have arrived, by their index.
    pub(super) received: BTreeMap<LogIndex, Applied>,
    /// What does not.
    /// Who is to get a copy of the state, and the copies taken for them.
    pub(super) asked: Vec<MemberId>,
    pub(super) copies: BTreeMap<MemberId, Applied>,
    pub(super) writes: Vec<Batch>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) boots: u64,
    pub(super) refuses_changes: bool,
    /// Ranges to be read from the disk.
    pub(super) fetches: Vec<Fetch>,
    /// What is flushed is still on its disk.
    pub(super) keeps_log: bool,
    /// Bytes of entries kept in memory.
    pub(super) log_bytes_max: Option<u64>,
    /// Its disk is damaged, and nobody has told it yet how to heal.
    pub(super) is_damaged: bool,
    /// The mark of a suspect member: how far it must apply.
    pub(super) suspect_until: Option<LogIndex>,
}

/// Members and the messages between them.
#[derive(Default)]
pub(super) struct Rig {
    pub(super) members: BTreeMap<u64, Member>,
    pub(super) network: Vec<PeerMessage>,
    /// Messages that are held up.
    pub(super) parked: Vec<PeerMessage>,
    /// Copies on their way, by receiver and index; all of one index are equal.
    copies: BTreeMap<(MemberId, LogIndex), Applied>,
    /// Peers lie: what was promised to one of them may be broken by another.
    liars: bool,
    /// Who led each term.
    leaders: BTreeMap<Term, MemberId>,
}

pub(super) fn voter(member: u64) -> ConfChange {
    ConfChange {
        id: 0,
        kind: ConfChangeKind::AddVoter,
        member: MemberId(member),
        context: Bytes::new(),
    }
}

impl Rig {
    /// Without the promises that only honest peers let a member keep.
    pub(super) fn among_liars() -> Rig {
        Rig {
            liars: true,
            ..Rig::default()
        }
    }

    /// Adds members that start from equal logs, in which each of `voters` is added.
    pub(super) fn bootstrap(&mut self, members: &[u64], voters: &[u64]) {
        for member in members {
            let mut log = Recovered::default();
            for (index, id) in (1..).zip(voters) {
                let payload = voter(*id).encode();
                let entry = Entry {
                    index: LogIndex(index),
                    term: Term(1),
                    kind: EntryKind::ConfChange,
                    payload,
                };
                log.push_entry(entry).unwrap();
            }
            let count = voters.len() as u64;
            let (term, commit) = (Term(u64::from(count > 0)), LogIndex(count));
            log.push_hard_state(HardState {
                term,
                vote: MemberId::NONE,
                commit,
            });
            let member_state = Member {
                core: None,
                log,
                from: StartingPoint::default(),
                applied: Vec::new(),
                received: BTreeMap::new(),
                asked: Vec::new(),
                copies: BTreeMap::new(),
                writes: Vec::new(),
                jobs: VecDeque::new(),
                boots: 0,
                refuses_changes: false,
                fetches: Vec::new(),
                keeps_log: false,
                log_bytes_max: None,
                is_damaged: false,
                suspect_until: None,
            };
            self.members.insert(*member, member_state);
            self.start(*member);
        }
    }

    /// Starts a member from what survived.
    pub(super) fn start(&mut self, id: u64) {
        let member = self.member(id);
        member.boots += 1;
        member.finish_install();
        let mut config = Config {
            election_ticks: 5,
            suspect_until: member.suspect_until,
            ..Config::new(MemberId(id), 1, member.boots)
        };
        if let Some(bytes_max) = member.log_bytes_max {
            config.limits.log_bytes_max = bytes_max;
        }
        let core = Core::new(config, member.log.clone(), &member.from).unwrap();
        member.core = Some(core);
    }

    /// Forgets all that was not durable.
    pub(super) fn crash(&mut self, id: u64) {
        let member = self.member(id);
        member.core = None;
        member.writes.clear();
        member.jobs.clear();
        member.asked.clear();
        member.copies.clear();
        member.fetches.clear();
    }

    /// Crashes a member for good: all that was on its disk is lost.
    pub(super) fn damage(&mut self, id: u64) {
        self.crash(id);
        self.member(id).is_damaged = true;
    }

    /// Starts a damaged member over, as a suspect one.
    pub(super) fn begin_again(&mut self, id: u64, term: Term, until: LogIndex) {
        let member = self.member(id);
        member.is_damaged = false;
        member.suspect_until = Some(until);
        member.log = Recovered::default();
        member.log.push_hard_state(HardState {
            term,
            vote: MemberId(id),
            commit: LogIndex::ZERO,
        });
        member.from = StartingPoint::default();
        member.applied.clear();
        member.received.clear();
        self.start(id);
    }

    /// What all other members would tell a damaged one at this moment, if they can: the highest term of theirs, and the last
    /// index of the leader that a majority without the damaged one would confirm.
    pub(super) fn ask_for(&self, id: u64) -> Option<(Term, LogIndex)> {
        let others = self.members.iter().filter(|(other, _)| **other != id);
        let others: Vec<_> = others
            .map(|(_, member)| member.core.as_ref())
            .collect::<Option<_>>()?;
        let leads = |core: &&&Core| core.soft_state().role == Role::Leader;
        let leader = others.iter().filter(leads);
        let leader = leader.max_by_key(|core| core.soft_state().term)?;
        let term = leader.soft_state().term;
        let confirm = others.iter().filter(|core| core.soft_state().term <= term);
        let floor = others.iter().map(|core| core.soft_state().term).max()?;
        (confirm.count() > self.members.len() / 2).then_some((floor, leader.last_index()))
    }

    /// A member tells all others that its log ends where it does; what it hears may let it be trusted earlier.
    pub(super) fn tell_log_lost(&mut self, id: u64) -> Vec<Action> {
        let core = self.members[&id].core.as_ref();
        let last = core.map(Core::last_index).unwrap_or_default();
        let member = MemberId(id);
        let mut actions = Vec::new();
        for other in self.ids().into_iter().filter(|other| *other != id) {
            actions.extend(self.input(other, Input::LogLost { member, last }));
        }
        if let Some((_, until)) = self.ask_for(id) {
            actions.extend(self.input(id, Input::TrustFrom(until)));
        }
        actions
    }

    pub(super) fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).unwrap()
    }

    pub(super) fn is_up(&self, id: u64) -> bool {
        self.members[&id].core.is_some()
    }

    /// Gives a core one input and carries out what it asks for; returns that.
    pub(super) fn input(&mut self, id: u64, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Input::Peer(PeerMessage {
            body: PeerBody::State(state),
            ..
        }) = &input
        {
            let copy = self.copies.get(&(MemberId(id), state.index)).cloned();
            let copy = copy.unwrap_or_default();
            self.member(id).received.insert(state.index, copy);
        }
        let Some(core) = self.member(id).core.as_mut() else {
            return actions;
        };
        core.handle(input, &mut actions);
        let trusted = !core.is_suspect();
        self.member(id).suspect_until.take_if(|_| trusted);
        for action in &actions {
            self.carry_out(id, action);
        }
        let fails =
            |action: &Action| matches!(action, Action::Contradicted(_) | Action::Forgotten(_));
        if actions.iter().any(fails) {
            self.crash(id);
        }
        actions
    }

    fn carry_out(&mut self, id: u64, action: &Action) {
        let member = self.members.get_mut(&id).unwrap();
        match action.clone() {
            Action::RoleChanged(SoftState {
                role: Role::Leader,
                term,
                ..
            }) => {
                let leader = *self.leaders.entry(term).or_insert(MemberId(id));
                assert_eq!(leader, MemberId(id), "two leaders of term {term}");
            }
            Action::Send(messages) => {
                for message in messages {
                    if !self.liars {
                        member.check_promise(&message);
                    }
                    if let PeerBody::State(state) = &message.body {
                        let copy = member.copies.remove(&message.to).unwrap();
                        self.copies.insert((message.to, state.index), copy);
                    }
                    self.network.push(message);
                }
            }
            Action::Persist(batch) => member.writes.push(batch),
            Action::Fetch(fetch) => member.fetches.push(fetch),
            Action::OfferState { to } => member.asked.push(to),
            Action::WithdrawState { to } => {
                member.asked.retain(|asked| *asked != to);
                member.copies.remove(&to);
            }
            Action::RefuseState(state) => {
                // The one that is being installed may be brought again.
                let recorded = member.log.state().map(|state| state.index);
                let writing = member.writes.iter().any(|batch| batch.state.is_some());
                if recorded != Some(state.index) && !writing {
                    member.received.remove(&state.index);
                }
            }
            Action::InstallState(state) => member.jobs.push_back(Job::Install(state)),
            Action::Apply(entries) => member.jobs.push_back(Job::Entries(entries)),
            Action::JudgeChange(change) => member.jobs.push_back(Job::Judge(change)),
            Action::ApplyChange(change) => member.jobs.push_back(Job::Change(change)),
            _ => {}
        }
    }

    /// The disk of a member does everything it was asked to.
    pub(super) fn persist(&mut self, id: u64) -> Vec<Action> {
        let member = self.member(id);
        let batches = std::mem::take(&mut member.writes);
        let mut last = None;
        for batch in batches {
            batch
                .state
                .into_iter()
                .for_each(|state| member.log.push_state(state).unwrap());
            batch
                .entries
                .into_iter()
                .for_each(|entry| member.log.push_entry(entry).unwrap());
            batch
                .hard_state
                .into_iter()
                .for_each(|state| member.log.push_hard_state(state));
            last = last.max(batch.sync.then_some(batch.number));
        }
        last.map(|number| self.input(id, Input::Persisted(number)))
            .unwrap_or_default()
    }

    /// The state machine of a member does one job.
    pub(super) fn apply(&mut self, id: u64) -> Vec<Action> {
        let member = self.member(id);
        let Some(job) = member.jobs.pop_front() else {
            return Vec::new();
        };
        let input = match job {
            Job::Entries(entries) => {
                let last = entries.last().unwrap().index;
                for entry in entries {
                    assert_eq!(entry.kind, EntryKind::Normal);
                    member.moved_to(entry.index, entry.term, entry.payload);
                }
                Input::Applied(last)
            }
            Job::Judge(change) => Input::ChangeJudged {
                index: change.index,
                accepted: !member.refuses_changes,
            },
            Job::Install(state) => {
                assert!(member.from.applied < state.index, "installed what is older");
                member.install(&state);
                Input::Applied(state.index)
            }
            Job::Change(change) => {
                let committed = change.committed;
                member.moved_to(committed.index, committed.term, committed.change.encode());
                if let Some(conf_state) = change.conf_state {
                    member.from.conf_state = conf_state;
                }
                Input::Applied(committed.index)
            }
        };
        self.input(id, input)
    }

    /// The disk of a member answers what it was asked to read.
    pub(super) fn fetch(&mut self, id: u64) -> Vec<Action> {
        let member = self.member(id);
        let mut actions = Vec::new();
        for Fetch { low, high, .. } in std::mem::take(&mut member.fetches) {
            let member = self.member(id);
            let wanted = |entry: &&Entry| entry.index >= low && entry.index < high;
            let entries = member.log.entries().iter().filter(wanted).cloned();
            let entries: Vec<_> = entries.filter(|_| member.keeps_log).collect();
            let begins = entries.first().is_some_and(|first| first.index == low);
            let entries = if begins { entries } else { Vec::new() };
            actions.extend(self.input(id, Input::Fetched { low, entries }));
        }
        actions
    }

    /// The transport of a member answers the oldest request for a copy of its state.
    pub(super) fn offer(&mut self, id: u64) -> Vec<Action> {
        let member = self.member(id);
        if member.asked.is_empty() {
            return Vec::new();
        }
        let to = member.asked.remove(0);
        let offer = if member.from.applied == LogIndex::ZERO {
            Err("nothing is applied".to_owned())
        } else {
            let copy = member.applied.clone();
            member.copies.insert(to, copy);
            Ok(StateMeta {
                index: member.from.applied,
                term: member.from.applied_term,
                conf: member.from.conf_state.clone(),
            })
        };
        self.input(id, Input::StateOffered { to, offer })
    }

    /// The transport of a sender reports how copies of the state have ended.
    pub(super) fn report(&mut self, messages: &[PeerMessage], arrived: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        for message in messages {
            if let PeerBody::State(state) = &message.body {
                let (to, index) = (message.to, state.index);
                let input = Input::StateSent { to, index, arrived };
                actions.extend(self.input(message.from.0, input));
            }
        }
        actions
    }

    /// Takes the messages to a member from the network.
    pub(super) fn messages_to(&mut self, id: u64) -> Vec<PeerMessage> {
        self.network
            .extract_if(.., |message| message.to == MemberId(id))
            .collect()
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.members.keys().copied().collect()
    }
}

impl Member {
    pub(super) fn core(&self) -> &Core {
        self.core.as_ref().unwrap()
    }

    fn install(&mut self, state: &StateMeta) {
        self.applied = self.received[&state.index].clone();
        self.from = StartingPoint {
            applied: state.index,
            applied_term: state.term,
            conf_state: state.conf.clone(),
        };
        self.received.retain(|index, _| *index > state.index);
    }

    /// What a start does before anything else: the log says whether a copy that has arrived counts.
    fn finish_install(&mut self) {
        let state = self.log.state().cloned();
        match state {
            Some(state) if state.index > self.from.applied => self.install(&state),
            _ => {}
        }
        self.received.clear();
    }

    fn moved_to(&mut self, index: LogIndex, term: Term, payload: Bytes) {
        assert_eq!(index, self.from.applied.next(), "each index once, in order");
        assert!(index <= self.log.last(), "applied what is not on disk");
        self.from.applied = index;
        self.from.applied_term = term;
        self.applied.push((index, term, payload));
    }

    /// A message leaves only when what it promises is durable.
    fn check_promise(&self, message: &PeerMessage) {
        let state = self.log.hard_state();
        let (term, me) = (message.term, message.from);
        // In an earlier term than the one on disk this member will never do anything again.
        let kept_for = |vote| term < state.term || (term == state.term && state.vote == vote);
        let kept = match &message.body {
            PeerBody::Append { .. }
            | PeerBody::Heartbeat { .. }
            | PeerBody::TimeoutNow
            | PeerBody::State(_) => kept_for(me),
            PeerBody::Accepted { index, .. } => {
                term <= state.term && (*index <= self.log.last() || *index <= self.from.applied)
            }
            PeerBody::Vote { pre: false, .. } => kept_for(me),
            PeerBody::VoteAnswer {
                pre: false,
                granted: true,
                ..
            } => kept_for(message.to),
            PeerBody::VoteAnswer { pre: true, .. } | PeerBody::Vote { pre: true, .. } => true,
            PeerBody::VoteAnswer { .. }
            | PeerBody::Rejected { .. }
            | PeerBody::HeartbeatAnswer { .. }
            | PeerBody::ReadIndexAnswer { .. } => term <= state.term,
            PeerBody::ReadIndex { .. } | PeerBody::Propose(_) => true,
        };
        assert!(
            kept,
            "not durable yet: {message:?}, on disk {state:?} up to {}",
            self.log.last()
        );
    }
}
