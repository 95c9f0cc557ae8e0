//! What must wait for the disk: readies that were handed out for writing, with the messages that
//! promise what they hold.

use std::collections::VecDeque;

use raft::eraftpb::HardState;

use crate::{LogIndex, PeerMessage, StateMeta};

/// A ready between raft-rs and the disk.
pub(super) struct Pending {
    pub(super) number: u64,
    /// Whether it needs a sync of its own. One that does not is done when those before it are.
    pub(super) sync: bool,
    /// Term and vote that are durable once it is.
    pub(super) hard_state: Option<HardState>,
    /// The copy of the state that the log names once it is.
    pub(super) state: Option<StateMeta>,
    pub(super) messages: Vec<PeerMessage>,
    /// A change of membership that must be in force before the messages leave: quorums count with
    /// the applied one.
    pub(super) after_change: LogIndex,
}

/// Readies in their order.
#[derive(Default)]
pub(super) struct Outbox {
    /// Not durable yet.
    writing: VecDeque<Pending>,
    /// Durable; their messages wait for a change of membership only.
    written: VecDeque<Pending>,
}

impl Outbox {
    /// Queues a ready.
    pub(super) fn push(&mut self, pending: Pending) {
        self.writing.push_back(pending);
    }

    /// Whether a ready that needs a sync is not durable yet.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.iter().any(|pending| pending.sync)
    }

    /// Takes note that a ready and all before it are durable.
    pub(super) fn persisted(&mut self, number: u64) {
        for pending in self
            .writing
            .iter_mut()
            .take_while(|pending| pending.number <= number)
        {
            pending.sync = false;
        }
    }

    /// Moves on what waits for nothing on the disk. `durable` hears of each. Returns the last ready
    /// that moved.
    pub(super) fn settle(&mut self, mut durable: impl FnMut(&Pending)) -> Option<u64> {
        let mut last = None;
        while let Some(pending) = pop_if(&mut self.writing, |pending| !pending.sync) {
            last = Some(pending.number);
            durable(&pending);
            if !pending.messages.is_empty() {
                self.written.push_back(pending);
            }
        }
        last
    }

    /// Messages that may leave now that changes up to `change` are in force.
    pub(super) fn release(&mut self, change: LogIndex) -> Vec<PeerMessage> {
        let mut messages = Vec::new();
        while let Some(pending) =
            pop_if(&mut self.written, |pending| pending.after_change <= change)
        {
            messages.extend(pending.messages);
        }
        messages
    }
}

fn pop_if(queue: &mut VecDeque<Pending>, fits: impl Fn(&Pending) -> bool) -> Option<Pending> {
    if queue.front().is_some_and(fits) {
        queue.pop_front()
    } else {
        None
    }
}
