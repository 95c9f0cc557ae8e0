//! Reads the `ETCD_*` variables.

use std::collections::BTreeMap;

use super::flags::{FLAGS, ValueError};
use super::sources::{Settings, Source};
use crate::logging::{Level, Note};

/// Why the environment makes no sense, in etcd's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The same setting by variable and by flag, be it with the same value.
    #[error(
        "conflicting environment variable is shadowed by corresponding command-line flag \
         (either unset environment variable or disable flag))"
    )]
    Conflict { variable: String },
    #[error("invalid value {value:?} for {variable}: {source}")]
    Value {
        variable: String,
        value: String,
        source: ValueError,
    },
}

const PREFIX: &str = "ETCD_";
/// Never acts as `--version`, so that it cannot stop a server by accident.
const VERSION_VARIABLE: &str = "ETCD_VERSION";

/// Reads the variables into `settings`, behind what the command line gave, and appends to `notes`
/// what the log should tell of it.
pub(crate) fn read(
    variables: &BTreeMap<String, String>,
    settings: &mut Settings,
    notes: &mut Vec<Note>,
) -> Result<(), Error> {
    let mut used = Vec::new();
    let mut bad_value = None;
    if let Some(value) = present(variables, VERSION_VARIABLE) {
        notes.push(
            Note::new(Level::Warn, "cannot set special environment variable")
                .field("key", VERSION_VARIABLE)
                .field("value", value),
        );
        used.push(VERSION_VARIABLE.to_owned());
    }
    let mut flags: Vec<_> = FLAGS.iter().filter(|flag| flag.name != "version").collect();
    flags.sort_by_key(|flag| flag.name);
    for flag in flags {
        let variable = flag.env_name();
        if settings.is_given(flag.name) {
            continue;
        }
        let Some(value) = present(variables, &variable) else {
            continue;
        };
        used.push(variable.clone());
        match flag.field.set(&mut settings.options, value) {
            Ok(()) => {
                settings.given.insert(flag.name, Source::Environment);
                notes.push(
                    Note::new(Level::Info, "recognized and used environment variable")
                        .field("variable-name", &variable)
                        .field("variable-value", value),
                );
            }
            Err(source) => {
                bad_value = Some(Error::Value {
                    variable,
                    value: value.to_owned(),
                    source,
                });
            }
        }
    }
    judge_unused(variables, &used, settings, notes)?;
    bad_value.map_or(Ok(()), Err)
}

/// The value of a variable. An empty one says nothing.
pub(crate) fn present<'v>(variables: &'v BTreeMap<String, String>, name: &str) -> Option<&'v str> {
    variables
        .get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

/// Variables that set nothing are either in conflict with a flag or unknown.
fn judge_unused(
    variables: &BTreeMap<String, String>,
    used: &[String],
    settings: &Settings,
    notes: &mut Vec<Note>,
) -> Result<(), Error> {
    let on_command_line: Vec<String> = FLAGS
        .iter()
        .filter(|flag| settings.given.get(flag.name) == Some(&Source::CommandLine))
        .map(|flag| flag.env_name())
        .collect();
    let unused = variables
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && !used.contains(name));
    for (name, value) in unused {
        if on_command_line.contains(name) {
            return Err(Error::Conflict {
                variable: name.clone(),
            });
        }
        notes.push(
            Note::new(Level::Warn, "unrecognized environment variable")
                .field("environment-variable", format!("{name}={value}")),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::command_line;

    fn read_pairs(
        pairs: &[(&str, &str)],
        words: &[&str],
    ) -> (Settings, Vec<String>, Result<(), Error>) {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let mut settings = Settings::default();
        command_line::read(&words, &mut settings).unwrap();
        let mut notes = Vec::new();
        let outcome = read(&variables, &mut settings, &mut notes);
        let notes = notes.iter().map(Note::to_string).collect();
        (settings, notes, outcome)
    }

    #[test]
    fn a_variable_sets_its_flag_and_is_told() {
        let (settings, notes, outcome) = read_pairs(
            &[("ETCD_NAME", "x"), ("PATH", "/bin"), ("ETCD_PRE_VOTE", "0")],
            &[],
        );
        assert_eq!(outcome, Ok(()));
        assert_eq!(settings.options.name, "x");
        assert!(!settings.options.pre_vote);
        assert_eq!(
            notes,
            [
                r#"info recognized and used environment variable {"variable-name":"ETCD_NAME","variable-value":"x"}"#,
                r#"info recognized and used environment variable {"variable-name":"ETCD_PRE_VOTE","variable-value":"0"}"#,
            ]
        );
    }

    #[test]
    fn unknown_and_empty_variables_only_warn() {
        let (settings, notes, outcome) = read_pairs(
            &[("ETCD_FOO", "1"), ("ETCD_NAME", ""), ("ETCD_VERIFY", "all")],
            &[],
        );
        assert_eq!(outcome, Ok(()));
        assert_eq!(settings.options.name, "default");
        assert_eq!(
            notes,
            [
                r#"warn unrecognized environment variable {"environment-variable":"ETCD_FOO=1"}"#,
                r#"warn unrecognized environment variable {"environment-variable":"ETCD_NAME="}"#,
                r#"warn unrecognized environment variable {"environment-variable":"ETCD_VERIFY=all"}"#,
            ]
        );
    }

    #[test]
    fn a_variable_and_its_flag_are_in_conflict_whatever_they_say() {
        for value in ["x", "y", ""] {
            let (_, _, outcome) = read_pairs(&[("ETCD_NAME", value)], &["--name=x"]);
            let variable = "ETCD_NAME".to_owned();
            assert_eq!(outcome, Err(Error::Conflict { variable }));
        }
    }

    #[test]
    fn a_bad_value_is_told_with_the_name_of_its_variable() {
        let (_, _, outcome) = read_pairs(&[("ETCD_HEARTBEAT_INTERVAL", "x")], &[]);
        assert_eq!(
            outcome.unwrap_err().to_string(),
            r#"invalid value "x" for ETCD_HEARTBEAT_INTERVAL: parse error"#
        );
    }

    #[test]
    fn the_version_variable_never_acts() {
        let (settings, notes, outcome) = read_pairs(&[("ETCD_VERSION", "1")], &[]);
        assert_eq!(outcome, Ok(()));
        assert!(!settings.options.version);
        assert_eq!(
            notes,
            [r#"warn cannot set special environment variable {"key":"ETCD_VERSION","value":"1"}"#]
        );
    }
}
