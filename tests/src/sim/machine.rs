//! The state machine as the simulation drives it: the store, and notes of everything it does.
//!
//! The server's own machine answers through tokio's channels to runtimes that do not exist here. This one is its thin
//! twin: decode, apply, publish, then tell. What it tells is read after each step of its member.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferrod_env::Clock;
use ferrod_lease::Ttl;
use ferrod_mvcc::{Changes, HashKv, KeyRange, RangeQuery, Reader, View};
use ferrod_node::{
    AppliedChange, BoxError, CommittedChange, ConfChange, ConfChangeKind, DropReason, Entry, Error,
    LogIndex, MemberId, Observer, PeerMessage, ProposalId, ReadFailure, SoftState, StateMachine,
    StateMeta, Transport,
};
use ferrod_proto::ApiError;
use ferrod_store::{Answer, ConfState, Effect, Member, MemberChange, Members, Store};

use super::lessor::Lessor;

/// What a member did since somebody last looked.
#[derive(Default)]
pub(super) struct Told {
    pub(super) sent: Vec<PeerMessage>,
    pub(super) applied: Vec<AppliedEntry>,
    /// The members after a change at an index.
    pub(super) members: Vec<(u64, Members)>,
    /// States that were published, each with its digest if one was taken.
    pub(super) states: Vec<State>,
    pub(super) answers: Vec<(u64, Result<Answer, ApiError>)>,
    pub(super) changes: Vec<Changes>,
    pub(super) revoked: Vec<i64>,
    pub(super) dropped: Vec<(u64, DropReason)>,
    pub(super) reads: Vec<(u64, Result<LogIndex, ReadFailure>)>,
    pub(super) roles: Vec<SoftState>,
    pub(super) offers: Vec<u64>,
    pub(super) withdrawn: Vec<u64>,
    pub(super) states_sent: Vec<PeerMessage>,
    pub(super) states_refused: Vec<StateMeta>,
    pub(super) installed: Option<State>,
    pub(super) failed: Option<String>,
}

/// An entry as it was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AppliedEntry {
    pub(super) index: u64,
    pub(super) term: u64,
    /// Hash of the payload.
    pub(super) payload: u64,
    /// Hash of what it did.
    pub(super) effect: u64,
    /// The request, or the name of a change of membership; 0 if it has none.
    pub(super) request: u64,
}

/// The state after an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) index: u64,
    pub(super) revision: i64,
    pub(super) compacted: i64,
    pub(super) digest: Option<u64>,
    /// What a comparison of members would look at.
    pub(super) hash: Option<HashKv>,
}

/// Where notes are left. One thread, so nobody waits.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Told>>);

impl Notes {
    pub(super) fn take(&self) -> Told {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Notes {
    fn dropped(&self, ids: Vec<ProposalId>, reason: DropReason) {
        self.lock()
            .dropped
            .extend(ids.iter().map(|id| (id.0, reason)));
    }

    fn failed(&self, error: &Error) {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        self.lock().failed = Some(text);
    }
}

/// The way to the peers: the world takes the messages from the notes.
pub(super) struct Wire(pub(super) Notes);

impl Transport for Wire {
    fn send(&mut self, messages: Vec<PeerMessage>) {
        self.0.lock().sent.extend(messages);
    }

    fn offer_state(&mut self, to: MemberId) {
        self.0.lock().offers.push(to.0);
    }

    fn withdraw_state(&mut self, to: MemberId) {
        self.0.lock().withdrawn.push(to.0);
    }

    fn send_state(&mut self, message: PeerMessage) {
        self.0.lock().states_sent.push(message);
    }

    fn state_refused(&mut self, state: &StateMeta) {
        self.0.lock().states_refused.push(state.clone());
    }
}

/// The store with whoever hears of what it does.
pub(super) struct Machine {
    pub(super) store: Store,
    pub(super) lessor: Lessor,
    pub(super) notes: Notes,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reader: Reader,
}

/// One state in so many is hashed as a whole.
const DIGEST_EVERY: u64 = 4;

impl StateMachine for Machine {
    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
        let last = entries.last().map(|entry| (entry.index.0, entry.term.0));
        for entry in entries {
            self.apply_entry(entry)?;
        }
        if let Some(last) = last {
            self.publish(last);
        }
        Ok(())
    }

    fn judge_change(&mut self, change: &CommittedChange) -> bool {
        member_change(&change.change)
            .is_some_and(|wanted| self.store.judge_member_change(&wanted).is_ok())
    }

    fn apply_change(&mut self, change: AppliedChange) -> Result<(), BoxError> {
        let AppliedChange {
            committed,
            conf_state,
        } = change;
        let accepted = conf_state.is_some();
        if let (Some(conf_state), Some(wanted)) = (conf_state, member_change(&committed.change)) {
            let ids = |members: &[ferrod_node::MemberId]| members.iter().map(|m| m.0).collect();
            let conf_state = ConfState::new(ids(&conf_state.voters), ids(&conf_state.learners));
            self.store.apply_member_change(wanted, &conf_state)?;
        }
        let at = (committed.index.0, committed.term.0);
        self.notes.lock().applied.push(AppliedEntry {
            index: at.0,
            term: at.1,
            payload: hash(&committed.change.encode()),
            effect: u64::from(accepted),
            request: committed.change.id,
        });
        self.publish(at);
        if accepted {
            let members = self.store.cluster().load().members.clone();
            self.notes.lock().members.push((at.0, members));
        }
        Ok(())
    }

    fn install(&mut self, state: &StateMeta) -> Result<(), BoxError> {
        let view = self.store.install(state.index.0)?;
        let installed = self.state(&view, true);
        let notes = &mut *self.notes.lock();
        notes.installed = Some(installed);
        notes.states.push(installed);
        Ok(())
    }

    fn idle(&mut self) -> bool {
        self.store.keyspace().maintain()
    }

    fn role_changed(&mut self, state: SoftState) {
        self.lessor.role_changed(&state);
        self.notes.lock().roles.push(state);
    }
}

impl Machine {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn apply_entry(&mut self, entry: Entry) -> Result<(), BoxError> {
        let mut done = AppliedEntry {
            index: entry.index.0,
            term: entry.term.0,
            payload: hash(&entry.payload),
            effect: 0,
            request: 0,
        };
        if entry.payload.is_empty() {
            self.lessor.term_began(entry.term, self.now());
            self.notes.lock().applied.push(done);
            return Ok(());
        }
        let (id, applied) = self.store.apply_payload(entry.payload)?;
        if let Some(effect) = &applied.effect {
            self.lessor.heard(effect, self.now());
        }
        done.request = id;
        done.effect = effect_hash(self.store.revision(), &applied);
        let notes = &mut *self.notes.lock();
        if let Some(Effect::Revoked(lease)) = &applied.effect {
            notes.revoked.push(lease.0);
        }
        notes.applied.push(done);
        notes.answers.push((id, applied.answer));
        notes.changes.extend(applied.changes);
        Ok(())
    }

