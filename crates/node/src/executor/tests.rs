//! Whole members in one thread, over simulated disks: what threads and clocks do to each other, made
//! repeatable.

mod cluster;
mod failover;
mod handing_over;
mod membership;
mod partition;
mod pause;
mod quiet;
mod slow_disk;
mod transfer;
