//! The fence in front of raft-rs: what a peer may say, and what of it would make raft-rs panic.
//!
//! raft-rs trusts its callers. Its panics that a message could reach, and what keeps each away:
//!
//! | raft-rs 0.7.0 | reached by | refused as |
//! |---|---|---|
//! | `commit_to` beyond the last index | a heartbeat's commit index | `Forgotten`, `BeyondLog`; see `put_back.rs` |
//! | `append`, `truncate_and_append`: gaps | entries that do not follow each other | `Entries` |
//! | `maybe_append`: conflict with what is committed | entries that contradict it | `Contradiction` |
//! | arithmetic on indexes and terms | numbers near the end of their range | `Number` |
//! | `become_leader`: log not persisted | a vote that comes before the log is on disk | `EarlyVote` |
//! | `restore`: configuration that cannot be | a copy of the state with such a one | `State` |
//! | `step_leader`: proposal without entries | never: an empty batch is not proposed | |
//! | `step_leader`: read without entries | never: our form of it has one | |
//! | `on_persist_entries`, `maybe_commit`: leader that is no member | its removal | it steps down at once |
//!
//! Beyond panics it keeps away what makes raft-rs believe an impossible peer: an acknowledgement of
//! entries that were never made, a second leader of a term, a vote for a log that cannot be. A peer
//! that is broken or hostile must not be able to stop this member, so each message is judged against
//! a [`View`] of the core first. Two things do stop it: proof that a leader's log differs from what
//! was committed here, for then one of the two has lost data that somebody was promised; and a leader
//! that counts on entries of this member that it no longer has, for then this one has lost them.

use crate::{
    ConfChange, ConfState, Entry, EntryKind, LogIndex, MemberId, PeerBody, PeerMessage, Refusal,
    StateMeta, Term,
};

/// Above any number that a cluster reaches, and far enough below `u64::MAX` that adding to it
/// cannot overflow.
const NUMBER_MAX: u64 = 1 << 62;

/// How far above this member's term another's may be: ten elections per second for ten years.
/// Without a bound one message would use up all terms, and nobody could be elected any more.
const TERM_LEAP_MAX: u64 = 1 << 32;

/// How far beyond this member's log a leader's commit index may be: so much is nobody's to forget.
const INDEX_LEAP_MAX: u64 = 1 << 32;

/// Bytes of the context of a read: member, boot, counter.
const CONTEXT_BYTES: usize = 24;

/// Reads of other members that may wait for a quorum. Each asks about once in five ticks, and a leader
/// without a quorum steps down before it can have asked more than a few times.
const READS_WAITING_MAX: usize = 1024;

/// What a message is judged against.
pub(super) struct View<'a> {
    /// This member.
    pub(super) member: MemberId,
    /// Its term.
    pub(super) term: Term,
    /// Whether it leads that term.
    pub(super) leads: bool,
    /// Who leads it, if that is known.
    pub(super) leader: MemberId,
    /// Last index of its log.
    pub(super) last_index: u64,
    /// Its commit index.
    pub(super) committed: u64,
    /// Whether entries or a vote are on their way to the disk.
    pub(super) writing: bool,
    /// Reads that wait for a quorum.
    pub(super) reads_waiting: usize,
    /// Bytes of the largest proposal.
    pub(super) proposal_bytes_max: u64,
    /// Whether a member is in the configuration.
    pub(super) is_member: &'a dyn Fn(MemberId) -> bool,
    /// The term of an entry of the log, if it is known.
    pub(super) term_at: &'a dyn Fn(u64) -> Option<Term>,
}

/// Judges a message.
pub(super) fn validate(message: &PeerMessage, view: &View<'_>) -> Result<(), Refusal> {
    if message.to != view.member {
        return Err(Refusal::Misdirected);
    }
    if message.from == MemberId::NONE || message.from == view.member {
        return Err(Refusal::Sender);
    }
    number(message.term.0)?;
    if message.term.0 > view.term.0 + TERM_LEAP_MAX {
        return Err(Refusal::Number);
    }
    let needs_term = !matches!(message.body, PeerBody::ReadIndex { .. });
    if needs_term != (message.term.0 > 0) {
        return Err(Refusal::Term);
    }
    if !speaks_to_strangers(&message.body) && !(view.is_member)(message.from) {
        return Err(Refusal::Stranger);
    }
    validate_leadership(message, view)?;
    validate_body(message, view)
}

