//! The types of flags: how a text or a node of the configuration file becomes a value.

use serde_norway::Value;

use crate::config::number::{self, NumberError};
use crate::config::options::Options;
use crate::config::url::UrlError;
use crate::config::{FeatureGates, GoDuration, MemberUrl, gates};

/// Gives the place of a flag's value.
type Slot<T> = fn(&mut Options) -> &mut T;

/// The type of a flag and the place of its value.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    /// A bare flag means true.
    Bool(Slot<bool>),
    /// Any text.
    Text(Slot<String>),
    /// One of these words.
    Word(Slot<String>, &'static [&'static str]),
    /// One of these words; a refusal repeats what was given.
    QuotedWord(Slot<String>, &'static [&'static str]),
    /// An unsigned number of 64 bits.
    Unsigned(Slot<u64>),
    /// An unsigned number of 32 bits.
    Unsigned32(Slot<u32>),
    /// A signed number of 64 bits.
    Signed(Slot<i64>),
    /// A duration in Go's form; whole nanoseconds in the file.
    Duration(Slot<GoDuration>),
    /// Words with commas between them; a list in the file.
    List(Slot<Vec<String>>),
    /// Words with commas between them, in the file too.
    Words(Slot<Vec<String>>),
    /// `*`, or URLs with commas between them.
    Origins(Slot<Vec<String>>),
    /// URLs with commas between them; nothing leaves the default.
    Urls(Slot<Vec<MemberUrl>>),
    /// `A=true,B=false`; given again, it adds to what was given before.
    Gates(Slot<String>),
    /// Taken in any form and forgotten.
    Ignored,
}

/// Why a value was refused, in etcd's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    #[error(transparent)]
    Number(#[from] NumberError),
    /// A number of 32 bits, whose error names the function that refused it.
    #[error("strconv.ParseUint: parsing {text:?}: {}", long_form(.reason))]
    Unsigned32 { text: String, reason: NumberError },
    #[error("invalid value")]
    Word,
    #[error("invalid value {0:?}")]
    QuotedWord(String),
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Gates(#[from] gates::Error),
    /// A node of the file is not what the flag needs.
    #[error("expected {expected}, found {found}")]
    Shape {
        expected: &'static str,
        found: &'static str,
    },
}

fn long_form(reason: &NumberError) -> &'static str {
    match reason {
        NumberError::Syntax => "invalid syntax",
        NumberError::Range => "value out of range",
    }
}

impl Field {
    /// Whether the flag may stand without a value.
    pub(crate) fn is_bool(self) -> bool {
        matches!(self, Field::Bool(_) | Field::Ignored)
    }

    /// Reads a value from the command line or the environment.
    pub(crate) fn set(self, options: &mut Options, text: &str) -> Result<(), ValueError> {
        match self {
            Field::Bool(slot) => *slot(options) = number::boolean(text)?,
            Field::Text(slot) => *slot(options) = text.to_owned(),
            Field::Word(slot, words) => {
                check(words.contains(&text), || ValueError::Word)?;
                *slot(options) = text.to_owned();
            }
            Field::QuotedWord(slot, words) => {
                check(words.contains(&text), || {
                    ValueError::QuotedWord(text.to_owned())
                })?;
                *slot(options) = text.to_owned();
            }
            Field::Unsigned(slot) => *slot(options) = number::unsigned(text, 64)?,
            Field::Unsigned32(slot) => *slot(options) = unsigned32(text)?,
            Field::Signed(slot) => *slot(options) = number::signed(text)?,
            Field::Duration(slot) => {
                *slot(options) = text.parse().map_err(|_| NumberError::Syntax)?;
            }
            Field::List(slot) | Field::Words(slot) => *slot(options) = words(text),
            Field::Origins(slot) => *slot(options) = origins(text)?,
            Field::Urls(slot) => {
                if !text.is_empty() {
                    *slot(options) = MemberUrl::parse_list(text)?;
                }
            }
            Field::Gates(slot) => {
                FeatureGates::parse(text)?;
                let before = std::mem::take(slot(options));
                *slot(options) = format!("{before},{text}")
                    .trim_start_matches(',')
                    .to_owned();
            }
            Field::Ignored => {}
        }
        Ok(())
    }

