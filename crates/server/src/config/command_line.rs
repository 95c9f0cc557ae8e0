//! Reads the command line by the rules of Go's flag package.

use super::flags::{Flag, ValueError};
use super::options::Options;
use super::sources::{Settings, Source};

/// What a command line says.
#[derive(Debug)]
pub(crate) enum CommandLine {
    /// Flags, and the first word that is none.
    Flags { leftover: Option<String> },
    /// `-h` or `--help` came first.
    Help,
}

/// Why a command line makes no sense, in Go's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    #[error("flag needs an argument: -{0}")]
    NoValue(&'static str),
    #[error("invalid boolean value {value:?} for -{flag}: {source}")]
    Boolean {
        flag: &'static str,
        value: String,
        source: ValueError,
    },
    #[error("invalid value {value:?} for flag -{flag}: {source}")]
    Value {
        flag: &'static str,
        value: String,
        source: ValueError,
    },
}

/// Reads the words after the program's name into `settings`.
///
/// Stops at the first word that is no flag, and after `--`.
pub(crate) fn read(args: &[String], settings: &mut Settings) -> Result<CommandLine, Error> {
    let mut words = args.iter();
    while let Some(word) = words.as_slice().first() {
        let Some(text) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            break;
        };
        words.next();
        let text = match text.strip_prefix('-') {
            Some("") => break,
            Some(rest) => rest,
            None => text,
        };
        if text.is_empty() || text.starts_with(['-', '=']) {
            return Err(Error::Syntax(word.clone()));
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(flag) = Flag::find(name) else {
            if matches!(name, "h" | "help") {
                return Ok(CommandLine::Help);
            }
            return Err(Error::Unknown(name.to_owned()));
        };
        set(flag, value, &mut words, &mut settings.options)?;
        settings.given.insert(flag.name, Source::CommandLine);
    }
    Ok(CommandLine::Flags {
        leftover: words.next().cloned(),
    })
}

fn set(
    flag: &Flag,
    value: Option<&str>,
    words: &mut std::slice::Iter<'_, String>,
    options: &mut Options,
) -> Result<(), Error> {
    if flag.field.is_bool() {
        let value = value.unwrap_or("true");
        return flag
            .field
            .set(options, value)
            .map_err(|source| Error::Boolean {
                flag: flag.name,
                value: value.to_owned(),
                source,
            });
    }
    let value = match value {
        Some(value) => value,
        None => words.next().ok_or(Error::NoValue(flag.name))?,
    };
    flag.field
        .set(options, value)
        .map_err(|source| Error::Value {
            flag: flag.name,
            value: value.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &[&str]) -> (Settings, Result<CommandLine, Error>) {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let mut settings = Settings::default();
        let outcome = read(&words, &mut settings);
        (settings, outcome)
    }

    #[test]
    fn one_dash_or_two_and_the_value_after_equals_or_as_next_word() {
        for words in [
            &["-name=x", "-pre-vote=f"][..],
            &["--name=x", "--pre-vote=F"],
            &["-name", "x", "--pre-vote=0"],
            &["--name", "x", "-pre-vote=false"],
        ] {
            let (settings, outcome) = read_words(words);
            assert!(matches!(outcome, Ok(CommandLine::Flags { leftover: None })));
            assert_eq!(settings.options.name, "x");
            assert!(!settings.options.pre_vote);
            assert!(settings.is_given("name"));
        }
    }

    #[test]
    fn a_bare_boolean_takes_no_next_word() {
        let (settings, outcome) = read_words(&["--force-new-cluster", "false", "--name=x"]);
        let Ok(CommandLine::Flags { leftover }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(leftover.as_deref(), Some("false"));
        assert!(settings.options.force_new_cluster);
        assert_eq!(settings.options.name, "default");
    }

    #[test]
    fn a_value_may_look_like_a_flag_or_hold_equals() {
        let (settings, _) = read_words(&["--name", "--x", "--initial-cluster=a=http://b:1"]);
        assert_eq!(settings.options.name, "--x");
        assert_eq!(settings.options.initial_cluster, "a=http://b:1");
    }

    #[test]
    fn flags_end_at_a_lone_dash_and_after_two() {
        for (words, expected) in [
            (&["-", "--nope"][..], Some("-")),
            (&["--", "--nope"], Some("--nope")),
            (&["--"], None),
            (&["", "--nope"], Some("")),
        ] {
            let (_, outcome) = read_words(words);
            let Ok(CommandLine::Flags { leftover }) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(leftover.as_deref(), expected, "{words:?}");
        }
    }

    #[test]
    fn help_comes_before_later_mistakes_and_after_earlier_ones() {
        let (_, outcome) = read_words(&["-h", "--nope"]);
        assert!(matches!(outcome, Ok(CommandLine::Help)));
        let (_, outcome) = read_words(&["--nope", "--help"]);
        assert_eq!(outcome.unwrap_err(), Error::Unknown("nope".to_owned()));
    }

    /// Each text is what etcd 3.5.1 printed for the same words, where it knows the flag.
    #[test]
    fn mistakes_are_told_in_the_words_of_go() {
        for (word, message) in [
            ("--nope=3", "flag provided but not defined: -nope"),
            ("---x", "bad flag syntax: ---x"),
            ("--=x", "bad flag syntax: --=x"),
            ("-=x", "bad flag syntax: -=x"),
            (
                "--heartbeat-interval",
                "flag needs an argument: -heartbeat-interval",
            ),
            (
                "--heartbeat-interval=x",
                r#"invalid value "x" for flag -heartbeat-interval: parse error"#,
            ),
            (
                "--heartbeat-interval=18446744073709551616",
                r#"invalid value "18446744073709551616" for flag -heartbeat-interval: value out of range"#,
            ),
            (
                "--pre-vote=maybe",
                r#"invalid boolean value "maybe" for -pre-vote: parse error"#,
            ),
            (
                "--max-concurrent-streams=4294967296",
                r#"invalid value "4294967296" for flag -max-concurrent-streams: strconv.ParseUint: parsing "4294967296": value out of range"#,
            ),
            (
                "--grpc-keepalive-min-time=5",
                r#"invalid value "5" for flag -grpc-keepalive-min-time: parse error"#,
            ),
            (
                "--initial-cluster-state=x",
                r#"invalid value "x" for flag -initial-cluster-state: invalid value"#,
            ),
            (
                "--v2-deprecation=not-yet",
                r#"invalid value "not-yet" for flag -v2-deprecation: invalid value "not-yet""#,
            ),
            (
                "--listen-client-urls=foo",
                r#"invalid value "foo" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: foo"#,
            ),
            (
                "--cors=http://a,*",
                r#"invalid value "http://a,*" for flag -cors: URL address does not have the form "host:port": http://a"#,
            ),
        ] {
            let (_, outcome) = read_words(&[word]);
            assert_eq!(outcome.unwrap_err().to_string(), message);
        }
    }
}
