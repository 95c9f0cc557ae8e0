//! One raft member: a sans-IO core on raft-rs, and the executor that persists, sends and applies.

mod action;
mod conf;
mod config;
mod core;
mod dump;
mod durable_log;
mod engine;
mod entry;
mod error;
mod ids;
mod machine;
mod message;
mod node;
mod proposal;
mod record;
mod recovered;
mod status;

pub use self::core::Core;
pub use action::{Action, AppliedChange, Batch, CommittedChange, Input, Role, SoftState};
pub use conf::{ConfChange, ConfChangeKind, ConfState};
pub use config::{Config, Limits, LogSink, Severity};
pub use dump::{Dump, dump};
pub use durable_log::{DurableLog, OpenedLog, WriteStats};
pub use engine::{Pace, ReadCallback};
pub use entry::{Entry, EntryKind, HardState};
pub use error::{BoxError, Error};
pub use ids::{LogIndex, MemberId, ProposalId, ReadId, ReadyNumber, Term};
pub use machine::{NoPeers, Observer, StateMachine, Transport};
pub use message::{Forward, PeerBody, PeerMessage};
pub use node::{Node, NodeHandle, Parts};
pub use proposal::{DropReason, Proposal, ReadFailure};
pub use recovered::{Recovered, StartingPoint};
pub use status::Status;
