//! Lines of the tool's own log, on standard error.

use std::time::SystemTime;

use serde::Serialize;

/// Level of a line.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Warn,
    Fatal,
}

#[derive(Serialize)]
struct Line<'a> {
    level: Level,
    ts: String,
    caller: &'static str,
    msg: &'a str,
    #[serde(rename = "environment-variable")]
    environment_variable: &'a str,
}

/// A line about an environment variable, ended by a line feed.
pub(crate) fn about_variable(level: Level, msg: &str, variable: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a log line carries the time of day"
    )]
    let now = SystemTime::now();
    let line = Line {
        level,
        ts: humantime::format_rfc3339_micros(now).to_string(),
        caller: "ctl/environment.rs",
        msg,
        environment_variable: variable,
    };
    // Only maps with keys that are not texts can fail, and there is none.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}
