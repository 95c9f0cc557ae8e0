//! What follows from the hashes that the members told.

use std::collections::BTreeMap;

use ferrod_node::MemberId;

/// What one member told of a point; `None` if it has no hash of it, or did not answer.
pub(super) type Told = (MemberId, Option<u32>);

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All members hold the same.
    Equal,
    /// Those that told a hash hold the same. There may be only one of them.
    Unfinished {
        /// The others.
        silent: Vec<MemberId>,
    },
    /// These hold something else than a majority of all members.
    Minority {
        /// The majority's.
        hash: u32,
        diverged: Vec<MemberId>,
    },
    /// Members differ, and none of the hashes is told by a majority.
    Undecided { silent: Vec<MemberId> },
}

/// Judges what all members of a cluster told, each once.
pub(super) fn judge(told: &[Told]) -> Verdict {
    let mut hashes: BTreeMap<u32, usize> = BTreeMap::new();
    for hash in told.iter().filter_map(|(_, hash)| *hash) {
        *hashes.entry(hash).or_default() += 1;
    }
    let who = |wanted: &dyn Fn(Option<u32>) -> bool| -> Vec<MemberId> {
        let found = told.iter().filter(|(_, hash)| wanted(*hash));
        found.map(|(member, _)| *member).collect()
    };
    let silent = who(&|hash| hash.is_none());
    if hashes.len() <= 1 {
        return if silent.is_empty() {
            Verdict::Equal
        } else {
            Verdict::Unfinished { silent }
        };
    }
    let majority = hashes.iter().find(|(_, count)| **count > told.len() / 2);
    match majority {
        Some((&right, _)) => Verdict::Minority {
            hash: right,
            diverged: who(&|hash| hash.is_some_and(|hash| hash != right)),
        },
        None => Verdict::Undecided { silent },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_of(hashes: &[Option<u32>]) -> Verdict {
        let told = (1..).map(MemberId).zip(hashes.iter().copied());
        judge(&told.collect::<Vec<_>>())
    }

    fn members(ids: &[u64]) -> Vec<MemberId> {
        ids.iter().copied().map(MemberId).collect()
    }

    // covers: D-23
    #[test]
    fn the_minority_is_named_whoever_it_is() {
        for (hashes, right, diverged) in [
            (&[Some(7), Some(7), Some(8)][..], 7, &[3][..]),
            (&[Some(8), Some(7), Some(7)], 7, &[1]),
            // A member that says nothing hides nothing.
            (&[Some(7), None, Some(8), Some(7), Some(7)], 7, &[3]),
            (&[Some(1), Some(2), Some(7), Some(7), Some(7)], 7, &[1, 2]),
        ] {
            let verdict = Verdict::Minority {
                hash: right,
                diverged: members(diverged),
            };
            assert_eq!(judge_of(hashes), verdict);
        }
    }

    // covers: D-23
    #[test]
    fn without_a_majority_nobody_is_named() {
        for (hashes, silent) in [
            (&[Some(1), Some(2)][..], &[][..]),
            (&[Some(1), Some(2), Some(3)], &[]),
            (&[Some(1), Some(1), Some(2), Some(2)], &[]),
            // Two of three agree, but two of five do not make a majority.
            (&[Some(1), Some(1), Some(2), None, None], &[4, 5]),
            (&[Some(1), None, Some(2)], &[2]),
        ] {
            let silent = members(silent);
            assert_eq!(judge_of(hashes), Verdict::Undecided { silent });
        }
    }

    // covers: D-23, R-023
    #[test]
    fn members_that_say_nothing_neither_agree_nor_differ() {
        assert_eq!(judge_of(&[Some(1), Some(1), Some(1)]), Verdict::Equal);
        assert_eq!(judge_of(&[Some(1)]), Verdict::Equal);
        let unfinished = |silent| Verdict::Unfinished {
            silent: members(silent),
        };
        assert_eq!(judge_of(&[Some(1), None, Some(1)]), unfinished(&[2]));
        assert_eq!(judge_of(&[Some(1), None, None]), unfinished(&[2, 3]));
        assert_eq!(judge_of(&[None, None]), unfinished(&[1, 2]));
    }
}
