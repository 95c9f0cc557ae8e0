//! What the log looks like and where it goes.

use std::path::PathBuf;

use super::{Level, Rotation};

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Fields with tabs between them.
    Console,
}

/// A place to which every line goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// The journal of systemd.
    Journal,
    /// A file, which is appended to.
    File(PathBuf),
}

/// What the log looks like and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Events below this level are dropped.
    pub level: Level,
    /// The shape of a line.
    pub format: Format,
    /// Where lines go; each once.
    pub outputs: Vec<Output>,
    /// How files are rotated; `None` lets them grow.
    pub rotation: Option<Rotation>,
}

impl Default for Settings {
    /// Info and above, as JSON, to standard error.
    fn default() -> Settings {
        Settings {
            level: Level::Info,
            format: Format::Json,
            outputs: vec![Output::Stderr],
            rotation: None,
        }
    }
}
