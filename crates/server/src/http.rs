//! The pages beside gRPC: health, metrics, version.
//!
//! [`Pages`] answers a request; what it has to know of the member comes through [`Probe`]. Nothing
//! here listens or spawns.

mod access;
mod checks;
mod gzip;
mod health;
mod pages;
mod probe;
mod process;
mod query;
pub(crate) mod reply;
mod vars;

pub use access::Access;
pub use pages::{Pages, Place};
pub use probe::{AlarmKind, Consistency, Probe, RaftStatus};
