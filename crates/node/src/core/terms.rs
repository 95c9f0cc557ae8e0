//! The term of every entry, from the one before the log to the last, kept as runs: terms change
//! seldom.
//!
//! raft-rs asks for terms far back, of entries that left memory long ago, and has no way to wait for
//! an answer.

use std::collections::VecDeque;

/// Terms by index.
pub(super) struct Terms {
    /// The index from which on each term holds; ascending in both. Never empty.
    runs: VecDeque<(u64, u64)>,
}

impl Terms {
    /// Knows one entry by index and term.
    pub(super) fn new(first: (u64, u64)) -> Terms {
        Terms {
            runs: VecDeque::from([first]),
        }
    }

    /// The term from `index` on; what was known from there on is forgotten.
    pub(super) fn push(&mut self, index: u64, term: u64) {
        while self.runs.len() > 1 && self.runs.back().is_some_and(|run| run.0 >= index) {
            self.runs.pop_back();
        }
        if self.runs.back().is_none_or(|run| run.1 != term) {
            self.runs.push_back((index, term));
        }
    }

    /// Forgets what is below `index`, which is not above the last.
    pub(super) fn forget_below(&mut self, index: u64) {
        while self.runs.get(1).is_some_and(|run| run.0 <= index) {
            self.runs.pop_front();
        }
        let first = self.runs.front_mut().expect("never empty");
        first.0 = first.0.max(index);
    }

    /// From which index on each term holds, for the indexes in `[low, high)`.
    pub(super) fn runs(&self, low: u64, high: u64) -> Vec<(u64, u64)> {
        let first = self.runs.partition_point(|run| run.0 <= low);
        let runs = self.runs.iter().skip(first.saturating_sub(1));
        runs.take_while(|run| run.0 < high).copied().collect()
    }

    /// The lowest index with a known term.
    pub(super) fn first(&self) -> u64 {
        self.runs.front().expect("never empty").0
    }

    /// The term at an index that is not above the last; `None` below the first.
    pub(super) fn at(&self, index: u64) -> Option<u64> {
        let run = self.runs.partition_point(|run| run.0 <= index);
        Some(self.runs[run.checked_sub(1)?].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_found_replaced_and_forgotten() {
        let mut terms = Terms::new((4, 2));
        for (index, term) in [(5, 2), (6, 3), (7, 3), (8, 5)] {
            terms.push(index, term);
        }
        let all: Vec<_> = (3..=9).map(|index| terms.at(index)).collect();
        assert_eq!(
            all,
            [None, Some(2), Some(2), Some(3), Some(3), Some(5), Some(5)]
        );
        assert_eq!(terms.runs(5, 8), [(4, 2), (6, 3)]);
        terms.push(7, 6);
        assert_eq!((terms.at(6), terms.at(7)), (Some(3), Some(6)));
        terms.forget_below(6);
        assert_eq!(
            (terms.first(), terms.at(5), terms.at(6)),
            (6, None, Some(3))
        );
        terms.forget_below(7);
        assert_eq!((terms.first(), terms.at(7)), (7, Some(6)));
    }
}
