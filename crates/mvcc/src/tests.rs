//! Tests of the key space as a whole, at its public boundary.

mod full_disk;
mod hashes;
mod measure;
mod model;
mod property;
mod text;
mod threads;
mod transfer;
