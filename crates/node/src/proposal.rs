//! What a member is asked to put into the log, and why it refuses.

use bytes::Bytes;

use crate::{ConfChange, EntryKind, ProposalId, Term};

/// A payload that wants to become an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Named in the refusal, and nowhere else: a proposal that is accepted is recognised by its
    /// payload.
    pub id: ProposalId,
    /// Kind of the entry.
    pub kind: EntryKind,
    /// Payload of the entry.
    pub payload: Bytes,
    /// Set for what only the leader of one term may propose: never forwarded, and refused in any
    /// other term.
    pub only_in_term: Option<Term>,
}

impl Proposal {
    /// A payload for the state machine.
    #[must_use]
    pub fn normal(id: ProposalId, payload: Bytes) -> Proposal {
        Proposal {
            id,
            kind: EntryKind::Normal,
            payload,
            only_in_term: None,
        }
    }

    /// A payload for the state machine that only the leader of `term` may propose, such as a
    /// lease's expiry.
    #[must_use]
    pub fn in_term(id: ProposalId, payload: Bytes, term: Term) -> Proposal {
        Proposal {
            only_in_term: Some(term),
            ..Proposal::normal(id, payload)
        }
    }

    /// A change of membership.
    #[must_use]
    pub fn conf_change(id: ProposalId, change: &ConfChange) -> Proposal {
        let payload = change.encode();
        Proposal {
            id,
            kind: EntryKind::ConfChange,
            payload,
            only_in_term: None,
        }
    }
}

/// Why a proposal was refused. It is not in the log and will never be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// Nobody leads, as far as this member knows.
    #[error("no leader")]
    NoLeader,
    /// The proposal names a term that this member does not lead.
    #[error("not leader of the named term")]
    WrongTerm,
    /// Too many bytes wait for their commit.
    #[error("too much is uncommitted")]
    Overloaded,
    /// An earlier change of membership is not applied yet.
    #[error("a change of membership is pending")]
    ConfChangePending,
    /// The log's disk is full.
    #[error("no space left for the log")]
    NoSpace,
    /// This member was removed from the cluster.
    #[error("not a member")]
    NotMember,
    /// The payload of a change of membership does not decode.
    #[error("malformed change of membership")]
    Malformed,
    /// The member is stopping.
    #[error("stopped")]
    Stopped,
}

/// Why a read got no index. The reader may ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailure {
    /// Leader or term changed while the round was under way.
    #[error("leader changed")]
    LeaderChanged,
    /// Too many reads wait already.
    #[error("too many reads wait")]
    Overloaded,
    /// The member is stopping.
    #[error("stopped")]
    Stopped,
}
