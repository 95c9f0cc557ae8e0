//! The text of one event.

use std::fmt::{self, Write};
use std::panic::Location;

use super::value::quoted;
use super::{Format, Level};

/// One event, ready to be written.
#[derive(Debug)]
pub(crate) struct Line<'e> {
    pub(crate) level: Level,
    pub(crate) timestamp: &'e str,
    /// For events of a part that has a name of its own.
    pub(crate) logger: Option<&'e str>,
    pub(crate) caller: &'e str,
    pub(crate) message: &'e str,
    /// Names, and values in JSON.
    pub(crate) fields: &'e [(String, String)],
    /// Where a serious event came from; empty for others.
    pub(crate) stacktrace: &'e str,
}

impl Line<'_> {
    /// The line in this format, with its line feed.
    pub(crate) fn text(&self, format: Format) -> String {
        let mut text = String::with_capacity(256);
        match format {
            Format::Json => self.write_json(&mut text),
            Format::Console => self.write_console(&mut text),
        }
        .expect("a String takes any text");
        text
    }

    fn write_json(&self, out: &mut String) -> fmt::Result {
        write!(
            out,
            r#"{{"level":"{}","ts":"{}""#,
            self.level, self.timestamp
        )?;
        if let Some(logger) = self.logger {
            write!(out, r#","logger":{}"#, quoted(logger))?;
        }
        write!(out, r#","caller":{}"#, quoted(self.caller))?;
        write!(out, r#","msg":{}"#, quoted(self.message))?;
        for (name, value) in self.fields {
            write!(out, ",{}:{value}", quoted(name))?;
        }
        if !self.stacktrace.is_empty() {
            write!(out, r#","stacktrace":{}"#, quoted(self.stacktrace))?;
        }
        out.write_str("}\n")
    }

    fn write_console(&self, out: &mut String) -> fmt::Result {
        write!(out, "{}\t{}", self.timestamp, self.level)?;
        if let Some(logger) = self.logger {
            write!(out, "\t{}", on_one_line(logger))?;
        }
        write!(out, "\t{}\t{}", self.caller, on_one_line(self.message))?;
        if !self.fields.is_empty() {
            out.write_char('\t')?;
            write_object(out, self.fields)?;
        }
        if !self.stacktrace.is_empty() {
            write!(out, "\n{}", self.stacktrace)?;
        }
        out.write_char('\n')
    }
}

/// Writes fields as one JSON object.
pub(crate) fn write_object(out: &mut impl Write, fields: &[(String, String)]) -> fmt::Result {
    out.write_char('{')?;
    for (place, (name, value)) in fields.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(out, "{comma}{}:{value}", quoted(name))?;
    }
    out.write_char('}')
}

/// A line feed or an escape sequence in a message must not forge a line of the log.
fn on_one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The place of an event as `folder/file.rs:line`, with the crate's name for its `src`.
pub(crate) fn short_place(file: &str, line: u32) -> String {
    let mut parts = file.rsplit(['/', '\\']);
    let name = parts.next().unwrap_or(file);
    let folder = match parts.next() {
        Some("src") => parts.next(),
        other => other,
    };
    match folder {
        Some(folder) => format!("{folder}/{name}:{line}"),
        None => format!("{name}:{line}"),
    }
}

/// [`short_place`] of a location.
pub(crate) fn short_location(location: &Location<'_>) -> String {
    short_place(location.file(), location.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'e>(fields: &'e [(String, String)], logger: Option<&'e str>) -> Line<'e> {
        Line {
            level: Level::Info,
            timestamp: "2026-01-02T03:04:05.000006Z",
            logger,
            caller: "server/serve.rs:12",
            message: "added \"member\"\nx",
            fields,
            stacktrace: "",
        }
    }

    #[test]
    fn json_has_the_keys_of_etcd_in_its_order() {
        let fields = [
            ("peer-urls".to_owned(), r#"["http://a:1"]"#.to_owned()),
            ("took".to_owned(), r#""1.5ms""#.to_owned()),
        ];
        assert_eq!(
            line(&fields, Some("raft")).text(Format::Json),
            "{\"level\":\"info\",\"ts\":\"2026-01-02T03:04:05.000006Z\",\"logger\":\"raft\",\
             \"caller\":\"server/serve.rs:12\",\"msg\":\"added \\\"member\\\"\\nx\",\
             \"peer-urls\":[\"http://a:1\"],\"took\":\"1.5ms\"}\n"
        );
    }

    #[test]
    fn console_has_tabs_and_stays_on_one_line() {
        let fields = [
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), "true".to_owned()),
        ];
        assert_eq!(
            line(&fields, None).text(Format::Console),
            "2026-01-02T03:04:05.000006Z\tinfo\tserver/serve.rs:12\tadded \"member\" x\t\
             {\"a\":1,\"b\":true}\n"
        );
        assert_eq!(
            line(&[], Some("raft")).text(Format::Console),
            "2026-01-02T03:04:05.000006Z\tinfo\traft\tserver/serve.rs:12\tadded \"member\" x\n"
        );
    }

    #[test]
    fn a_stacktrace_comes_last() {
        let mut line = line(&[], None);
        line.stacktrace = "here";
        let text = line.text(Format::Json);
        assert!(text.ends_with(",\"stacktrace\":\"here\"}\n"), "{text}");
    }

    #[test]
    fn places_are_short() {
        assert_eq!(
            short_place("crates/server/src/serve.rs", 12),
            "server/serve.rs:12"
        );
        assert_eq!(
            short_place("crates/server/src/config/load.rs", 3),
            "config/load.rs:3"
        );
        assert_eq!(short_place("main.rs", 1), "main.rs:1");
        assert_eq!(short_place("C:\\x\\src\\main.rs", 1), "x/main.rs:1");
    }
}
