//! What the logging flags say.

use super::options::Options;
use crate::logging::{Format, Level, Output, Rotation, Settings};

/// Why the logging flags make no sense, in etcd's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("unknown logger option {0:?}")]
    Logger(String),
    #[error("--logger=capnslog is removed in v3.5")]
    Capnslog,
    #[error("multi logoutput for \"default\" is not supported yet")]
    DefaultAmongOthers,
    #[error(
        "running with systemd/journal but other '--log-outputs' values ({0:?}) are configured with 'default'; override 'default' value with something else"
    )]
    JournalAmongOthers(Vec<String>),
    #[error("unknown log format: {0}, supported values json, console")]
    Format(String),
    #[error("--log-outputs requires a single file path when --log-rotate-config-json is defined")]
    RotationWithoutFile,
    #[error("improperly formatted log rotation config: {0}")]
    RotationSyntax(String),
    #[error("invalid log rotation config: {0}")]
    RotationType(String),
    /// etcd crashes on this one.
    #[error("unrecognized level: {0:?}")]
    Level(String),
}

const DEFAULT: &str = "default";
const JOURNAL: &str = "systemd/journal";

/// Reads the logging flags.
pub(crate) fn read(options: &Options) -> Result<Settings, Error> {
    match options.logger.as_str() {
        "zap" => {}
        "capnslog" => return Err(Error::Capnslog),
        other => return Err(Error::Logger(other.to_owned())),
    }
    let outputs = outputs(&options.log_outputs)?;
    let rotation = if options.enable_log_rotation {
        Some(rotation(&outputs, &options.log_rotation_config_json)?)
    } else {
        None
    };
    let level =
        Level::parse(&options.log_level).ok_or_else(|| Error::Level(options.log_level.clone()))?;
    let format = match options.log_format.as_str() {
        "json" | "" => Format::Json,
        "console" => Format::Console,
        other => return Err(Error::Format(other.to_owned())),
    };
    Ok(Settings {
        level,
        format,
        outputs,
        rotation,
    })
}

fn outputs(words: &[String]) -> Result<Vec<Output>, Error> {
    let has = |word: &str| words.iter().any(|other| other == word);
    if has(JOURNAL) {
        let only_default = words.iter().all(|word| word == JOURNAL || word == DEFAULT);
        if !only_default {
            return Err(Error::JournalAmongOthers(words.to_vec()));
        }
        return Ok(vec![Output::Journal]);
    }
    if has(DEFAULT) && words.len() > 1 {
        return Err(Error::DefaultAmongOthers);
    }
    if words.is_empty() {
        return Ok(vec![Output::Stderr]);
    }
    Ok(words
        .iter()
        .map(|word| match word.as_str() {
            DEFAULT | "stderr" => Output::Stderr,
            "stdout" => Output::Stdout,
            path => Output::File(path.into()),
        })
        .collect())
}

fn rotation(outputs: &[Output], json: &str) -> Result<Rotation, Error> {
    let files = outputs
        .iter()
        .filter(|output| matches!(output, Output::File(_)))
        .count();
    if files > 1 || (outputs.len() == 1 && files == 0) {
        return Err(Error::RotationWithoutFile);
    }
    serde_json::from_str(json).map_err(|error| {
        if error.is_data() {
            Error::RotationType(error.to_string())
        } else if error.is_eof() {
            Error::RotationSyntax("unexpected end of JSON input".to_owned())
        } else {
            Error::RotationSyntax(error.to_string())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_options(change: impl FnOnce(&mut Options)) -> Result<Settings, Error> {
        let mut options = Options::default();
        change(&mut options);
        read(&options)
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn defaults_are_json_at_info_to_stderr() {
        assert_eq!(read_options(|_| {}), Ok(Settings::default()));
    }

    #[test]
    fn outputs_are_named_or_files() {
        let settings =
            read_options(|o| o.log_outputs = words(&["/x/y", "stderr", "stdout"])).unwrap();
        let expected = [Output::File("/x/y".into()), Output::Stderr, Output::Stdout];
        assert_eq!(settings.outputs, expected);
        let settings =
            read_options(|o| o.log_outputs = words(&["default", "systemd/journal"])).unwrap();
        assert_eq!(settings.outputs, [Output::Journal]);
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_etcd() {
        let rotate = |outputs: &[&str], json: &str| {
            let (outputs, json) = (words(outputs), json.to_owned());
            read_options(|o| {
                o.log_outputs = outputs;
                o.enable_log_rotation = true;
                o.log_rotation_config_json = json;
            })
            .map_err(|error| error.to_string())
        };
        let refused = rotate(&["stderr"], "{}").unwrap_err();
        assert_eq!(
            refused,
            "--log-outputs requires a single file path when --log-rotate-config-json is defined"
        );
        assert_eq!(rotate(&["/a", "/b"], "{}").unwrap_err(), refused);
        assert_eq!(
            rotate(&["/a"], "{").unwrap_err(),
            "improperly formatted log rotation config: unexpected end of JSON input"
        );
        let error = rotate(&["/a"], "{,").unwrap_err();
        assert!(
            error.starts_with("improperly formatted log rotation config: "),
            "{error}"
        );
        let error = rotate(&["/a"], r#"{"maxsize":"a"}"#).unwrap_err();
        assert!(
            error.starts_with("invalid log rotation config: "),
            "{error}"
        );
        let settings = rotate(&["/a", "stderr"], r#"{"maxsize":7}"#).unwrap();
        assert_eq!(settings.rotation.unwrap().maxsize, 7);
        let text = |outcome: Result<Settings, Error>| outcome.unwrap_err().to_string();
        assert_eq!(
            text(read_options(|o| o.logger = "x".to_owned())),
            r#"unknown logger option "x""#
        );
        assert_eq!(
            text(read_options(|o| o.logger = "capnslog".to_owned())),
            "--logger=capnslog is removed in v3.5"
        );
        assert_eq!(
            text(read_options(
                |o| o.log_outputs = words(&["default", "stdout"])
            )),
            r#"multi logoutput for "default" is not supported yet"#
        );
        assert_eq!(
            text(read_options(|o| o.log_format = "x".to_owned())),
            "unknown log format: x, supported values json, console"
        );
        assert_eq!(
            text(read_options(|o| o.log_level = "x".to_owned())),
            r#"unrecognized level: "x""#
        );
    }
}
