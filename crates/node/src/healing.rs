//! What the others tell a member that has lost its log, and where that lets it begin again.
//!
//! Why it must be these answers, from all of them and in this order, is told in `core/suspect.rs`.

use std::collections::BTreeSet;

use crate::{LogIndex, MemberId, Term};

/// Voters without which no quorum is left that can do without one whose log is lost.
pub const HEALING_VOTERS_MIN: usize = 3;

/// What one member says of itself after it was asked. An answer that is late is still true: both numbers only ever grow in
/// what they promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who says it.
    pub member: MemberId,
    /// Its term.
    pub term: Term,
    /// How many members it has known to be removed for good, since before it told its term. It hears none of them any more.
    pub removals: u64,
    /// What a leader adds.
    pub confirmed: Option<Confirmed>,
}

/// What a leader says, once a majority has confirmed it after the question came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// The end of its log.
    pub last: LogIndex,
    /// Who votes, as far as it has applied the log.
    pub voters: Vec<MemberId>,
}

/// Where a member without its log may begin again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Healing {
    /// The term of its new log: it has promised nothing in any term above.
    pub floor: Term,
    /// Once everything up to here is applied it may be trusted: it has acknowledged nothing above that is committed.
    pub until: LogIndex,
}

/// Why a member without its log cannot begin again yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotHeal {
    /// Nobody leads, or no majority says so.
    #[error("there is no leader that a majority confirms")]
    NoLeader,
    /// The member is one of so few voters that no quorum can do without it.
    #[error("of {0} voters none can be missing, and this one is")]
    TooFew(usize),
    /// So many have lost their logs that the others are no quorum.
    #[error("{} of {voters} voters are damaged and wait for the others, who are too few: {}", .waiting.len(), list(.waiting))]
    TooManyWait {
        /// With the one that asks.
        waiting: Vec<MemberId>,
        /// How many there are.
        voters: usize,
    },
    /// A candidate with a forgotten vote may be among these.
    #[error("voters do not answer: {}", list(.0))]
    Silent(Vec<MemberId>),
    /// A candidate with a forgotten vote may be a member that was removed, and that these still hear.
    #[error("voters have not heard yet of all removals: {}", list(.0))]
    Behind(Vec<MemberId>),
}

fn list(members: &[MemberId]) -> String {
    let names: Vec<_> = members.iter().map(MemberId::to_string).collect();
    names.join(", ")
}

impl Healing {
    /// What the answers of other members mean for `member`.
    ///
    /// `waiting` are those that have said, after its last run had ended, that they are damaged too and that nothing of them
    /// runs. `answers` are what the others were asked for after that.
    ///
    /// # Errors
    /// [`CannotHeal`]: ask again later.
    pub fn judge(
        member: MemberId,
        waiting: &[MemberId],
        answers: &[Standing],
    ) -> Result<Healing, CannotHeal> {
        let leaders = answers
            .iter()
            .filter_map(|standing| Some((standing, standing.confirmed.as_ref()?)));
        let (of_leader, leader) = leaders
            .max_by_key(|(standing, _)| standing.term)
            .ok_or(CannotHeal::NoLeader)?;
        let voters: BTreeSet<_> = leader.voters.iter().copied().collect();
        let answered: BTreeSet<_> = answers.iter().map(|standing| standing.member).collect();
        let is_damaged = |id: &MemberId| *id == member || waiting.contains(id);
        let missing = voters.difference(&answered).copied();
        let (damaged, silent): (Vec<_>, Vec<_>) = missing.partition(is_damaged);
        check_quorum(voters.len(), damaged)?;
        if !silent.is_empty() {
            return Err(CannotHeal::Silent(silent));
        }
        let is_behind = |standing: &&Standing| {
            voters.contains(&standing.member) && standing.removals < of_leader.removals
        };
        let behind: Vec<_> = answers.iter().filter(is_behind).map(|s| s.member).collect();
        if !behind.is_empty() {
            return Err(CannotHeal::Behind(behind));
        }
        let floor = answers.iter().map(|standing| standing.term).max();
        Ok(Healing {
            floor: floor
                .filter(|_| !ferrod_env::planted("no floor of the term"))
                .unwrap_or_default(),
            until: if ferrod_env::planted("suspect trusted at once") {
                LogIndex::ZERO
            } else {
                leader.last
            },
        })
    }
}

