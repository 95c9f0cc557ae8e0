//! Superseded rows on their way out of the backend.
//!
//! Deletes are sorted, because rows that lie together share pages, and taken oldest first, because a key's tombstone must
//! not go before what it hides: a crash between the two would bring the key back.

use std::collections::VecDeque;

use crate::RecordKey;
use crate::link::DELETES_RUN;

/// Superseded rows that are dropped from the index and still in the backend.
#[derive(Debug, Default)]
pub(super) struct Deletes {
    /// Of the compaction whose walk of the index is under way.
    collecting: Vec<RecordKey>,
    /// Sorted, to be deleted one after the other.
    runs: VecDeque<Run>,
}

#[derive(Debug)]
struct Run {
    compacted: i64,
    keys: Vec<RecordKey>,
    /// How many of `keys` have been taken.
    taken: usize,
    /// Whether the compaction ends with this run.
    last: bool,
}

/// Rows to delete in one commit.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) compacted: i64,
    pub(super) keys: Vec<RecordKey>,
    /// Whether the compaction is finished by this.
    pub(super) last: bool,
}

impl Deletes {
    pub(super) fn add(&mut self, compacted: i64, keys: Vec<RecordKey>, last: bool) {
        self.collecting.extend(keys);
        if last || self.collecting.len() >= DELETES_RUN {
            let mut keys = std::mem::take(&mut self.collecting);
            keys.sort_unstable();
            self.runs.push_back(Run {
                compacted,
                keys,
                taken: 0,
                last,
            });
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Takes the next rows, at most `rows_max`.
    pub(super) fn next(&mut self, rows_max: usize) -> Option<Step> {
        let run = self.runs.front_mut()?;
        let end = run.keys.len().min(run.taken + rows_max);
        let keys = run.keys[run.taken..end].to_vec();
        run.taken = end;
        let ended = end == run.keys.len();
        let step = Step {
            compacted: run.compacted,
            keys,
            last: run.last && ended,
        };
        if ended {
            self.runs.pop_front();
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revision;

    #[test]
    fn rows_leave_sorted_in_bounded_steps() {
        let key = |main| RecordKey {
            revision: Revision { main, sub: 0 },
            tombstone: false,
        };
        let mut deletes = Deletes::default();
        deletes.add(9, vec![key(5), key(7)], false);
        assert!(!deletes.has_work());
        deletes.add(9, vec![key(3)], true);
        deletes.add(12, vec![], true);
        let mut steps = Vec::new();
        while let Some(step) = deletes.next(2) {
            steps.push((step.compacted, step.keys, step.last));
        }
        let expected = [
            (9, vec![key(3), key(5)], false),
            (9, vec![key(7)], true),
            (12, vec![], true),
        ];
        assert_eq!(steps, expected);
        assert!(!deletes.has_work());
    }
}
