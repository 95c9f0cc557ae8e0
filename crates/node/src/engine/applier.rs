//! The state machine's side: one job at a time, in order.

use std::sync::Arc;

use crate::status::Board;
use crate::{
    AppliedChange, CommittedChange, Entry, Error, Input, SoftState, StateMachine, StateMeta,
};

/// Something for the state machine to do.
pub(crate) enum ApplyJob {
    /// Committed entries; not empty.
    Entries(Vec<Entry>),
    Judge(CommittedChange),
    Change(AppliedChange),
    Install(StateMeta),
    Role(SoftState),
}

/// Owner of the state machine.
pub(crate) struct Applier<S> {
    machine: S,
    board: Arc<Board>,
}

impl<S: StateMachine> Applier<S> {
    pub(crate) fn new(machine: S, board: Arc<Board>) -> Applier<S> {
        Applier { machine, board }
    }

    /// A small step of what can wait; returns whether there is more.
    pub(crate) fn idle(&mut self) -> bool {
        self.machine.idle()
    }

    /// Does one job; returns what the core wants to know of it.
    pub(crate) fn run(&mut self, job: ApplyJob) -> Result<Option<Input>, Error> {
        match job {
            ApplyJob::Entries(entries) => {
                let last = entries.last().expect("a job has entries").index;
                fail::fail_point!("raftBeforeApply");
                self.machine.apply(entries).map_err(Error::StateMachine)?;
                fail::fail_point!("raftAfterApply");
                self.board.set_applied(last);
                Ok(Some(Input::Applied(last)))
            }
            ApplyJob::Judge(change) => {
                let accepted = self.machine.judge_change(&change);
                Ok(Some(Input::ChangeJudged {
                    index: change.index,
                    accepted,
                }))
            }
            ApplyJob::Change(change) => {
                let index = change.committed.index;
                fail::fail_point!("beforeApplyOneConfChange");
                self.machine
                    .apply_change(change)
                    .map_err(Error::StateMachine)?;
                fail::fail_point!("afterApplyOneConfChange");
                self.board.set_applied(index);
                Ok(Some(Input::Applied(index)))
            }
            ApplyJob::Install(state) => {
                self.machine.install(&state).map_err(Error::StateMachine)?;
                self.board.set_applied(state.index);
                Ok(Some(Input::Applied(state.index)))
            }
            ApplyJob::Role(state) => {
                fail::fail_point!("raftBeforeRoleChange");
                self.machine.role_changed(state);
                Ok(None)
            }
        }
    }

    pub(crate) fn into_machine(self) -> S {
        self.machine
    }
}
