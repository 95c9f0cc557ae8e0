//! The replicated state machine.
pub mod quota;
pub mod validate;
