//! One raft member: a sans-IO core on raft-rs, and the executor that persists, sends and applies.

mod action;
mod conf;
mod config;
mod core;
mod entry;
mod error;
mod ids;
mod message;
mod proposal;
mod recovered;

pub use self::core::Core;
pub use action::{Action, AppliedChange, Batch, CommittedChange, Input, Role, SoftState};
pub use conf::{ConfChange, ConfChangeKind, ConfState};
pub use config::{Config, Limits, LogSink, Severity};
pub use entry::{Entry, EntryKind, HardState};
pub use error::{BoxError, Error};
pub use ids::{LogIndex, MemberId, ProposalId, ReadId, ReadyNumber, Term};
pub use message::{Forward, PeerBody, PeerMessage};
pub use proposal::{DropReason, Proposal, ReadFailure};
pub use recovered::{Recovered, StartingPoint};
