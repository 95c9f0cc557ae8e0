//! `ETCDCTL_*`: flags by another way.

use std::ffi::OsString;

use crate::log_line::{Level, about_variable};
use crate::syntax::{CommandLine, Flag};

const PREFIX: &str = "ETCDCTL_";

/// The doubled parenthesis is part of the text that etcdctl prints.
const CONFLICT: &str = "conflicting environment variable is shadowed by corresponding command-line flag \
    (either unset environment variable or disable flag))";

/// The variables of the process, in their order.
#[derive(Debug, Clone, Default)]
pub struct Environment(Vec<(String, String)>);

/// What the environment says about the flags.
pub(crate) struct Applied {
    /// Flags to add to those of the command line.
    pub(crate) flags: Vec<Flag>,
    /// Log lines.
    pub(crate) log: String,
    /// A variable and a flag say the same thing; the log tells which.
    pub(crate) conflict: bool,
}

impl Environment {
    /// Takes the variables; those that are not text cannot matter here.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment(variables.into_iter().filter_map(text).collect())
    }

    /// The value of a variable, empty if it is not set.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().rfind(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Compares the variables with the flags that the command inherits.
    ///
    /// A value that does not parse is passed over. Variables in `silent` are known, but not here.
    pub(crate) fn apply(&self, line: &CommandLine<'_>, silent: &[&str]) -> Applied {
        let mut applied = Applied {
            flags: Vec::new(),
            log: String::new(),
            conflict: false,
        };
        for (name, value) in &self.0 {
            let Some(flag) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if silent.contains(&name.as_str()) {
                continue;
            }
            let flag = flag.to_lowercase().replace('_', "-");
            let known = inherits(line, &flag) && variable(&flag) == *name;
            if known && line.has_flag(&flag) {
                applied.log += &about_variable(Level::Fatal, CONFLICT, name);
                applied.conflict = true;
                return applied;
            } else if known && !value.is_empty() {
                let flag = Flag {
                    name: flag,
                    value: value.into(),
                };
                applied
                    .flags
                    .extend(Some(flag).filter(|flag| line.accepts(flag)));
            } else {
                let variable = format!("{name}={value}");
                applied.log +=
                    &about_variable(Level::Warn, "unrecognized environment variable", &variable);
            }
        }
        applied
    }
}

/// The variable that belongs to a flag.
pub(crate) fn variable(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_uppercase().replace('-', "_"))
}

/// Only flags that the command has from above it can be set by the environment.
fn inherits(line: &CommandLine<'_>, flag: &str) -> bool {
    line.path
        .long_flag(flag)
        .is_some_and(|arg| arg.is_global_set())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn check(words: &str, variables: &[(&str, &str)], flags: &[(&str, &str)], log: &[&str]) {
        let tree = cli::tree("etcdctl");
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        let line = CommandLine::parse(&tree, &words).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let applied = Environment::new(variables).apply(&line, &["ETCDCTL_WATCH_KEY"]);
        let found: Vec<_> = applied
            .flags
            .iter()
            .map(|f| (&*f.name, f.value.to_str().unwrap()))
            .collect();
        assert_eq!(found, flags);
        assert_eq!(applied.log.lines().count(), log.len(), "{}", applied.log);
        for (line, part) in applied.log.lines().zip(log) {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn a_variable_sets_a_flag() {
        check(
            "get a",
            &[("ETCDCTL_WRITE_OUT", "json")],
            &[("write-out", "json")],
            &[],
        );
        check(
            "endpoint health",
            &[("ETCDCTL_CLUSTER", "true")],
            &[("cluster", "true")],
            &[],
        );
    }

    #[test]
    fn a_variable_and_a_flag_conflict_even_if_the_variable_is_empty() {
        let expected = ["\"level\":\"fatal\""];
        check(
            "get a -w json",
            &[("ETCDCTL_WRITE_OUT", "")],
            &[],
            &expected,
        );
    }

    #[test]
    fn a_value_that_does_not_parse_is_passed_over() {
        check(
            "get a",
            &[("ETCDCTL_DIAL_TIMEOUT", "5"), ("ETCDCTL_HEX", "maybe")],
            &[],
            &[],
        );
    }

    #[test]
    fn what_is_not_a_flag_from_above_draws_a_warning() {
        let expected = [
            "\"environment-variable\":\"ETCDCTL_API=3\"",
            "ETCDCTL_PREFIX=1",
            "ETCDCTL_USER=",
        ];
        let variables = [
            ("ETCDCTL_API", "3"),
            ("PATH", "/"),
            ("ETCDCTL_PREFIX", "1"),
            ("ETCDCTL_USER", ""),
        ];
        check("get a", &variables, &[], &expected);
        check("watch a", &[("ETCDCTL_WATCH_KEY", "k")], &[], &[]);
        check(
            "defrag",
            &[("ETCDCTL_CLUSTER", "true")],
            &[],
            &["unrecognized"],
        );
    }
}
