//! The other members: what this one says to them, and what it hears.
//!
//! Each member calls each other one, twice: one connection carries what must not wait (votes, heartbeats, read indexes,
//! answers), the other entries and forwarded proposals. A connection carries messages one way; the answers travel on
//! the other member's own. The node's thread leaves messages in outboxes bounded by bytes, and never waits; the thread
//! of the peers takes all that has gathered since its last write and sends it as one. What does not fit, or finds nobody
//! listening, is lost and reported, and raft sends again what still matters.
//!
//! A caller says first who it is and whom it looks for. Another cluster, another member, a removed caller: each is
//! refused with the reason, and both ends log it. The form of a message is checked in `wire.rs`, its sense by the node.
//!
//! What only the leader can tell is asked by a call of its own, in `ask.rs`. A member without a log answers as `waiting.rs` says.
//!
//! Start reading in `thread.rs`; `link.rs` is the calling end, `host.rs` the listening one.

pub(crate) mod ask;
mod backoff;
mod context;
mod directory;
pub(crate) mod fetch;
mod host;
mod inbox;
mod lane;
mod link;
mod newcomer;
mod outbox;
mod pages;
mod protocol;
mod recognize;
mod state;
mod thread;
pub(crate) mod waiting;
mod wire;

pub(crate) use context::{Context, PARCEL_BYTES, Pace};
pub(crate) use directory::{Directory, PeerTransport};
pub(crate) use newcomer::{Newcomer, has_lived};
pub(crate) use state::{StateOrder, States};
pub(crate) use thread::PeerThread;
pub use wire::{WireError, decode};