/// What only a leader says must not come from a second one: raft-rs would follow whoever spoke last.
fn validate_leadership(message: &PeerMessage, view: &View<'_>) -> Result<(), Refusal> {
    let refusal = match &message.body {
        PeerBody::Append { .. } | PeerBody::Heartbeat { .. } | PeerBody::State(_) => {
            Refusal::SecondLeader
        }
        // It may come after a new leader of a later term has been heard of.
        PeerBody::TimeoutNow | PeerBody::ReadIndexAnswer { .. } => Refusal::NotLeader,
        _ => return Ok(()),
    };
    let other = view
        .leader
        .known()
        .is_some_and(|leader| leader != message.from);
    if message.term == view.term && other {
        return Err(refusal);
    }
    Ok(())
}

/// A leader or candidate that this member has not heard of may be the result of a change that it
/// still has to catch up with.
fn speaks_to_strangers(body: &PeerBody) -> bool {
    matches!(
        body,
        PeerBody::Append { .. }
            | PeerBody::Heartbeat { .. }
            | PeerBody::Vote { .. }
            | PeerBody::TimeoutNow
            | PeerBody::State(_)
    )
}

fn validate_body(message: &PeerMessage, view: &View<'_>) -> Result<(), Refusal> {
    match &message.body {
        PeerBody::Append {
            prev_index,
            prev_term,
            commit,
            entries,
        } => {
            numbers(&[prev_index.0, commit.0])?;
            if *prev_term > message.term || (prev_index.0 == 0) != (prev_term.0 == 0) {
                return Err(Refusal::Entries);
            }
            validate_entries(prev_index.0, *prev_term, message.term, entries)?;
            if message.term < view.term {
                return Ok(());
            }
            agrees(*prev_index, *prev_term, view)?;
            let mut committed = entries.iter().take_while(|e| e.index.0 <= view.committed);
            committed.try_for_each(|entry| agrees(entry.index, entry.term, view))
        }
        PeerBody::Accepted { index, commit } => {
            within_log(index.0, message.term, view)?;
            within_log(commit.0, message.term, view)
        }
        PeerBody::Rejected {
            index,
            hint_index,
            hint_term,
            commit,
        } => {
            numbers(&[index.0, hint_index.0, hint_term.0])?;
            within_log(commit.0, message.term, view)
        }
        PeerBody::Heartbeat { commit, context } => {
            short(context)?;
            number(commit.0)?;
            // An old leader only hears that it is old.
            if message.term < view.term || commit.0 <= view.last_index {
                return Ok(());
            }
            if commit.0 > view.last_index + INDEX_LEAP_MAX {
                return Err(Refusal::BeyondLog);
            }
            if message.term == view.term && view.leader == message.from {
                return Err(Refusal::Forgotten {
                    counted: *commit,
                    last: LogIndex(view.last_index),
                });
            }
            // Whoever says this is not known to lead yet; taken without its commit index it is.
            Ok(())
        }
        PeerBody::HeartbeatAnswer { commit, context } => {
            short(context)?;
            within_log(commit.0, message.term, view)
        }
        PeerBody::Vote {
            last_index,
            last_term,
            commit,
            commit_term,
            ..
        } => {
            numbers(&[last_index.0, last_term.0, commit.0, commit_term.0])?;
            // The sender stands for a term in which nobody has written anything.
            let sound = *last_term < message.term && (last_index.0 == 0) == (last_term.0 == 0);
            if !sound || commit > last_index || commit_term > last_term {
                return Err(Refusal::Vote);
            }
            agrees(*commit, *commit_term, view)
        }
        PeerBody::VoteAnswer {
            commit,
            commit_term,
            ..
        } => {
            if view.writing {
                return Err(Refusal::EarlyVote);
            }
            numbers(&[commit.0, commit_term.0])?;
            agrees(*commit, *commit_term, view)
        }
        PeerBody::TimeoutNow => Ok(()),
        PeerBody::State(state) => {
            validate_state(state, message.term, view)?;
            if message.term < view.term {
                return Ok(());
            }
            agrees(state.index, state.term, view)
        }
        PeerBody::ReadIndex { context } => {
            if !view.leads {
                return Err(Refusal::NotLeader);
            }
            // Reads of equal contexts are merged: nobody may ask in another one's name.
            let own = context.len() == CONTEXT_BYTES
                && context.starts_with(&message.from.0.to_be_bytes());
            if !own {
                return Err(Refusal::Context);
            }
            if view.reads_waiting >= READS_WAITING_MAX {
                return Err(Refusal::Busy);
            }
            Ok(())
        }
        PeerBody::ReadIndexAnswer { index, context } => {
            short(context)?;
            number(index.0)
        }
        PeerBody::Propose(forward) => {
            // Who led in the sender's term, and does not any more, knows better than it where the proposals must go.
            let another_leads = !view.leads && view.leader != MemberId::NONE;
            if message.term > view.term || message.term == view.term && another_leads {
                return Err(Refusal::NotLeader);
            }
            number(forward.number)?;
            let judge = |(kind, payload): &(EntryKind, bytes::Bytes)| {
                if payload.len() as u64 > view.proposal_bytes_max {
                    return Err(Refusal::Size);
                }
                let sound =
                    *kind == EntryKind::Normal || ConfChange::decode(payload.clone()).is_some();
                sound.then_some(()).ok_or(Refusal::ConfChange)
            };
            forward.proposals.iter().try_for_each(judge)
        }
    }
}

