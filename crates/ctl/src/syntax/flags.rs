//! Sorting words into flags and arguments, by the rules of pflag.

use std::ffi::OsString;

use clap::{Arg, ArgAction};

use super::find::{Path, is_bool};
use crate::go;

/// One flag as it was given, its value still a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) name: String,
    pub(crate) value: OsString,
}

/// The words of one command, sorted.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) flags: Vec<Flag>,
    pub(super) words: Vec<OsString>,
    /// Number of arguments before a bare `--`, if there is one.
    pub(super) dash: Option<usize>,
    pub(super) help: bool,
    /// What stopped the sorting.
    pub(super) error: Option<String>,
}

/// Sorts the words of one command. After an error, what was sorted before it is still there.
pub(super) fn sort(path: &Path<'_>, words: Vec<OsString>) -> Sorted {
    let mut sorted = Sorted::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let outcome = if text == "--" {
            sorted.dash = Some(sorted.words.len());
            sorted.words.extend(words.by_ref());
            Ok(())
        } else if let Some(long) = text.strip_prefix("--") {
            sorted.long(path, long, &mut words)
        } else if text.len() > 1 && text.starts_with('-') {
            sorted.short(path, &text[1..], &mut words)
        } else {
            sorted.words.push(word);
            Ok(())
        };
        if let Err(error) = outcome {
            sorted.error = Some(error);
            break;
        }
        if sorted.help {
            break;
        }
    }
    sorted
}

impl Sorted {
    fn long(
        &mut self,
        path: &Path<'_>,
        text: &str,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), String> {
        if text.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: --{text}"));
        }
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let Some(arg) = path.long_flag(name) else {
            self.help = name == "help";
            return if self.help {
                Ok(())
            } else {
                Err(format!("unknown flag: --{name}"))
            };
        };
        let value = match attached {
            Some(value) => value,
            None if is_bool(arg) => "true".into(),
            None => rest
                .next()
                .ok_or_else(|| format!("flag needs an argument: --{name}"))?,
        };
        self.push(arg, value)
    }

    /// A run of one-letter flags; the first that takes a value takes what is left of the word, or the next one.
    fn short(
        &mut self,
        path: &Path<'_>,
        run: &str,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), String> {
        let mut left = run;
        while let Some(name) = left.chars().next() {
            left = &left[name.len_utf8()..];
            let Some(arg) = path.short_flag(name) else {
                self.help = name == 'h';
                let unknown = format!("unknown shorthand flag: '{name}' in -{name}{left}");
                return if self.help { Ok(()) } else { Err(unknown) };
            };
            let value = match left.strip_prefix('=') {
                Some(value) => value.into(),
                None if is_bool(arg) => {
                    self.push(arg, "true".into())?;
                    continue;
                }
                None if !left.is_empty() => left.into(),
                None => rest
                    .next()
                    .ok_or_else(|| format!("flag needs an argument: '{name}' in -{run}"))?,
            };
            return self.push(arg, value);
        }
        Ok(())
    }

    fn push(&mut self, arg: &Arg, value: OsString) -> Result<(), String> {
        let name = arg.get_long().unwrap_or_default().to_owned();
        if is_bool(arg) {
            let text = value.to_string_lossy();
            go::parse_bool(&text).map_err(|cause| invalid_argument(arg, &text, &cause))?;
        }
        self.flags.push(Flag { name, value });
        Ok(())
    }
}

/// pflag's complaint about a value.
pub(super) fn invalid_argument(arg: &Arg, value: &str, cause: &str) -> String {
    let long = arg.get_long().unwrap_or_default();
    let name = match arg.get_short() {
        Some(short) => format!("-{short}, --{long}"),
        None => format!("--{long}"),
    };
    format!(
        "invalid argument {} for \"{name}\" flag: {cause}",
        go::quote(value.as_bytes())
    )
}

/// The flag as a word that clap cannot misunderstand; none if clap expresses it by absence.
pub(super) fn canonical(arg: &Arg, flag: &Flag) -> Option<OsString> {
    let mut word = OsString::from(format!("--{}", flag.name));
    if !is_bool(arg) {
        word.push("=");
        word.push(&flag.value);
        return Some(word);
    }
    let value = go::parse_bool(&flag.value.to_string_lossy()).unwrap_or_default();
    (value == matches!(arg.get_action(), ArgAction::SetTrue)).then_some(word)
}
