//! The log as it was read back, and whether a state machine can go on from it.

use crate::{ConfState, Entry, Error, HardState, LogIndex, Term};

/// The log as it was read back: what the records say after later ones have replaced earlier ones.
///
/// Invariant: entries are contiguous, their terms do not fall, and the hard state's term is at
/// least theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    entries: Vec<Entry>,
    hard_state: HardState,
}

impl Recovered {
    /// Takes the next entry as written.
    ///
    /// # Errors
    /// [`Error::Gap`], [`Error::CommittedReplaced`] or [`Error::TermOrder`].
    pub fn push_entry(&mut self, entry: Entry) -> Result<(), Error> {
        if entry.index <= self.hard_state.commit && !self.entries.is_empty() {
            return Err(Error::CommittedReplaced {
                index: entry.index,
                commit: self.hard_state.commit,
            });
        }
        let first = self
            .entries
            .first()
            .map_or(entry.index, |first| first.index);
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
        let low = self.entries.last().map_or(Term(1), |last| last.term);
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

    /// The last hard state.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Index of the last entry; 0 if there is none.
    #[must_use]
    pub fn last(&self) -> LogIndex {
        self.entries
            .last()
            .map_or(LogIndex::ZERO, |entry| entry.index)
    }

    /// Checks what raft-rs would panic on, or silently accept, and lifts the commit index to what
    /// was applied.
    ///
    /// A commit index alone is not worth a sync, so on disk it may lag behind what the state
    /// machine has applied.
    pub(crate) fn into_start(
        mut self,
        from: &StartingPoint,
    ) -> Result<(Vec<Entry>, HardState), Error> {
        if let Some(flaw) = from.conf_state.flaw() {
            return Err(Error::Membership(flaw));
        }
        self.check_applied(from)?;
        if let Some(last) = self.entries.last()
            && last.term > self.hard_state.term
        {
            let (index, term, high) = (last.index, last.term, self.hard_state.term);
            return Err(Error::TermOrder {
                index,
                term,
                low: Term(1),
                high,
            });
        }
        self.hard_state.commit = self.hard_state.commit.max(from.applied);
        if self.hard_state.commit > self.last() {
            return Err(Error::CommitBeyondLog {
                commit: self.hard_state.commit,
                last: self.last(),
            });
        }
        Ok((self.entries, self.hard_state))
    }

    fn check_applied(&self, from: &StartingPoint) -> Result<(), Error> {
        let first = self
            .entries
            .first()
            .map_or(LogIndex(1), |entry| entry.index);
        let (applied, last) = (from.applied, self.last());
        if applied == LogIndex::ZERO && first == LogIndex(1) {
            return Ok(());
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
