//! What the log is made of: entries, and the hard state beside them.

use bytes::Bytes;

use crate::{ConfChange, LogIndex, MemberId, Term};

/// How an entry's payload is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// The state machine's business. An empty payload is the mark of a new leader.
    Normal,
    /// An encoded [`ConfChange`](crate::ConfChange).
    ConfChange,
}

/// One entry of the replicated log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Position in the log.
    pub index: LogIndex,
    /// Term of the leader that made the entry.
    pub term: Term,
    /// How to read the payload.
    pub kind: EntryKind,
    /// What was proposed.
    pub payload: Bytes,
}

impl Entry {
    /// The change of membership that this entry is; `None` for any other, and for one that cannot be read.
    #[must_use]
    pub fn change(&self) -> Option<ConfChange> {
        (self.kind == EntryKind::ConfChange)
            .then(|| ConfChange::decode(self.payload.clone()))
            .flatten()
    }
}

/// What raft must never forget. Durable before anything that relies on it leaves the member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term this member has seen.
    pub term: Term,
    /// Who got this member's vote in that term.
    pub vote: MemberId,
    /// Highest index known to be committed. May lag behind on disk: the applied index of the state
    /// machine tells more.
    pub commit: LogIndex,
}
