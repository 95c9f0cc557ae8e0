//! What is said about a copy of the state machine that goes to a member which is too far behind.

use crate::{ConfState, LogIndex, Term};

/// A copy of a state machine: up to where, and for whom. The copy itself travels beside raft's
/// messages.
///
/// All three are read in the transaction that the copy is taken from: a configuration of another
/// index would count other quorums than the members that replay the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMeta {
    /// Last index whose effect the copy has; not 0.
    pub index: LogIndex,
    /// Term of that entry.
    pub term: Term,
    /// The membership as of that index.
    pub conf: ConfState,
}
