//! Whole members and clusters: end to end, differential and crash tests, and the benchmark.
//!
//! Everything here treats a member as a process that takes etcd's flags and speaks etcd's protocol, so that the same
//! code drives ferrod and the real etcd. The programs `e2e` and `bench` are started by `cargo xtask`; what needs
//! nothing but ferrod itself is also an ordinary test of this crate.

pub mod bad_input;
pub mod bench;
pub mod binaries;
pub mod check;
pub mod clients;
pub mod clock;
pub mod cluster;
pub mod crash;
pub mod damage;
pub mod differential;
pub mod discovery;
pub mod divergence;
pub mod member;
pub mod members;
pub mod pages;
mod proxy;
pub mod script;
pub mod sim;
pub mod stopping;
pub mod trio;
pub mod usage;
pub mod wire;
