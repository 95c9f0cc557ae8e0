//! How important an event is.

use std::fmt;

/// The levels of etcd's log, least important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For developers.
    Debug,
    /// The life of a healthy server.
    Info,
    /// Something is odd but handled.
    Warn,
    /// A person should look.
    Error,
    /// A bug, of the kind that stops a test build.
    Dpanic,
    /// A bug that stops the process.
    Panic,
    /// A reason to end the process.
    Fatal,
}

impl Level {
    /// Every level, least important first.
    pub const ALL: [Level; 7] = [
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Dpanic,
        Level::Panic,
        Level::Fatal,
    ];

    /// The word for it in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Dpanic => "dpanic",
            Level::Panic => "panic",
            Level::Fatal => "fatal",
        }
    }

    /// Reads the word, in lower or upper case but not mixed; an empty one is `info`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Level> {
        if text.is_empty() {
            return Some(Level::Info);
        }
        Level::ALL
            .into_iter()
            .find(|level| text == level.as_str() || text == level.as_str().to_ascii_uppercase())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Level {
        match level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_or_upper_case() {
        assert_eq!(Level::parse("warn"), Some(Level::Warn));
        assert_eq!(Level::parse("FATAL"), Some(Level::Fatal));
        assert_eq!(Level::parse(""), Some(Level::Info));
        assert_eq!(Level::parse("Info"), None);
        assert_eq!(Level::parse("warning"), None);
    }
}
