//! The hub against scripts, against a model, and against the clock.

mod model;
mod random;
mod script;
mod speed;
mod store;
