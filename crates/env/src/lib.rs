//! The outside world as traits: a clock, a disk, randomness.
//!
//! Code that keeps time or files takes an `Arc<dyn Clock>` or an `Arc<dyn Disk>` and never asks the
//! operating system itself, so that the same code runs in production and in a simulation that
//! stops time, cuts power at any call and tears what was not synced. Start reading at [`Disk`].
//!
//! ```
//! use ferrod_env::{Disk, OpenMode, RealDisk};
//! # fn main() -> std::io::Result<()> {
//! # let scratch = tempfile::tempdir()?;
//! # let dir = scratch.path();
//! let disk = RealDisk;
//! let file = disk.open(&dir.join("greeting"), OpenMode::CreateNew)?;
//! file.write_all_at(b"hello", 0)?;
//! file.sync_all()?; // the bytes are durable,
//! disk.sync_dir(dir)?; // and now the name is too.
//! assert_eq!(disk.list(dir)?, ["greeting"]);
//! # Ok(())
//! # }
//! ```
//!
//! Feature `sim` adds the `sim` module: stepped and drifting clocks, a disk with separate volatile and
//! durable images, a network that loses, repeats and delays.

mod clock;
mod disk;
mod planted;
mod random;
mod real_clock;
mod real_disk;
mod real_random;
#[cfg(feature = "sim")]
pub mod sim;

pub use clock::Clock;
pub use disk::{Disk, DiskFile, OpenMode, is_out_of_space};
#[cfg(feature = "planted")]
pub use planted::plant;
pub use planted::planted;
pub use random::Random;
pub use real_clock::RealClock;
pub use real_disk::RealDisk;
pub use real_random::RealRandom;
