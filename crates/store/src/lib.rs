//! The replicated state machine: applies one log entry to the key space, leases, members and alarms in one atomic step.
//!
//! [`Store`] is deterministic: what an entry does depends on the entries before it and on nothing else. A refusal is an
//! answer like any other, the same on every member; whatever cannot be carried out the same way everywhere is an
//! [`Error`], after which a member stops.
//!
//! ```
//! use std::sync::Arc;
//! use ferrod_mvcc::{Options, backend::Memory};
//! use ferrod_proto::etcdserverpb::{PutRequest, internal_raft_request::Request};
//! use ferrod_store::{Answer, Store};
//!
//! let (mut store, _flusher) = Store::open(Arc::new(Memory::new()), Options::default())?;
//! let put = PutRequest { key: "k".into(), value: "v".into(), ..Default::default() };
//! let applied = store.apply(Some(Request::Put(put)))?;
//! let Ok(Answer::Put(answer)) = applied.answer else { panic!() };
//! assert_eq!(answer.header.unwrap().revision, 2);
//! let view = store.publish(1, 1);
//! assert_eq!(view.revision(), 2);
//! # Ok::<(), ferrod_store::Error>(())
//! ```
//!
//! Start reading in [`Store::apply`].

pub mod quota;
pub mod validate;

mod alarm;
mod answer;
mod cluster;
mod convert;
mod error;
mod member;
mod read;
mod recover;
mod rows;
mod store;
mod txn;
mod write;

pub use alarm::Alarms;
pub use answer::{Answer, Applied, Effect};
pub use cluster::{Cluster, ClusterView};
pub use convert::query;
pub use error::Error;
pub use ferrod_proto::ApiError;
pub use member::{Member, Members};
pub use read::read_txn;
pub use recover::stored_members;
pub use store::{ConfState, MemberChange, SharedLeases, Store};
