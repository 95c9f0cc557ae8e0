//! An event as data, for what happens before there is a log.

use std::fmt;
use std::panic::Location;

use serde::Serialize;

use super::value::{Fields, json};
use super::{Json, Level};

/// A log event that is made in one place and emitted in another, with any number of fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    level: Level,
    message: &'static str,
    caller: &'static Location<'static>,
    /// Names, and values in JSON.
    fields: Vec<(String, String)>,
}

impl Note {
    /// An event without fields. The log names the place that called this.
    #[track_caller]
    #[must_use]
    pub fn new(level: Level, message: &'static str) -> Note {
        Note {
            level,
            message,
            caller: Location::caller(),
            fields: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Serialize) -> Note {
        let Json(text) = json(&value);
        self.fields.push((name.to_owned(), text));
        self
    }

    /// Its level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Its message.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.message
    }

    /// Hands it to the log.
    pub fn emit(self) {
        let message = self.message;
        let level = self.level;
        let fields = Fields {
            level,
            caller: self.caller,
            fields: self.fields,
        };
        let fields: &(dyn std::error::Error + 'static) = &fields;
        match level {
            Level::Debug => tracing::debug!(fields, "{message}"),
            Level::Info => tracing::info!(fields, "{message}"),
            Level::Warn => tracing::warn!(fields, "{message}"),
            Level::Error | Level::Dpanic | Level::Panic | Level::Fatal => {
                tracing::error!(fields, "{message}");
            }
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.level, self.message)?;
        super::line::write_object(f, &self.fields)
    }
}
