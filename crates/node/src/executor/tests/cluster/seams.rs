//! What a member of the cluster touches: a state machine in memory, and a network that is a queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::{
    AppliedChange, BoxError, CommittedChange, DropReason, Entry, Error, LogIndex, MemberId,
    Observer, PeerMessage, ProposalId, SoftState, StartingPoint, StateMachine, StateMeta, Term,
    Transport,
};

/// A state machine's state; all of it is durable at once.
#[derive(Clone, Default)]
pub(in crate::executor::tests) struct State {
    pub(in crate::executor::tests) from: StartingPoint,
    pub(in crate::executor::tests) payloads: Vec<Bytes>,
}

/// What a member leaves behind when it dies, besides its log.
#[derive(Default)]
pub(in crate::executor::tests) struct Kept {
    pub(in crate::executor::tests) state: State,
    /// Copies of leaders' states that have arrived, by index.
    pub(in crate::executor::tests) received: BTreeMap<LogIndex, State>,
}

/// What a member tells those around it.
#[derive(Default)]
pub(in crate::executor::tests) struct Told {
    pub(in crate::executor::tests) dropped: Vec<(ProposalId, DropReason)>,
    pub(in crate::executor::tests) refused: usize,
    pub(in crate::executor::tests) installed: usize,
    pub(in crate::executor::tests) asked: Vec<MemberId>,
    pub(in crate::executor::tests) offered: BTreeMap<MemberId, State>,
}

pub(in crate::executor::tests) type Shared<T> = Arc<Mutex<T>>;

pub(in crate::executor::tests) struct Machine {
    pub(in crate::executor::tests) kept: Shared<Kept>,
    pub(in crate::executor::tests) told: Shared<Told>,
}

impl StateMachine for Machine {
    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
        let state = &mut self.kept.lock().unwrap().state;
        for entry in entries {
            state.moved_to(entry.index, entry.term);
            if !entry.payload.is_empty() {
                state.payloads.push(entry.payload);
            }
        }
        Ok(())
    }

    fn judge_change(&mut self, _: &CommittedChange) -> bool {
        true
    }

    fn apply_change(&mut self, change: AppliedChange) -> Result<(), BoxError> {
        let state = &mut self.kept.lock().unwrap().state;
        state.moved_to(change.committed.index, change.committed.term);
        if let Some(conf_state) = change.conf_state {
            state.from.conf_state = conf_state;
        }
        Ok(())
    }

    fn install(&mut self, state: &StateMeta) -> Result<(), BoxError> {
        self.kept.lock().unwrap().install(state);
        self.told.lock().unwrap().installed += 1;
        Ok(())
    }

    fn role_changed(&mut self, _: SoftState) {}
}

impl State {
    fn moved_to(&mut self, index: LogIndex, term: Term) {
        assert_eq!(index, self.from.applied.next(), "each index once, in order");
        self.from.applied = index;
        self.from.applied_term = term;
    }
}

impl Kept {
    pub(in crate::executor::tests) fn install(&mut self, state: &StateMeta) {
        let copy = self.received.remove(&state.index).expect("it was received");
        assert!(self.state.from.applied < state.index);
        assert_eq!(copy.from.applied, state.index);
        self.state = copy;
    }
}

/// A message, and the copy of the state that travels with it.
pub(in crate::executor::tests) struct Parcel {
    pub(in crate::executor::tests) message: PeerMessage,
    pub(in crate::executor::tests) copy: Option<State>,
}

pub(in crate::executor::tests) struct Net {
    pub(in crate::executor::tests) network: Shared<VecDeque<Parcel>>,
    pub(in crate::executor::tests) told: Shared<Told>,
    pub(in crate::executor::tests) kept: Shared<Kept>,
}

impl Net {
    fn post(&self, message: PeerMessage, copy: Option<State>) {
        let parcel = Parcel { message, copy };
        self.network.lock().unwrap().push_back(parcel);
    }
}

impl Transport for Net {
    fn send(&mut self, messages: Vec<PeerMessage>) {
        for message in messages {
            self.post(message, None);
        }
    }

    fn offer_state(&mut self, to: MemberId) {
        self.told.lock().unwrap().asked.push(to);
    }

    fn withdraw_state(&mut self, to: MemberId) {
        let mut told = self.told.lock().unwrap();
        told.asked.retain(|asked| *asked != to);
        told.offered.remove(&to);
    }

    fn send_state(&mut self, message: PeerMessage) {
        let copy = self.told.lock().unwrap().offered.remove(&message.to);
        self.post(message, copy);
    }

    fn state_refused(&mut self, state: &StateMeta) {
        self.told.lock().unwrap().refused += 1;
        self.kept.lock().unwrap().received.remove(&state.index);
    }
}

impl Observer for Mutex<Told> {
    fn dropped(&self, ids: Vec<ProposalId>, reason: DropReason) {
        let dropped = ids.into_iter().map(|id| (id, reason));
        self.lock().unwrap().dropped.extend(dropped);
    }

    fn failed(&self, _: &Error) {}
}
