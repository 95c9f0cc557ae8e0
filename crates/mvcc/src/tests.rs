//! Tests of the key space as a whole, at its public boundary.

mod measure;
mod model;
mod property;
mod text;
mod threads;
mod transfer;
