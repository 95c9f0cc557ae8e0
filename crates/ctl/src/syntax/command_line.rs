//! One command line, understood.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Command, Parser};

use super::find::{Path, find, is_bool};
use super::flags::{Flag, Sorted, canonical, invalid_argument, sort};
use crate::cli::Globals;
use crate::go;

/// One command line: which command, its flags, its arguments.
pub(crate) struct CommandLine<'a> {
    pub(crate) path: Path<'a>,
    sorted: Sorted,
}

impl<'a> CommandLine<'a> {
    /// # Errors
    /// The complaint about a command that does not exist. A bad flag is reported by [`CommandLine::fill`].
    pub(crate) fn parse(root: &'a Command, words: &[OsString]) -> Result<CommandLine<'a>, String> {
        let (path, words) = find(root, words)?;
        let sorted = sort(&path, words);
        Ok(CommandLine { path, sorted })
    }

    /// Whether help was asked for, before anything that is wrong.
    pub(crate) fn help(&self) -> bool {
        self.sorted.help
    }

    /// What is wrong with the flags, if no type can be filled because the command only groups others.
    pub(crate) fn error(&self) -> Option<&str> {
        self.sorted.error.as_deref()
    }

    pub(crate) fn has_flag(&self, name: &str) -> bool {
        self.sorted.flags.iter().any(|flag| flag.name == name)
    }

    /// Number of arguments before a bare `--`, if there is one.
    pub(crate) fn dash(&self) -> Option<usize> {
        self.sorted.dash
    }

    /// Fills the type that belongs to the command.
    ///
    /// # Errors
    /// The first complaint in the order of the words: about a flag, or about the value of one.
    pub(crate) fn fill<T: Parser>(&self) -> Result<T, String> {
        let names = self.path.names().map(OsString::from);
        let words = std::iter::once(OsString::from(self.path.name()))
            .chain(names)
            .chain(self.canonical_flags(&self.sorted.flags))
            .chain(std::iter::once("--".into()))
            .chain(self.sorted.words.iter().cloned());
        // Of several bad values clap reports the first, as pflag does.
        match (T::try_parse_from(words), &self.sorted.error) {
            (Ok(_), Some(error)) => Err(error.clone()),
            (Ok(filled), None) => Ok(filled),
            (Err(error), _) => Err(self.complaint(&error)),
        }
    }

    /// The flags that every command takes, together with others from elsewhere.
    ///
    /// # Errors
    /// As [`CommandLine::fill`].
    pub(crate) fn globals(&self, others: &[Flag]) -> Result<Globals, String> {
        let from_above = |flag: &&Flag| {
            self.path
                .long_flag(&flag.name)
                .is_some_and(|arg| arg.is_global_set())
        };
        let flags: Vec<Flag> = self
            .sorted
            .flags
            .iter()
            .filter(from_above)
            .chain(others)
            .cloned()
            .collect();
        let words = std::iter::once("options".into()).chain(self.canonical_flags(&flags));
        Globals::try_parse_from(words).map_err(|error| self.complaint(&error))
    }

    /// Whether a flag from above could have this value.
    pub(crate) fn accepts(&self, flag: &Flag) -> bool {
        let is_bool = self.path.long_flag(&flag.name).is_some_and(is_bool);
        let valid = !is_bool || go::parse_bool(&flag.value.to_string_lossy()).is_ok();
        valid && self.globals(std::slice::from_ref(flag)).is_ok()
    }

    /// The flags as words for clap: of one that was repeated only the last, unless it is a list.
    fn canonical_flags(&self, flags: &[Flag]) -> Vec<OsString> {
        let last_or_list = |(at, flag): (usize, &Flag)| {
            let arg = self.path.long_flag(&flag.name)?;
            let repeated = flags[at + 1..].iter().any(|later| later.name == flag.name);
            let dropped = repeated && !matches!(arg.get_action(), ArgAction::Append);
            if dropped { None } else { canonical(arg, flag) }
        };
        flags.iter().enumerate().filter_map(last_or_list).collect()
    }

    /// clap's complaint about a value, in Go's words.
    fn complaint(&self, error: &clap::Error) -> String {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            _ => String::new(),
        };
        let (flag, value) = (
            text(ContextKind::InvalidArg),
            text(ContextKind::InvalidValue),
        );
        let long = flag
            .trim_start_matches('-')
            .split([' ', '='])
            .next()
            .unwrap_or_default();
        match (error.kind(), self.path.long_flag(long)) {
            (ErrorKind::ValueValidation, Some(arg)) => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                invalid_argument(arg, &value, &cause.unwrap_or_default())
            }
            _ => error.to_string(),
        }
    }
}
