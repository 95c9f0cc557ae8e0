//! A world for tests: time that is stepped, a disk that loses what was not synced, a network that loses anything.
//!
//! Everything follows from seeds and calls, so a run can be repeated. See [`SimDisk`].

mod clock;
mod disk;
mod disk_pace;
mod drifting_clock;
mod file_image;
mod names;
mod network;
mod random;
mod script;

pub use clock::SimClock;
pub use disk::SimDisk;
pub use disk_pace::DiskPace;
pub use drifting_clock::DriftingClock;
pub use network::{LinkFaults, NetworkStats, NodeId, SimNetwork};
pub use random::SimRandom;
pub use script::{Effect, Fault, Loss, Op, When};