    /// Reads a value from the configuration file. An empty node leaves the default.
    pub(crate) fn set_from_file(
        self,
        options: &mut Options,
        node: &Value,
    ) -> Result<(), ValueError> {
        if node.is_null() {
            return Ok(());
        }
        match self {
            Field::Bool(slot) => {
                *slot(options) = node.as_bool().ok_or_else(|| shape("true or false", node))?;
            }
            Field::Unsigned(slot) => {
                *slot(options) = node
                    .as_u64()
                    .ok_or_else(|| shape("a whole number, 0 or more", node))?;
            }
            Field::Unsigned32(slot) => {
                *slot(options) = node
                    .as_u64()
                    .and_then(|value| u32::try_from(value).ok())
                    .ok_or_else(|| shape("a whole number from 0 to 4294967295", node))?;
            }
            Field::Signed(slot) => {
                *slot(options) = node.as_i64().ok_or_else(|| shape("a whole number", node))?;
            }
            Field::Duration(slot) => {
                *slot(options) = node
                    .as_i64()
                    .map(GoDuration)
                    .ok_or_else(|| shape("a whole number of nanoseconds", node))?;
            }
            Field::List(slot) => *slot(options) = unique(list_in_file(node)?),
            Field::Text(slot) => *slot(options) = scalar(node)?,
            // An empty text says nothing here, unlike an empty flag.
            Field::Word(..)
            | Field::QuotedWord(..)
            | Field::Words(_)
            | Field::Origins(_)
            | Field::Gates(_)
            | Field::Urls(_) => {
                let text = scalar(node)?;
                if !text.is_empty() {
                    self.set(options, &text)?;
                }
            }
            Field::Ignored => {}
        }
        Ok(())
    }

    /// The value as the help text shows it.
    pub(crate) fn show(self, options: &mut Options) -> String {
        match self {
            Field::Bool(slot) => slot(options).to_string(),
            Field::Text(slot)
            | Field::Gates(slot)
            | Field::Word(slot, _)
            | Field::QuotedWord(slot, _) => slot(options).clone(),
            Field::Unsigned(slot) => slot(options).to_string(),
            Field::Unsigned32(slot) => slot(options).to_string(),
            Field::Signed(slot) => slot(options).to_string(),
            Field::Duration(slot) => slot(options).to_string(),
            Field::List(slot) | Field::Words(slot) | Field::Origins(slot) => {
                slot(options).join(",")
            }
            Field::Urls(slot) => {
                let urls: Vec<&str> = slot(options).iter().map(MemberUrl::as_str).collect();
                urls.join(",")
            }
            Field::Ignored => String::new(),
        }
    }
}

fn check(good: bool, error: impl FnOnce() -> ValueError) -> Result<(), ValueError> {
    if good { Ok(()) } else { Err(error()) }
}

fn unsigned32(text: &str) -> Result<u32, ValueError> {
    let refuse = |reason| ValueError::Unsigned32 {
        text: text.to_owned(),
        reason,
    };
    let value = number::unsigned(text, 32).map_err(refuse)?;
    u32::try_from(value).map_err(|_| refuse(NumberError::Range))
}

/// The words of a comma-separated text, sorted and without repeats. No text means no words.
fn words(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    unique(text.split(',').map(str::to_owned).collect())
}

fn origins(text: &str) -> Result<Vec<String>, UrlError> {
    if text == "*" {
        return Ok(vec![text.to_owned()]);
    }
    let urls = MemberUrl::parse_list(text)?;
    Ok(unique(urls.iter().map(MemberUrl::to_string).collect()))
}

fn unique(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words.dedup();
    words
}

fn list_in_file(node: &Value) -> Result<Vec<String>, ValueError> {
    let items = node
        .as_sequence()
        .ok_or_else(|| shape("a list of texts", node))?;
    items.iter().map(scalar).collect()
}

/// A text. Numbers and truth values may stand for one, as in `auto-compaction-retention: 1`.
fn scalar(node: &Value) -> Result<String, ValueError> {
    match node {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err(shape("a text", node)),
    }
}

pub(crate) fn shape(expected: &'static str, node: &Value) -> ValueError {
    let found = match node {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a section",
        Value::Tagged(_) => "a tagged value",
    };
    ValueError::Shape { expected, found }
}
