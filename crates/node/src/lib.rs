//! One raft member: a sans-IO core on raft-rs, and the executor that persists, sends and applies.
//!
//! [`Core`] decides: [`Input`]s in, [`Action`]s out, no file, thread or clock. [`Node`] carries
//! out: it writes what the core wants durable to a [`DurableLog`], hands committed entries to a
//! [`StateMachine`] and messages to a [`Transport`]. A member that is alone and one of a cluster
//! are the same code; the first takes fewer hops between threads.
//!
//! ```
//! use std::sync::{Arc, mpsc};
//!
//! use ferrod_env::{RealClock, RealDisk};
//! use ferrod_node::*;
//! use ferrod_wal::{Identity, Options};
//!
//! struct Machine(mpsc::Sender<Vec<u8>>);
//!
//! impl StateMachine for Machine {
//!     fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
//!         entries.iter().try_for_each(|entry| self.0.send(entry.payload.to_vec()))?;
//!         Ok(())
//!     }
//!     fn judge_change(&mut self, _: &CommittedChange) -> bool {
//!         true
//!     }
//!     fn apply_change(&mut self, _: AppliedChange) -> Result<(), BoxError> {
//!         Ok(()) // A real one stores the configuration with the applied index.
//!     }
//!     fn install(&mut self, _: &StateMeta) -> Result<(), BoxError> {
//!         Err("no copy can have come: there are no peers".into())
//!     }
//!     fn role_changed(&mut self, _: SoftState) {}
//! }
//!
//! struct Silent;
//!
//! impl Observer for Silent {
//!     fn dropped(&self, _: Vec<ProposalId>, _: DropReason) {}
//!     fn failed(&self, _: &Error) {}
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let scratch = tempfile::tempdir()?;
//! let (disk, dir) = (Arc::new(RealDisk), scratch.path().join("wal"));
//! let (member, identity) = (MemberId(1), Identity { cluster: 1, member: 1 });
//! # let options = Options { segment_bytes: 1 << 20, ..Options::default() };
//! let voter =
//!     ConfChange { id: 0, kind: ConfChangeKind::AddVoter, member, context: "who it is".into() };
//! drop(DurableLog::create(disk.clone(), &dir, options, identity, &[voter])?);
//!
//! let (log, opened) = DurableLog::open(disk, &dir, options, Some(identity))?;
//! let (applied, results) = mpsc::channel();
//! let node = Node::start(Parts {
//!     config: Config::new(member, /* seed */ 7, /* boot nonce */ 1),
//!     pace: Pace::default(),
//!     log,
//!     recovered: opened.recovered,
//!     from: StartingPoint::default(), // Where the state machine stands: nothing applied yet.
//!     machine: Machine(applied),
//!     transport: NoPeers,
//!     observer: Arc::new(Silent),
//!     clock: Arc::new(RealClock::new()),
//! })?;
//! while !node.handle().reads_alone() {
//!     std::thread::yield_now(); // A server waits for `StateMachine::role_changed`.
//! }
//! node.handle().propose(ProposalId(1), "hello".into())?;
//! assert!(results.iter().any(|payload| payload == b"hello"));
//! node.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! Start reading at [`Core::handle`]; what leaves a member and when is in `core.rs`, what its
//! threads do in `engine.rs`, the records on disk in `record.rs`.

mod action;
mod conf;
mod config;
mod core;
mod dump;
mod durable_log;
mod engine;
mod entry;
mod error;
mod executor;
mod healing;
mod ids;
mod log_reader;
mod machine;
mod message;
mod node;
mod proposal;
mod queue;
mod record;
mod recovered;
mod refusal;
mod state;
mod status;

pub use self::core::Core;
pub use action::{
    Action, AppliedChange, Batch, CommittedChange, Contradiction, Forgotten, Input, Role, SoftState,
};
pub use conf::{ConfChange, ConfChangeKind, ConfState};
pub use config::{Config, Limits, LogSink, Severity};
pub use dump::{Dump, dump};
pub use durable_log::{Disowned, DurableLog, OpenedLog, WriteStats};
pub use engine::{Next, Pace, ReadCallback, Ticket, Work};
pub use entry::{Entry, EntryKind, HardState};
pub use error::{BoxError, Error};
pub use executor::Executor;
pub use healing::{CannotHeal, Confirmed, HEALING_VOTERS_MIN, Healing, Standing};
pub use ids::{LogIndex, MemberId, ProposalId, ReadId, ReadyNumber, Term};
pub use log_reader::Fetch;
pub use machine::{NoPeers, Observer, StateMachine, Transport};
pub use message::{Forward, PeerBody, PeerMessage};
pub use node::{Node, NodeHandle, Parts};
pub use proposal::{DropReason, Proposal, ReadFailure};
pub use recovered::{Recovered, StartingPoint};
pub use refusal::Refusal;
pub use state::StateMeta;
pub use status::{Progress, ProgressCallback, Status};
