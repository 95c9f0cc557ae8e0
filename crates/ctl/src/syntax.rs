//! What the words of a command line mean, by the rules of Go's cobra and pflag.
//!
//! [`CommandLine::parse`] finds the command and sorts the words into flags and arguments; [`CommandLine::fill`] hands the
//! result to clap in a form that leaves nothing to interpret, and words clap's remaining complaints (values of the wrong
//! kind) as Go would. [`tokens`] splits the lines of interactive commands, and [`compare`] reads the compares of `txn`.

mod command_line;
mod compare;
mod find;
mod flags;
pub(crate) mod peer_url;
mod tokens;

pub(crate) use command_line::CommandLine;
pub(crate) use compare::parse_compare;
pub(crate) use find::{Path, find};
pub(crate) use flags::Flag;
pub(crate) use tokens::tokens;
