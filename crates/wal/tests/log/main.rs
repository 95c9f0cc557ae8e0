//! The log through its public face, on the simulated disk.
#![expect(clippy::unwrap_used, reason = "a test may end where it stands")]

mod crash;
mod errors;
mod model;
mod rot;
mod round_trip;
mod segments;
mod threads;
