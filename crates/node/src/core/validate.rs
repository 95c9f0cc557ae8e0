//! The fence in front of raft-rs: what a peer may say, and what of it would make raft-rs panic.
//!
//! raft-rs trusts its callers. It panics on a heartbeat that commits what is not there, on entries
//! that leave gaps, on numbers that overflow, and on votes that elect a member whose log is still
//! on its way to the disk. A peer that is broken or hostile must not be able to stop this member,
//! so each message is judged against a [`View`] of the core first.

use crate::{ConfChange, Entry, EntryKind, MemberId, PeerBody, PeerMessage, StateMeta, Term};

/// Above any number that a cluster reaches, and far enough below `u64::MAX` that adding to it
/// cannot overflow.
const NUMBER_MAX: u64 = 1 << 62;

/// Longest context of a read that is passed on.
const CONTEXT_BYTES_MAX: usize = 64;

/// What a message is judged against.
pub(super) struct View<'a> {
    /// This member.
    pub(super) member: MemberId,
    /// Its term.
    pub(super) term: Term,
    /// Whether it leads that term.
    pub(super) leads: bool,
    /// Last index of its log.
    pub(super) last_index: u64,
    /// Whether entries or a vote are on their way to the disk.
    pub(super) writing: bool,
    /// Whether a member is in the configuration.
    pub(super) is_member: &'a dyn Fn(MemberId) -> bool,
}

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("not for this member")]
    Misdirected,
    #[error("from nobody, or from this member itself")]
    Sender,
    #[error("answer or request from a member that is not in the configuration")]
    Stranger,
    #[error("number out of range")]
    Number,
    #[error("term missing, or where none belongs")]
    Term,
    #[error("entries do not follow each other")]
    Entries,
    #[error("malformed change of membership")]
    ConfChange,
    #[error("commits or accepts what is not in the log")]
    BeyondLog,
    #[error("copy of an impossible state, or of one without this member")]
    State,
    #[error("context too long")]
    Context,
    #[error("vote for a candidacy that is not on disk yet")]
    EarlyVote,
    #[error("this member does not lead that term")]
    NotLeader,
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
    let needs_term = !matches!(message.body, PeerBody::ReadIndex { .. });
    if needs_term != (message.term.0 > 0) {
        return Err(Refusal::Term);
    }
    if !speaks_to_strangers(&message.body) && !(view.is_member)(message.from) {
        return Err(Refusal::Stranger);
    }
    validate_body(message, view)
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
            number(prev_index.0)?;
            number(commit.0)?;
            if *prev_term > message.term || (prev_index.0 == 0) != (prev_term.0 == 0) {
                return Err(Refusal::Entries);
            }
            validate_entries(prev_index.0, *prev_term, message.term, entries)
        }
        PeerBody::Accepted { index, commit } => {
            number(commit.0)?;
            within_log(index.0, message.term, view)
        }
        PeerBody::Rejected {
            index,
            hint_index,
            hint_term,
            commit,
        } => numbers(&[index.0, hint_index.0, hint_term.0, commit.0]),
        PeerBody::Heartbeat { commit, context } => {
            short(context)?;
            number(commit.0)?;
            let stale = message.term < view.term;
            if !stale && commit.0 > view.last_index {
                return Err(Refusal::BeyondLog);
            }
            Ok(())
        }
        PeerBody::HeartbeatAnswer { commit, context } => {
            short(context)?;
            number(commit.0)
        }
        PeerBody::Vote {
            last_index,
            last_term,
            commit,
            commit_term,
            ..
        } => numbers(&[last_index.0, last_term.0, commit.0, commit_term.0]),
        PeerBody::VoteAnswer {
            commit,
            commit_term,
            ..
        } => {
            if view.writing {
                return Err(Refusal::EarlyVote);
            }
            numbers(&[commit.0, commit_term.0])
        }
        PeerBody::TimeoutNow => Ok(()),
        PeerBody::State(state) => validate_state(state, message.term, view),
        PeerBody::ReadIndex { context } => {
            if !view.leads {
                return Err(Refusal::NotLeader);
            }
            short(context)
        }
        PeerBody::ReadIndexAnswer { index, context } => {
            short(context)?;
            number(index.0)
        }
        PeerBody::Propose(forward) => {
            if !view.leads || message.term != view.term {
                return Err(Refusal::NotLeader);
            }
            let change = |(kind, payload): &(EntryKind, bytes::Bytes)| {
                *kind == EntryKind::Normal || ConfChange::decode(payload.clone()).is_some()
            };
            if forward.proposals.iter().all(change) {
                Ok(())
            } else {
                Err(Refusal::ConfChange)
            }
        }
    }
}

/// raft-rs panics on a membership that contradicts itself.
fn validate_state(state: &StateMeta, term: Term, view: &View<'_>) -> Result<(), Refusal> {
    numbers(&[state.index.0, state.term.0])?;
    let conf = &state.conf;
    let known = conf.voters.contains(&view.member) || conf.learners.contains(&view.member);
    let sound = state.index.0 > 0 && state.term.0 > 0 && state.term <= term;
    if sound && known && conf.flaw().is_none() {
        Ok(())
    } else {
        Err(Refusal::State)
    }
}

/// raft-rs believes a follower that it has entries which this leader never made.
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
    if context.len() <= CONTEXT_BYTES_MAX {
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
