//! The five formats, and what an answer must know to be printed in them.

use std::io::{self, Write};

use serde::Serialize;

use super::json;
use super::table::Table;
use crate::Error;

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Simple,
    Fields,
    Json,
    Protobuf,
    Table,
}

impl Format {
    pub(crate) fn parse(name: &str) -> Result<Format, Error> {
        match name {
            "simple" => Ok(Format::Simple),
            "fields" => Ok(Format::Fields),
            "json" => Ok(Format::Json),
            "protobuf" => Ok(Format::Protobuf),
            "table" => Ok(Format::Table),
            _ => Err(Error::Unsupported("unsupported output format".into())),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Simple => "simple",
            Format::Fields => "fields",
            Format::Json => "json",
            Format::Protobuf => "protobuf",
            Format::Table => "table",
        }
    }
}

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) format: Format,
    /// Bytes of keys and values, and some IDs, in hexadecimal.
    pub(crate) hex: bool,
    /// Values without their keys, in the simple format.
    pub(crate) value_only: bool,
}

/// An answer that can be printed. What a format lacks for an answer is said as etcdctl says it.
pub(crate) trait Printable {
    fn simple(&self, style: &Style, out: &mut dyn Write) -> io::Result<()>;

    /// The answer as Go's JSON encoder sees it.
    fn json(&self, style: &Style) -> impl Serialize;

    /// Lines of `"Name" : value`; none if there is no such form.
    fn fields(&self, _style: &Style) -> Option<String> {
        None
    }

    /// The encoded message.
    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Err(unsupported(Format::Protobuf))
    }

    /// Header and rows.
    fn table(&self) -> Option<Table> {
        None
    }

    /// Lines that belong on standard error, in the simple format.
    fn complaints(&self, _style: &Style) -> String {
        String::new()
    }
}

fn unsupported(format: Format) -> Error {
    Error::Unsupported(format!("{} not supported as output format", format.name()))
}

/// Prints one answer in the format that the style asks for.
pub(crate) fn print(
    answer: &impl Printable,
    style: &Style,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match style.format {
        Format::Simple => answer.simple(style, out)?,
        Format::Json => json::write(&answer.json(style), out)?,
        Format::Protobuf => out.write_all(&answer.protobuf()?)?,
        Format::Fields => {
            let text = answer
                .fields(style)
                .ok_or_else(|| unsupported(Format::Fields))?;
            out.write_all(text.as_bytes())?;
        }
        Format::Table => {
            let table = answer.table().ok_or_else(|| unsupported(Format::Table))?;
            writeln!(out, "{table}")?;
        }
    }
    Ok(())
}
