//! What an executor drives: the state machine, the way to the peers, and whoever wants to hear of
//! things.

use std::time::Duration;

use crate::{
    AppliedChange, BoxError, CommittedChange, DropReason, Entry, Error, MemberId, PeerMessage,
    ProposalId, Refusal, SoftState, StateMeta, WriteStats,
};

/// What committed entries are applied to. Called from one thread at a time, in log order.
pub trait StateMachine: Send + 'static {
    /// Applies entries and answers whoever waits for them. Each index comes once; an empty payload
    /// only moves the index.
    ///
    /// # Errors
    /// Anything stops the member: the effect of an entry must be the same everywhere, and failing
    /// is not.
    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError>;

    /// Whether a change of membership takes effect. A function of what was applied so far and
    /// nothing else. Not called for a change that nothing can come of.
    fn judge_change(&mut self, change: &CommittedChange) -> bool;

    /// Stores a change of membership with the resulting configuration and the applied index, in one
    /// atomic step, and answers whoever waits for it.
    ///
    /// # Errors
    /// As [`StateMachine::apply`].
    fn apply_change(&mut self, change: AppliedChange) -> Result<(), BoxError>;

    /// Goes on from the copy of a leader's state that the transport has received and made durable.
    /// The log already says so: after a crash at any point from here on, the start finishes it.
    ///
    /// # Errors
    /// As [`StateMachine::apply`].
    fn install(&mut self, state: &StateMeta) -> Result<(), BoxError>;

    /// Goes on with work that can wait, in a small step: called again and again while there is nothing to apply, as long
    /// as it returns that there is more, and now and then after that.
    fn idle(&mut self) -> bool {
        false
    }

    /// Hears of leadership, in order with the entries: a new leader's own entries come after this.
    fn role_changed(&mut self, state: SoftState);
}

/// The way to the peers. Called on the thread that runs the core.
pub trait Transport: Send + 'static {
    /// Sends what it can without blocking; the rest may be lost, and is reported by
    /// [`NodeHandle::unreachable`](crate::NodeHandle::unreachable).
    fn send(&mut self, messages: Vec<PeerMessage>);

    /// Prepares a copy of the state machine for a member that is too far behind, elsewhere; when it
    /// can be sent, [`NodeHandle::state_offered`](crate::NodeHandle::state_offered) says so.
    ///
    /// A transport without copies never answers: the member stays behind.
    fn offer_state(&mut self, to: MemberId) {
        let _ = to;
    }

    /// Drops the copy that was offered for this member, or is being prepared.
    fn withdraw_state(&mut self, to: MemberId) {
        let _ = to;
    }

    /// Sends the copy that was offered, after this message, whose body is
    /// [`PeerBody::State`](crate::PeerBody::State). At the end, whatever it is,
    /// [`NodeHandle::state_sent`](crate::NodeHandle::state_sent) says so.
    fn send_state(&mut self, message: PeerMessage) {
        let _ = message;
    }

    /// A message of this peer was dropped. If it was absurd, whatever connects the peer had better end.
    fn refused(&mut self, from: MemberId, refusal: Refusal) {
        let _ = (from, refusal);
    }

    /// Deletes a copy that was received: it is not wanted.
    fn state_refused(&mut self, state: &StateMeta) {
        let _ = state;
    }
}

/// No way to any peer, for a member that has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPeers;

impl Transport for NoPeers {
    fn send(&mut self, _messages: Vec<PeerMessage>) {}
}

/// Hears what happens in a member. Called on its threads; must not block.
pub trait Observer: Send + Sync + 'static {
    /// These proposals are not in the log and will never be.
    fn dropped(&self, ids: Vec<ProposalId>, reason: DropReason);

    /// The member has stopped by itself and acknowledges nothing any more. Called once.
    fn failed(&self, error: &Error);

    /// Something was written to the log, and made durable if the statistics say so.
    fn written(&self, took: Duration, stats: WriteStats) {
        let _ = (took, stats);
    }
}
