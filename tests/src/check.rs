//! Judges what clients of a cluster were told, whoever the cluster is: a simulation or real processes.
//!
//! The judges know the rules only, never the code that is judged. They start from a [`Timeline`]: every change of every
//! revision, as one complete watch tells it. Against it are held what requests were answered ([`history`]), what watches
//! delivered ([`watch`]) and when leases ended ([`lease`]). Times are nanoseconds of one true clock that no member has.

pub mod history;
pub mod lease;
mod model;
pub mod report;
mod timeline;
pub mod watch;

pub use model::{Request, Response, execute};
pub use timeline::{Change, Timeline};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the list of promises, such as `P-KV-01`.
    pub promise: &'static str,
    /// What was seen.
    pub text: String,
}

impl Violation {
    /// A promise was broken; `text` says how.
    pub fn new(promise: &'static str, text: impl Into<String>) -> Violation {
        Violation {
            promise,
            text: text.into(),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.promise, self.text)
    }
}

impl std::error::Error for Violation {}
