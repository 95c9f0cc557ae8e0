//! The server: gRPC services, configuration and life cycle around the ferrod crates.
//!
//! [`config`] reads etcd's flags, environment and file; [`run`] runs a member with what they say until a signal ends it.
//!
//! ```no_run
//! use ferrod_server::config::{Startup, Surroundings};
//!
//! fn main() -> std::process::ExitCode {
//!     match Startup::read(&Surroundings::of_process()).begin() {
//!         Ok((config, _log)) => match ferrod_server::run(&config) {
//!             Ok(_ended) => std::process::ExitCode::SUCCESS,
//!             Err(_) => std::process::ExitCode::FAILURE,
//!         },
//!         Err(code) => code,
//!     }
//! }
//! ```
//!
//! Start reading in `member.rs` for the life of a member, in `grpc/dispatch.rs` for the life of a call.

pub mod config;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod http;
pub mod ids;
pub mod logging;
pub mod peer;
pub mod version;

mod background;
mod divergence;
mod engine;
mod grpc;
mod lives;
mod mailbox;
mod member;
mod note_file;
mod probe;
mod serve;
mod suspect;
mod watch_events;
mod watching;
mod worker;

pub use member::{Ended, Error, Signal, run};
