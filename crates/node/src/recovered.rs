//! The log as it was read back, and whether a state machine can go on from it.

use crate::{ConfState, Entry, Error, HardState, LogIndex, StateMeta, Term};

/// The log as it was read back: what the records say after later ones have replaced earlier ones.
///
/// Invariant: entries are contiguous and follow the copy of the state, if there was one; their terms
/// do not fall, and the hard state's term is at least theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last copy of a leader's state that replaced everything before it.
    state: Option<StateMeta>,
    entries: Vec<Entry>,
    hard_state: HardState,
}

impl Recovered {
    /// Takes note that a copy of a leader's state replaced everything written so far.
    ///
    /// # Errors
    /// [`Error::CommittedReplaced`] if more was committed.
    pub fn push_state(&mut self, state: StateMeta) -> Result<(), Error> {
        let commit = self.hard_state.commit;
        if state.index < commit {
            let index = state.index;
            return Err(Error::CommittedReplaced { index, commit });
        }
        self.entries.clear();
        self.state = Some(state);
        Ok(())
    }

    /// Takes the next entry as written.
    ///
    /// # Errors
    /// [`Error::Gap`], [`Error::CommittedReplaced`] or [`Error::TermOrder`].
    pub fn push_entry(&mut self, entry: Entry) -> Result<(), Error> {
        let begun = self.state.is_some() || !self.entries.is_empty();
        if entry.index <= self.hard_state.commit && begun {
            return Err(Error::CommittedReplaced {
                index: entry.index,
                commit: self.hard_state.commit,
            });
        }
        let first = self.first().unwrap_or(entry.index);
        let kept = entry
            .index
            .0
            .checked_sub(first.0)
            .and_then(|kept| usize::try_from(kept).ok());
        match kept {
            Some(kept) if kept <= self.entries.len() => self.entries.truncate(kept),
            _ => {
                return Err(Error::Gap {
                    before: self.last(),
                    found: entry.index,
                });
            }
        }
        let before = self.entries.last().map(|last| last.term);
        let before = before.or(self.state.as_ref().map(|state| state.term));
        let low = before.unwrap_or(Term(1));
        if entry.term < low {
            return Err(Error::TermOrder {
                index: entry.index,
                term: entry.term,
                low,
                high: self.hard_state.term,
            });
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Takes the next hard state as written.
    pub fn push_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// The entries, contiguous.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The copy of a leader's state that the log goes on from, if it ever got one.
    ///
    /// If the state machine is behind it, its installation was interrupted and must be finished
    /// before a core starts.
    #[must_use]
    pub fn state(&self) -> Option<&StateMeta> {
        self.state.as_ref()
    }

    /// The last hard state.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Index of the last entry, or of the copy of the state; 0 if there is neither.
    #[must_use]
    pub fn last(&self) -> LogIndex {
        let state = self.state.as_ref().map(|state| state.index);
        let last = self.entries.last().map(|entry| entry.index);
        last.or(state).unwrap_or_default()
    }

    /// Index of the first entry, or of the one that must follow the copy of the state.
    fn first(&self) -> Option<LogIndex> {
        let first = self.entries.first().map(|entry| entry.index);
        first.or(self.state.as_ref().map(|state| state.index.next()))
    }

    /// Checks what raft-rs would panic on, or silently accept, and lifts the commit index to what
    /// was applied.
    ///
    /// A commit index alone is not worth a sync, so on disk it may lag behind what the state
    /// machine has applied.
    pub(crate) fn into_start(mut self, from: &StartingPoint) -> Result<Start, Error> {
        if let Some(flaw) = from.conf_state.flaw() {
            return Err(Error::Membership(flaw));
        }
        self.check_applied(from)?;
        let state = self.state.as_ref().map(|state| (state.index, state.term));
        let last = self.entries.last().map(|last| (last.index, last.term));
        if let Some((index, term)) = last.or(state)
            && term > self.hard_state.term
        {
            let high = self.hard_state.term;
            return Err(Error::TermOrder {
                index,
                term,
                low: Term(1),
                high,
            });
        }
        if !ferrod_env::planted("commit not lifted") {
            self.hard_state.commit = self.hard_state.commit.max(from.applied);
        }
        if self.hard_state.commit > self.last() {
            return Err(Error::CommitBeyondLog {
                commit: self.hard_state.commit,
                last: self.last(),
            });
        }
        Ok(Start {
            before: self.before(),
            entries: self.entries,
            hard_state: self.hard_state,
        })
    }

    /// What lies before the first entry; the term is not known if the log begins in the middle.
    fn before(&self) -> (LogIndex, Option<Term>) {
        let first = self.first().unwrap_or(LogIndex(1));
        let before = LogIndex(first.0 - 1);
        match &self.state {
            Some(state) if state.index == before => (before, Some(state.term)),
            _ if before == LogIndex::ZERO => (before, Some(Term(0))),
            _ => (before, None),
        }
    }

    fn check_applied(&self, from: &StartingPoint) -> Result<(), Error> {
        let first = self.first().unwrap_or(LogIndex(1));
        let (applied, last) = (from.applied, self.last());
        if applied == LogIndex::ZERO && first == LogIndex(1) {
            return Ok(());
        }
        if let Some(state) = self.state.as_ref().filter(|state| state.index == applied) {
            return check_installed(state, from);
        }
        let outside = Error::AppliedOutsideLog {
            applied,
            first,
            last,
        };
        let position = applied
            .0
            .checked_sub(first.0)
            .and_then(|position| usize::try_from(position).ok());
        let entry = position
            .and_then(|position| self.entries.get(position))
            .ok_or(outside)?;
        if entry.term != from.applied_term {
            return Err(Error::AppliedTerm {
                index: applied,
                applied: from.applied_term,
                logged: entry.term,
            });
        }
        Ok(())
    }
}

/// What a core starts with.
pub(crate) struct Start {
    /// Index of the entry before the first one, and its term if that is known.
    pub(crate) before: (LogIndex, Option<Term>),
    pub(crate) entries: Vec<Entry>,
    pub(crate) hard_state: HardState,
}

fn check_installed(state: &StateMeta, from: &StartingPoint) -> Result<(), Error> {
    if state.term != from.applied_term {
        return Err(Error::AppliedTerm {
            index: state.index,
            applied: from.applied_term,
            logged: state.term,
        });
    }
    if state.conf != from.conf_state {
        return Err(Error::Membership(
            "not that of the state that was installed",
        ));
    }
    Ok(())
}

/// Where the state machine stands: all three read from one of its transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartingPoint {
    /// Last index whose effect it has; 0 for a new one.
    pub applied: LogIndex,
    /// Term of that entry.
    pub applied_term: Term,
    /// The membership as of that index; empty for a new one, which gets it from the log's first
    /// entries.
    pub conf_state: ConfState,
}

#[cfg(test)]
mod tests;
