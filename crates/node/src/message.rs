//! What members tell each other. The transport encodes it; nothing here is a wire format.

use bytes::Bytes;

use crate::{Entry, EntryKind, LogIndex, MemberId, StateMeta, Term};

/// A message from one member to another. It may be lost, repeated or overtaken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerMessage {
    /// The sender.
    pub from: MemberId,
    /// The receiver.
    pub to: MemberId,
    /// The sender's term, or for a pre-vote the term it would campaign in; 0 for
    /// [`PeerBody::ReadIndex`].
    pub term: Term,
    /// What is said.
    pub body: PeerBody,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerBody {
    /// A leader extends the receiver's log behind an entry that both must have.
    Append {
        /// Index of the entry before the first one sent.
        prev_index: LogIndex,
        /// Term of that entry.
        prev_term: Term,
        /// The leader's commit index.
        commit: LogIndex,
        /// Contiguous from `prev_index + 1`; may be empty.
        entries: Vec<Entry>,
    },
    /// The receiver has everything up to `index` on disk.
    Accepted {
        /// Last index that agrees with the leader's log.
        index: LogIndex,
        /// The receiver's commit index.
        commit: LogIndex,
    },
    /// The receiver lacks the entry before the first one sent.
    Rejected {
        /// That entry's index.
        index: LogIndex,
        /// Where to try next.
        hint_index: LogIndex,
        /// Term of the receiver's entry there.
        hint_term: Term,
        /// The receiver's commit index.
        commit: LogIndex,
    },
    /// A leader shows that it is there.
    Heartbeat {
        /// What the receiver may commit.
        commit: LogIndex,
        /// Context of the latest read that waits for a quorum; comes back in the answer.
        context: Bytes,
    },
    /// Answer to a heartbeat.
    HeartbeatAnswer {
        /// The receiver's commit index.
        commit: LogIndex,
        /// As in the heartbeat.
        context: Bytes,
    },
    /// A candidate asks for a vote.
    Vote {
        /// Whether it only asks whether it would get one.
        pre: bool,
        /// Last index of the candidate's log.
        last_index: LogIndex,
        /// Term of that entry.
        last_term: Term,
        /// The candidate's commit index.
        commit: LogIndex,
        /// Term of that entry.
        commit_term: Term,
        /// The leader itself wants this election, so its lease does not forbid the vote.
        transfer: bool,
    },
    /// Answer to a vote.
    VoteAnswer {
        /// As in the question.
        pre: bool,
        /// Yes or no.
        granted: bool,
        /// The voter's commit index, if it said no.
        commit: LogIndex,
        /// Term of that entry.
        commit_term: Term,
    },
    /// The leader wants the receiver to take over.
    TimeoutNow,
    /// Asks the leader how far a linearizable read must have applied.
    ReadIndex {
        /// Used once; comes back in the answer.
        context: Bytes,
    },
    /// Answer to it, given after a quorum confirmed the leader.
    ReadIndexAnswer {
        /// The index to wait for.
        index: LogIndex,
        /// As in the question.
        context: Bytes,
    },
    /// Proposals that wait at a follower; `term` is the term in which the receiver leads.
    Propose(Forward),
    /// The receiver is to go on from a copy of the leader's state machine instead of entries that
    /// nobody has any more. Delivered when the whole copy is there.
    State(StateMeta),
}

/// A batch of proposals that is sent to the leader once and never again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Drawn by the sender at its start.
    pub nonce: u64,
    /// Counts the sender's batches under that nonce, from 1.
    pub number: u64,
    /// Kinds and payloads.
    pub proposals: Vec<(EntryKind, Bytes)>,
}
