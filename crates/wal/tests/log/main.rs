//! The log through its public face, on the simulated disk.

mod crash;
mod errors;
mod model;
mod rot;
mod round_trip;
mod segments;
