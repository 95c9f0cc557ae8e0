//! raft-rs logs through slog; this passes its lines to a plain function, or nowhere.

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;

use slog::{Drain, KV as _, Level, Logger, OwnedKVList, Record};

use crate::{LogSink, Severity};

/// The logger to hand to raft-rs.
pub(super) fn logger(sink: Option<LogSink>) -> Logger {
    match sink {
        Some(sink) => Logger::root(Bridge(AssertUnwindSafe(sink)), slog::o!()),
        None => Logger::root(slog::Discard, slog::o!()),
    }
}

/// slog asks for unwind safety. Nothing here is seen after a panic: a panic in raft-rs stops the
/// member.
struct Bridge(AssertUnwindSafe<LogSink>);

impl Drain for Bridge {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        let severity = match record.level() {
            Level::Critical | Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
            Level::Info => Severity::Info,
            // One line per message sent: nobody reads that, and formatting it costs more than
            // sending.
            Level::Debug | Level::Trace => return Ok(()),
        };
        let mut line = Line(record.msg().to_string());
        // A value that cannot be written is left out; the line is for people.
        let _ = record.kv().serialize(record, &mut line);
        let _ = values.serialize(record, &mut line);
        (self.0)(severity, &line.0);
        Ok(())
    }
}

struct Line(String);

impl slog::Serializer for Line {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        let _ = write!(self.0, " {key}={value}");
        Ok(())
    }
}
