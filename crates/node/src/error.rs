//! Why a member could not start, or had to stop.

use crate::{LogIndex, Term};

/// What a state machine, or whoever else is asked, may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a member could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration contradicts itself.
    #[error("invalid configuration: {0}")]
    Config(String),
    /// The state machine's membership cannot be started from.
    #[error("invalid membership: {0}")]
    Membership(&'static str),
    /// The log refused to open, to grow or to be made durable.
    #[error("log")]
    Wal(#[from] ferrod_wal::Error),
    /// A record's checksum is right but its content is not.
    #[error("record of kind {kind} in the log: {reason}")]
    Record {
        /// Kind of the record.
        kind: u8,
        /// What is wrong.
        reason: &'static str,
    },
    /// An entry does not follow the one before it.
    #[error("log goes from index {before} to index {found}")]
    Gap {
        /// Last index before the gap.
        before: LogIndex,
        /// The index found behind it.
        found: LogIndex,
    },
    /// An entry replaces one that was committed.
    #[error("entry {index} replaces an entry at or below the committed index {commit}")]
    CommittedReplaced {
        /// The entry's index.
        index: LogIndex,
        /// The committed index at that point of the log.
        commit: LogIndex,
    },
    /// Terms must never fall within the log, nor be above the hard state's.
    #[error("entry {index} has term {term}, expected between {low} and {high}")]
    TermOrder {
        /// The entry's index.
        index: LogIndex,
        /// Its term.
        term: Term,
        /// Term of the entry before it.
        low: Term,
        /// Term of the hard state.
        high: Term,
    },
    /// The log ends before what it says is committed: durable records are missing.
    #[error("log ends at index {last}, but {commit} was committed")]
    CommitBeyondLog {
        /// The committed index.
        commit: LogIndex,
        /// The log's last index.
        last: LogIndex,
    },
    /// The state machine has applied what the log does not contain: the two do not belong together,
    /// or the log lost its end.
    #[error("state machine has applied index {applied}, but the log holds {first} to {last}")]
    AppliedOutsideLog {
        /// The state machine's applied index.
        applied: LogIndex,
        /// The log's first index.
        first: LogIndex,
        /// The log's last index.
        last: LogIndex,
    },
    /// The state machine applied another entry at this index than the log holds.
    #[error(
        "state machine applied index {index} of term {applied}, but the log has term {logged} there"
    )]
    AppliedTerm {
        /// The state machine's applied index.
        index: LogIndex,
        /// The term it recorded with it.
        applied: Term,
        /// The log's term at that index.
        logged: Term,
    },
    /// A leader's log and what was committed here exclude each other: data that somebody was promised is
    /// lost on one of the two.
    #[error("logs of members contradict each other")]
    Contradiction(#[from] crate::Contradiction),
    /// The member has acknowledged what its log does not have any more.
    #[error("this member has forgotten entries that it acknowledged")]
    Forgotten(#[from] crate::Forgotten),
    /// The log was empty where it must not be, or held something where it must be empty.
    #[error("log {0}")]
    Log(&'static str),
    /// The state machine could not apply an entry.
    #[error("state machine")]
    StateMachine(#[source] BoxError),
    /// The operating system refused a thread.
    #[error("start thread {name}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The member has stopped.
    #[error("stopped")]
    Stopped,
}
