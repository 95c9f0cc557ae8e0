//! Cores without threads or disks: traces, random runs, and garbage from peers.

mod garbage;
mod random;
mod render;
mod rig;
mod say;
mod trace;
