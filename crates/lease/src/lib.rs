//! Time-limited grants: deadlines, expiry order, checkpoints.
//!
//! A lease is a promise to keep keys for a while. What every member must agree on and what only the
//! leader knows are two types:
//!
//! - [`Leases`] is replicated: which leases exist, with which [`Ttl`], which keys hang on them. It
//!   changes only by applied entries, knows no time, and is equal on every member.
//! - [`Deadlines`] is the leader's own: when each lease runs out. It is built when a member becomes
//!   leader, dropped when it no longer is, and never written anywhere. It decides nothing: it names the
//!   leases whose time is over, and the leader proposes their end.
//!
//! Time is an argument: a [`Duration`](std::time::Duration) since some fixed start, read from a
//! monotonic clock by the caller. A lease is never named before its time (late is allowed).
//!
//! ```
//! use ferrod_lease::{Deadlines, LeaseId, Leases, Pace, Ttl};
//! use std::time::Duration;
//!
//! let mut leases = Leases::new();
//! let id = LeaseId(7);
//! leases.grant(id, Ttl::new(1, 2)?)?; // asked for one second, raised to two
//! leases.attach(b"session".as_slice().into(), id)?;
//!
//! // This member becomes leader at second 100, with an election timeout of one second.
//! let at = Duration::from_secs;
//! let mut deadlines = Deadlines::promote(leases.len(), at(100), at(1), Pace::default());
//! deadlines.load(leases.grants_after(None));
//!
//! assert!(deadlines.expired(at(102), 500).is_empty());
//! assert_eq!(deadlines.expired(at(103), 500), [id]);
//!
//! // The revocation has been committed: the keys to delete, in order.
//! assert_eq!(leases.revoke(id)?, ["session"]);
//! deadlines.revoke(id);
//! # Ok::<(), ferrod_lease::Error>(())
//! ```

mod deadlines;
mod error;
mod lease_id;
mod leases;
mod ttl;

pub use deadlines::{Checkpoint, Deadlines, Pace, Recording, Renewal};
pub use error::Error;
pub use lease_id::LeaseId;
pub use leases::{Grant, Lease, Leases};
pub use ttl::Ttl;