/// Whether the voters that are not damaged are a quorum.
fn check_quorum(voters: usize, damaged: Vec<MemberId>) -> Result<(), CannotHeal> {
    if voters - damaged.len() > voters / 2 {
        return Ok(());
    }
    Err(match damaged.len() {
        1 => CannotHeal::TooFew(voters),
        _ => CannotHeal::TooManyWait {
            waiting: damaged,
            voters,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follower(member: u64, term: u64) -> Standing {
        Standing {
            member: MemberId(member),
            term: Term(term),
            removals: 0,
            confirmed: None,
        }
    }

    fn leader(member: u64, term: u64, last: u64, voters: &[u64]) -> Standing {
        let voters = voters.iter().copied().map(MemberId).collect();
        let last = LogIndex(last);
        Standing {
            confirmed: Some(Confirmed { last, voters }),
            ..follower(member, term)
        }
    }

    fn judge(answers: &[Standing]) -> Result<(u64, u64), CannotHeal> {
        judge_beside(&[], answers)
    }

    /// The same while others wait.
    fn judge_beside(waiting: &[u64], answers: &[Standing]) -> Result<(u64, u64), CannotHeal> {
        let waiting: Vec<_> = waiting.iter().copied().map(MemberId).collect();
        let healing = Healing::judge(MemberId(1), &waiting, answers)?;
        Ok((healing.floor.0, healing.until.0))
    }

    /// covers: D-02, P-M-02
    #[test]
    fn a_leader_and_all_other_voters_are_needed() {
        let voters = [1, 2, 3, 4, 5];
        let all = [
            leader(2, 7, 40, &voters),
            follower(3, 7),
            follower(4, 7),
            follower(5, 7),
        ];
        assert_eq!(judge(&all), Ok((7, 40)));
        // A majority without this member is not enough: the other one may have its vote.
        let silent = judge(&all[..3]);
        assert_eq!(silent, Err(CannotHeal::Silent(vec![MemberId(5)])));
        assert_eq!(silent.unwrap_err().to_string(), "voters do not answer: 5");
        assert_eq!(judge(&all[1..]), Err(CannotHeal::NoLeader));
        assert_eq!(judge(&[]), Err(CannotHeal::NoLeader));
        // A learner's silence does not matter, and neither does a learner's damage.
        let answers = [leader(2, 7, 40, &[2, 3]), follower(3, 7)];
        assert_eq!(judge(&answers), Ok((7, 40)));
    }

    /// covers: D-02, Q-20
    #[test]
    fn the_highest_term_counts_and_the_latest_leader() {
        let voters = [1, 2, 3];
        assert_eq!(
            judge(&[leader(2, 7, 40, &voters), follower(3, 9)]),
            Ok((9, 40))
        );
        let answers = [leader(2, 7, 99, &voters), leader(3, 8, 41, &voters)];
        assert_eq!(judge(&answers), Ok((8, 41)));
    }

    /// covers: D-02
    #[test]
    fn two_voters_cannot_heal_each_other() {
        let answers = [leader(2, 7, 40, &[1, 2])];
        assert_eq!(judge(&answers), Err(CannotHeal::TooFew(2)));
    }

    /// covers: D-02, P-M-02
    #[test]
    fn damaged_members_do_not_wait_for_each_other() {
        let voters = [1, 2, 3, 4, 5];
        let sound = [leader(2, 7, 40, &voters), follower(3, 8), follower(4, 7)];
        assert_eq!(judge_beside(&[5], &sound), Ok((8, 40)));
        // All that do not wait are needed as before.
        let silent = Err(CannotHeal::Silent(vec![MemberId(4)]));
        assert_eq!(judge_beside(&[5], &sound[..2]), silent);
        let nobody = judge_beside(&[2, 5], &sound[1..]);
        assert_eq!(nobody, Err(CannotHeal::NoLeader));
        // Who has begun again since is asked like any other.
        let mut begun = sound.to_vec();
        begun.push(follower(5, 9));
        assert_eq!(judge_beside(&[5], &begun), Ok((9, 40)));
        // A learner that waits is none that anybody waits for.
        let answers = [leader(2, 7, 40, &[1, 2, 3]), follower(3, 7)];
        assert_eq!(judge_beside(&[6], &answers), Ok((7, 40)));
    }

    /// covers: D-02, P-M-02
    #[test]
    fn who_still_hears_removed_members_is_asked_again() {
        let removals = |standing: Standing, removals| Standing {
            removals,
            ..standing
        };
        let voters = [1, 2, 3];
        let mut answers = [
            removals(leader(2, 7, 40, &voters), 2),
            removals(follower(3, 7), 1),
            // A learner does not vote.
            follower(4, 7),
        ];
        let error = judge(&answers).unwrap_err();
        assert_eq!(error, CannotHeal::Behind(vec![MemberId(3)]));
        let text = "voters have not heard yet of all removals: 3";
        assert_eq!(error.to_string(), text);
        // It may know more than the leader has applied.
        answers[1].removals = 3;
        assert_eq!(judge(&answers), Ok((7, 40)));
    }

    /// covers: D-02, P-M-02
    #[test]
    fn more_than_a_minority_cannot_be_missing() {
        let four = [leader(2, 7, 40, &[1, 2, 3, 4]), follower(3, 7)];
        let error = judge_beside(&[4], &four).unwrap_err();
        let waiting = vec![MemberId(1), MemberId(4)];
        assert_eq!(error, CannotHeal::TooManyWait { waiting, voters: 4 });
        let text = "2 of 4 voters are damaged and wait for the others, who are too few: 1, 4";
        assert_eq!(error.to_string(), text);
        // A learner may be damaged beside them.
        let answers = [leader(2, 7, 40, &[2, 3, 4]), follower(3, 7)];
        assert_eq!(judge_beside(&[4], &answers), Ok((7, 40)));
    }
}
