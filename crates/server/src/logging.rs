//! The log, in the layout of etcd's: one JSON object (or tab-separated line) per event, written
//! whole and at once, never with colours.
//!
//! Events are those of `tracing`. Fields have etcd's names in kebab case, written as quoted keys:
//!
//! ```
//! use ferrod_server::logging::json;
//! let urls = ["http://localhost:2380"];
//! tracing::info!(
//!     "local-member-id" = %"8e9e05c52164694d",
//!     "added-peer-peer-urls" = json(&urls).as_field(),
//!     "added member"
//! );
//! ```
//!
//! - Texts, numbers and booleans are written as they are; `%value` and `?value` as texts.
//! - A list or another structured value goes through [`json`].
//! - A span of time is shown as Go shows it: `%GoDuration::from(took)`.
//! - An event with a `target` of one word gets it as its `logger`: `info!(target: "raft", ..)`.
//! - [`fatal!`](crate::fatal) logs at level `fatal`; the caller then ends the process.
//! - What is known before there is a log, or has more fields than `tracing` takes, is a [`Note`].
//!
//! [`start`] builds the log; lines are written by a thread of their own, so that a slow terminal or
//! disk does not hold up the thread that logs. Read on at [`start`] and [`Settings`].

mod journal;
mod layer;
mod level;
mod line;
mod note;
mod output;
mod rotation;
mod sampler;
mod settings;
mod sink;
mod timestamp;
mod value;

pub use layer::LogLayer;
pub use level::Level;
pub use note::Note;
pub use rotation::Rotation;
pub use settings::{Format, Output, Settings};
pub use sink::{Error, Log, start};
pub use value::{Json, error_chain, json};

/// Logs at level `fatal`, with the syntax of `tracing::error!`. The caller ends the process.
#[macro_export]
macro_rules! fatal {
    ($($event:tt)+) => {
        tracing::error!("level" = "fatal", $($event)+)
    };
}
