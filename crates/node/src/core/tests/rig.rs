//! Members whose disks, networks and state machines move only when told to.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::{
    Action, AppliedChange, Batch, CommittedChange, ConfChange, ConfChangeKind, Config, Core, Entry,
    EntryKind, HardState, Input, LogIndex, MemberId, PeerBody, PeerMessage, Recovered, Role,
    SoftState, StartingPoint, Term,
};

/// Something for a state machine to do.
pub(super) enum Job {
    Entries(Vec<Entry>),
    Judge(CommittedChange),
    Change(AppliedChange),
}

/// One member with its surroundings.
pub(super) struct Member {
    /// `None` while it is down.
    pub(super) core: Option<Core>,
    /// What survives a crash.
    pub(super) log: Recovered,
    pub(super) from: StartingPoint,
    pub(super) applied: Vec<(LogIndex, Term, Bytes)>,
    /// What does not.
    pub(super) writes: Vec<Batch>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) boots: u64,
    pub(super) refuses_changes: bool,
}

/// Members and the messages between them.
#[derive(Default)]
pub(super) struct Rig {
    pub(super) members: BTreeMap<u64, Member>,
    pub(super) network: Vec<PeerMessage>,
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
                writes: Vec::new(),
                jobs: VecDeque::new(),
                boots: 0,
                refuses_changes: false,
            };
            self.members.insert(*member, member_state);
            self.start(*member);
        }
    }

    /// Starts a member from what survived.
    pub(super) fn start(&mut self, id: u64) {
        let member = self.member(id);
        member.boots += 1;
        let config = Config {
            election_ticks: 5,
            ..Config::new(MemberId(id), 1, member.boots)
        };
        let core = Core::new(config, member.log.clone(), &member.from).unwrap();
        member.core = Some(core);
    }

    /// Forgets all that was not durable.
    pub(super) fn crash(&mut self, id: u64) {
        let member = self.member(id);
        member.core = None;
        member.writes.clear();
        member.jobs.clear();
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
        let Some(core) = self.member(id).core.as_mut() else {
            return actions;
        };
        core.handle(input, &mut actions);
        for action in &actions {
            self.carry_out(id, action);
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
                    member.check_promise(&message);
                    self.network.push(message);
                }
            }
            Action::Persist(batch) => member.writes.push(batch),
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
