//! Values that `tracing` has no type for.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::panic::Location;

use serde::Serialize;

use super::Level;

/// A structured value of a log field, made by [`json`].
///
/// `tracing` hands a subscriber only scalars, texts and errors. An error can be told by its type, so
/// that is what this pretends to be: no text that a client sends can be taken for structure.
#[derive(Debug)]
pub struct Json(pub(crate) String);

/// Wraps a list, a map or another value that serializes, for use as a log field.
///
/// A value that cannot be serialized shows the reason as a text.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Json {
    Json(serde_json::to_string(value).unwrap_or_else(|error| quoted(&error.to_string())))
}

impl Json {
    /// The form that `tracing` takes.
    #[must_use]
    pub fn as_field(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Json {}

/// All fields of an event at once, with level and place: how a [`Note`](super::Note) travels.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) level: Level,
    pub(crate) caller: &'static Location<'static>,
    /// Names, and values in JSON.
    pub(crate) fields: Vec<(String, String)>,
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.fields)
    }
}

impl Error for Fields {}

/// A text in JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The message of an error and of all that caused it, joined by colons.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some types repeat their cause in their own message.
        if !text.ends_with(&message) {
            write!(text, ": {message}").expect("a String takes any text");
        }
        cause = error.source();
    }
    text
}
