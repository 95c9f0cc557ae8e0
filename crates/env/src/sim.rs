//! A world for tests: time that is stepped, and a disk that loses what was not synced.
//!
//! Everything follows from seeds and calls, so a run can be repeated. See [`SimDisk`].

mod clock;
mod disk;
mod file_image;
mod names;
mod script;

pub use clock::SimClock;
pub use disk::SimDisk;
pub use script::{Effect, Fault, Loss, Op, When};
