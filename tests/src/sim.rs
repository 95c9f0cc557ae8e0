//! A cluster in one thread, from one seed: the production node, log, store, key space, leases and watch hub, in a world
//! where time, disks and the network do what the seed says.
//!
//! Two runs of a seed are the same run, so a failure is repeated by its number. After every step the promises are
//! looked at that hold at all times (`truth.rs`); at the end everything that clients heard is judged by
//! [`check`](crate::check), after the troubles have stopped and the cluster has had to recover.
//!
//! What is not production code here: the server's services, streams and runtimes, which need tokio and sockets. Their
//! part, from a request to a proposal and from an applied entry to an answer, is the thin driver in `machine.rs`,
//! `lessor.rs`, `watching.rs` and `world/calls.rs`. The backend is the one in memory: a commit is there as a whole or
//! not at all, as LMDB's is. How a member with a damaged disk asks the others is in `world/heal.rs`; what their answers
//! mean is judged by the node.
//!
//! Reading order: `plan.rs`, `world.rs`, `world/members.rs`, `truth.rs`.

mod host;
mod lessor;
mod machine;
mod plan;
mod planted;
mod process;
mod run;
mod trace;
mod truth;
mod watching;
mod workload;
mod world;

pub use run::{Options, run};