    fn publish(&mut self, (index, term): (u64, u64)) {
        let view = self.store.publish(index, term);
        let state = self.state(&view, index % DIGEST_EVERY == 0);
        self.notes.lock().states.push(state);
    }

    pub(super) fn state(&mut self, view: &View, whole: bool) -> State {
        State {
            index: view.applied_index(),
            revision: view.revision(),
            compacted: view.compacted(),
            digest: whole.then(|| self.digest(view)),
            hash: whole.then(|| self.hash(view)),
        }
    }

    fn hash(&mut self, view: &View) -> HashKv {
        let hash = self.reader.hash_anew(view, 0);
        hash.expect("the newest view can be read")
    }

    /// A hash of all that members must agree on.
    fn digest(&mut self, view: &View) -> u64 {
        let mut digest = Digest::default();
        digest.add(&view.revision().to_le_bytes());
        digest.add(&view.compacted().to_le_bytes());
        let query = RangeQuery::new(KeyRange::ALL);
        let rows = self
            .reader
            .range(view, &query, &mut |row| digest.add(row.encoded));
        rows.expect("the newest view can be read");
        for (id, lease) in self.store.leases().read().iter() {
            digest.add(&id.0.to_le_bytes());
            digest.add(&lease.ttl().seconds().to_le_bytes());
            let left = lease.checkpoint().map_or(0, Ttl::seconds);
            digest.add(&left.to_le_bytes());
            lease.keys().for_each(|key| digest.add(key));
        }
        for (id, member) in &self.store.cluster().load().members.present {
            digest.add(&id.to_le_bytes());
            digest.add(&[u8::from(member.is_learner)]);
        }
        digest.0
    }
}

/// FNV-1a, which is enough to tell states apart that differ by mistake.
#[derive(Clone, Copy)]
struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.0 = (self.0 ^ bytes.len() as u64).wrapping_mul(0x0100_0000_01b3);
    }
}

pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut digest = Digest::default();
    digest.add(bytes);
    digest.0
}

fn effect_hash(revision: i64, applied: &ferrod_store::Applied) -> u64 {
    let mut digest = Digest::default();
    digest.add(&revision.to_le_bytes());
    digest.add(&[u8::from(applied.answer.is_ok())]);
    for change in applied.changes.iter().flat_map(|changes| &changes.list) {
        digest.add(&change.revision.main.to_le_bytes());
        digest.add(&change.row);
    }
    digest.0
}

/// What a change of raft's configuration means for the members.
fn member_change(change: &ConfChange) -> Option<MemberChange> {
    let id = change.member.0;
    let member = |is_learner| Member {
        id,
        peer_urls: vec![format!("http://member-{id}:2380")],
        is_learner,
        ..Member::default()
    };
    Some(match change.kind {
        ConfChangeKind::Remove => MemberChange::Remove(id),
        ConfChangeKind::Update => MemberChange::Update(member(false)),
        ConfChangeKind::AddLearner => MemberChange::Add(member(true)),
        ConfChangeKind::AddVoter if &change.context[..] == PROMOTION => MemberChange::Promote(id),
        ConfChangeKind::AddVoter => MemberChange::Add(member(false)),
    })
}

/// The context of a change that makes a learner a voter.
pub(super) const PROMOTION: &[u8] = b"promote";
