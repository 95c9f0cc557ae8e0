//! The bridge from `tracing` to lines of the log.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, PoisonError};

use jiff::Zoned;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::line::{Line, short_location, short_place};
use super::sampler::Sampler;
use super::sink::{Entry, Queue};
use super::timestamp::timestamp;
use super::value::{Fields, Json, quoted};
use super::{Format, Level, error_chain};

/// Turns events into lines and queues them for the outputs.
#[derive(Debug)]
pub struct LogLayer {
    level: Level,
    format: Format,
    /// The journal does its own thinning, and takes no stack traces.
    to_journal: bool,
    sampler: Mutex<Sampler>,
    queue: Queue,
}

impl LogLayer {
    pub(crate) fn new(level: Level, format: Format, to_journal: bool, queue: Queue) -> LogLayer {
        LogLayer {
            level,
            format,
            to_journal,
            sampler: Mutex::default(),
            queue,
        }
    }

    fn admits(&self, metadata: &Metadata<'_>) -> bool {
        if !metadata.is_event() {
            return false;
        }
        // Events above error all come as errors, and their real level is known only later.
        let level = match Level::from(*metadata.level()) {
            Level::Error => Level::Fatal,
            other => other,
        };
        let from_us = is_ours(metadata.target()) || is_logger(metadata.target());
        let trace = *metadata.level() == tracing::Level::TRACE;
        level >= self.level && !trace && (from_us || self.level == Level::Debug)
    }

    fn write(&self, event: &Collected, target: &str, now: &Zoned) {
        let trace = if event.level >= Level::Error && !self.to_journal {
            format!("{target}\n\t{}", event.place)
        } else {
            String::new()
        };
        let text = Line {
            level: event.level,
            timestamp: &timestamp(now),
            logger: logger_name(target),
            caller: &event.caller,
            message: &event.message,
            fields: &event.fields,
            stacktrace: &trace,
        }
        .text(self.format);
        self.queue.push(Entry {
            level: event.level,
            caller: event.caller.clone(),
            line: text,
        });
    }

    fn report_dropped(&self, now: &Zoned) {
        let dropped = self.queue.take_dropped();
        if dropped > 0 {
            let mut event = Collected::at(file!(), line!());
            event.level = Level::Warn;
            event.message = "log outputs are too slow; dropped lines".to_owned();
            event.put("dropped-lines", dropped.to_string());
            self.write(&event, module_path!(), now);
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.admits(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.admits(metadata)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut collected = Collected::at(
            metadata.file().unwrap_or("unknown"),
            metadata.line().unwrap_or(0),
        );
        collected.level = Level::from(*metadata.level());
        event.record(&mut collected);
        if collected.level < self.level {
            return;
        }
        let now = Zoned::now();
        if !self.to_journal {
            let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
            let second = now.timestamp().as_second();
            if !sampler.admit(second, collected.level, &collected.message) {
                return;
            }
        }
        self.write(&collected, metadata.target(), &now);
        self.report_dropped(&now);
    }
}

/// Whether an event comes from one of our crates: they leave the target at their module's path.
fn is_ours(target: &str) -> bool {
    target.starts_with("ferrod")
}

/// The parts of the server that have a name of their own in the log.
const LOGGERS: [&str; 3] = ["raft", "etcd-client", "health"];

fn is_logger(target: &str) -> bool {
    LOGGERS.contains(&target)
}

/// What stands as `logger`: nothing for our modules, the name of a part, or a foreign crate.
fn logger_name(target: &str) -> Option<&str> {
    if is_ours(target) {
        return None;
    }
    target.split("::").next()
}

/// What an event says.
#[derive(Debug)]
struct Collected {
    level: Level,
    message: String,
    caller: String,
    /// File and line in full.
    place: String,
    fields: Vec<(String, String)>,
}

impl Collected {
    fn at(file: &str, line: u32) -> Collected {
        Collected {
            level: Level::Info,
            message: String::new(),
            caller: short_place(file, line),
            place: format!("{file}:{line}"),
            fields: Vec::new(),
        }
    }

    fn put(&mut self, name: &str, json: String) {
        self.fields.push((name.to_owned(), json));
    }
}

impl Visit for Collected {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "level" => match Level::parse(value) {
                Some(level) => self.level = level,
                None => self.put("level", quoted(value)),
            },
            name => self.put(name, quoted(value)),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.message, "{value:?}").expect("a String takes any text");
        } else {
            self.put(field.name(), quoted(&format!("{value:?}")));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        if let Some(Json(text)) = value.downcast_ref::<Json>() {
            self.put(field.name(), text.clone());
        } else if let Some(all) = value.downcast_ref::<Fields>() {
            self.level = all.level;
            self.caller = short_location(all.caller);
            self.place = format!("{}:{}", all.caller.file(), all.caller.line());
            self.fields.extend(all.fields.iter().cloned());
        } else {
            self.put(field.name(), quoted(&error_chain(value)));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
        self.put(field.name(), serde_json::Value::from(value).to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.to_string());
    }
}

#[cfg(test)]
mod tests;
