//! Between raft-rs and the state machine: committed entries in order, halted at a change of
//! membership.
//!
//! raft-rs hands out committed entries without regard to what they are. A change of membership must
//! be in force in the core before anything behind it is applied, and the state machine may refuse
//! it: so entries behind it wait here.

use std::collections::VecDeque;

use crate::{Action, CommittedChange, ConfChange, Entry, EntryKind, LogIndex};

/// Committed entries that were not handed out yet.
#[derive(Default)]
pub(super) struct Gate {
    queue: VecDeque<Entry>,
    /// The change that the state machine was asked about.
    judged: Option<CommittedChange>,
    /// The latest change of membership that was committed.
    last_change: LogIndex,
}

impl Gate {
    /// Takes committed entries and hands on what may be applied.
    pub(super) fn push(&mut self, mut entries: Vec<Entry>, actions: &mut Vec<Action>) {
        if entries.is_empty() {
            return;
        }
        entries.iter_mut().for_each(neutralize);
        let changes = entries
            .iter()
            .rev()
            .find(|entry| entry.kind == EntryKind::ConfChange);
        if let Some(entry) = changes {
            self.last_change = entry.index;
        } else if self.queue.is_empty() && self.judged.is_none() {
            actions.push(Action::Apply(entries));
            return;
        }
        self.queue.extend(entries);
        self.hand_on(actions);
    }

    /// The change that waits for its verdict, if it is the one at `index`; entries behind it may go
    /// on after this.
    pub(super) fn take_judged(&mut self, index: LogIndex) -> Option<CommittedChange> {
        self.judged.take_if(|change| change.index == index)
    }

    /// Hands on what may be applied.
    pub(super) fn hand_on(&mut self, actions: &mut Vec<Action>) {
        if self.judged.is_some() || self.queue.is_empty() {
            return;
        }
        let is_change = |entry: &Entry| entry.kind == EntryKind::ConfChange;
        let normal = self
            .queue
            .iter()
            .position(is_change)
            .unwrap_or(self.queue.len());
        if ferrod_env::planted("change applied early") && normal < self.queue.len() {
            self.queue.swap(0, normal);
            return self.hand_on_change(actions);
        }
        if normal > 0 {
            actions.push(Action::Apply(self.queue.drain(..normal).collect()));
        }
        self.hand_on_change(actions);
    }

    /// Asks about the change that is first, if there is anything.
    fn hand_on_change(&mut self, actions: &mut Vec<Action>) {
        if let Some(entry) = self.queue.pop_front() {
            let change = ConfChange::decode(entry.payload)
                .expect("only changes that decode are queued as such");
            let change = CommittedChange {
                index: entry.index,
                term: entry.term,
                change,
            };
            self.judged = Some(change.clone());
            actions.push(Action::JudgeChange(change));
        }
    }

    /// Forgets everything up to `index`, which came as a whole: no verdict is waited for.
    pub(super) fn start_over(&mut self, index: LogIndex) {
        self.queue.clear();
        self.judged = None;
        self.last_change = self.last_change.min(index);
    }

    /// Index of the latest committed change of membership; 0 if there was none.
    pub(super) fn last_change(&self) -> LogIndex {
        self.last_change
    }
}

/// A change of membership that does not decode is applied as an empty entry, on every member.
fn neutralize(entry: &mut Entry) {
    if entry.kind == EntryKind::ConfChange && ConfChange::decode(entry.payload.clone()).is_none() {
        entry.kind = EntryKind::Normal;
        entry.payload.clear();
    }
}
