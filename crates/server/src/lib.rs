//! The server: gRPC services, configuration and life cycle around the ferrod crates.

pub mod config;
pub mod http;
pub mod ids;
pub mod logging;
pub mod version;

mod engine;
mod grpc;
mod mailbox;
mod member;
mod probe;
mod serve;
mod watch_events;
mod watching;
mod worker;

pub use member::{Error, Signal, run};
