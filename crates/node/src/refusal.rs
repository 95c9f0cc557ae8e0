//! Why a peer's message was dropped before raft saw it.

use crate::{LogIndex, Term};

/// Why a peer's message was dropped before raft saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It names another receiver.
    #[error("not for this member")]
    Misdirected,
    /// It names no sender, or this member.
    #[error("from nobody, or from this member itself")]
    Sender,
    /// Only a member of the configuration may say this.
    #[error("answer or request from a member that is not in the configuration")]
    Stranger,
    /// An index or term that no cluster reaches.
    #[error("number out of range")]
    Number,
    /// No term, or one where none belongs.
    #[error("term missing, or where none belongs")]
    Term,
    /// Indexes with gaps, terms that fall or are above the sender's.
    #[error("entries do not follow each other")]
    Entries,
    /// A change of membership that does not decode.
    #[error("malformed change of membership")]
    ConfChange,
    /// It commits or accepts what this log does not hold.
    #[error("commits or accepts what is not in the log")]
    BeyondLog,
    /// A leader counts on entries of this log that it no longer has.
    #[error("the leader counts on entry {counted} of this log, which ends at {last}")]
    Forgotten {
        /// Up to where the leader counts on it.
        counted: LogIndex,
        /// Where it ends.
        last: LogIndex,
    },
    /// A copy of the state that no leader of this member can have.
    #[error("copy of an impossible state, or of one without this member")]
    State,
    /// The context of a read that the sender did not make.
    #[error("context that is not the sender's")]
    Context,
    /// A proposal larger than any request.
    #[error("proposal too large")]
    Size,
    /// A candidate's log that cannot be.
    #[error("vote with an impossible log")]
    Vote,
    /// An answer to a question that has not left yet.
    #[error("vote for a candidacy that is not on disk yet")]
    EarlyVote,
    /// Only a leader is asked or believed this.
    #[error("sender or receiver does not lead that term")]
    NotLeader,
    /// Someone else leads the term in which the sender claims to lead.
    #[error("another member leads that term")]
    SecondLeader,
    /// Too many reads wait for a quorum.
    #[error("too many reads wait")]
    Busy,
    /// What is committed here differs from what the sender holds, or claims to hold.
    #[error("entry {index} is committed with term {ours} here and has term {theirs} there")]
    Contradiction {
        /// Where the logs differ.
        index: LogIndex,
        /// The term of the entry here.
        ours: Term,
        /// The term of the entry there.
        theirs: Term,
    },
}

impl Refusal {
    /// A stable name, for counting.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Misdirected => "misdirected",
            Refusal::Sender => "sender",
            Refusal::Stranger => "stranger",
            Refusal::Number => "number",
            Refusal::Term => "term",
            Refusal::Entries => "entries",
            Refusal::ConfChange => "conf_change",
            Refusal::BeyondLog => "beyond_log",
            Refusal::Forgotten { .. } => "forgotten",
            Refusal::State => "state",
            Refusal::Context => "context",
            Refusal::Size => "size",
            Refusal::Vote => "vote",
            Refusal::EarlyVote => "early_vote",
            Refusal::NotLeader => "not_leader",
            Refusal::SecondLeader => "second_leader",
            Refusal::Busy => "busy",
            Refusal::Contradiction { .. } => "contradiction",
        }
    }

    /// Whether a sound member never says such a thing. What is not absurd may come from one that has
    /// not heard yet, is only late, or was told other limits.
    #[must_use]
    pub fn is_absurd(self) -> bool {
        match self {
            Refusal::Stranger
            | Refusal::EarlyVote
            | Refusal::NotLeader
            | Refusal::Busy
            | Refusal::Size => false,
            Refusal::Misdirected
            | Refusal::Sender
            | Refusal::Number
            | Refusal::Term
            | Refusal::Entries
            | Refusal::ConfChange
            | Refusal::BeyondLog
            | Refusal::Forgotten { .. }
            | Refusal::State
            | Refusal::Context
            | Refusal::Vote
            | Refusal::SecondLeader
            | Refusal::Contradiction { .. } => true,
        }
    }
}