/// What is committed here must be the same wherever it is, in the log of a leader above all.
///
/// Where no term is known, nothing can be compared.
fn agrees(index: LogIndex, term: Term, view: &View<'_>) -> Result<(), Refusal> {
    if index.0 == 0 || term.0 == 0 || index.0 > view.committed {
        return Ok(());
    }
    match (view.term_at)(index.0) {
        Some(ours) if ours != term => Err(Refusal::Contradiction {
            index,
            ours,
            theirs: term,
        }),
        _ => Ok(()),
    }
}

/// raft-rs panics on a membership that contradicts itself.
fn validate_state(state: &StateMeta, term: Term, view: &View<'_>) -> Result<(), Refusal> {
    numbers(&[state.index.0, state.term.0])?;
    let conf = &state.conf;
    let known = conf.voters.contains(&view.member) || conf.learners.contains(&view.member);
    let sound = state.index.0 > 0 && state.term.0 > 0 && state.term <= term;
    // What raft-rs has taken is recognized by its configuration, which comes back sorted.
    let sorted = *conf == ConfState::new(conf.voters.clone(), conf.learners.clone());
    if sound && known && sorted && conf.flaw().is_none() {
        Ok(())
    } else {
        Err(Refusal::State)
    }
}

/// raft-rs believes a follower that it has entries which this leader never made, or has committed
/// them.
fn within_log(index: u64, term: Term, view: &View<'_>) -> Result<(), Refusal> {
    number(index)?;
    let counts = view.leads && term == view.term;
    if counts && index > view.last_index {
        Err(Refusal::BeyondLog)
    } else {
        Ok(())
    }
}

fn validate_entries(
    prev_index: u64,
    prev_term: Term,
    term: Term,
    entries: &[Entry],
) -> Result<(), Refusal> {
    let mut before = (prev_index, prev_term);
    for entry in entries {
        let follows = entry.index.0 == before.0 + 1 && entry.term >= before.1;
        if !follows || entry.term > term || entry.term.0 == 0 {
            return Err(Refusal::Entries);
        }
        number(entry.index.0)?;
        if entry.kind == EntryKind::ConfChange
            && ConfChange::decode(entry.payload.clone()).is_none()
        {
            return Err(Refusal::ConfChange);
        }
        before = (entry.index.0, entry.term);
    }
    Ok(())
}

fn short(context: &[u8]) -> Result<(), Refusal> {
    if context.is_empty() || context.len() == CONTEXT_BYTES {
        Ok(())
    } else {
        Err(Refusal::Context)
    }
}

fn number(number: u64) -> Result<(), Refusal> {
    if number < NUMBER_MAX {
        Ok(())
    } else {
        Err(Refusal::Number)
    }
}

fn numbers(numbers: &[u64]) -> Result<(), Refusal> {
    numbers.iter().try_for_each(|n| number(*n))
}

#[cfg(test)]
mod tests;
