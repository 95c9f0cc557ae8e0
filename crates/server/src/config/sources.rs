//! Which values were given, and by whom.

use std::collections::BTreeMap;

use super::options::Options;

/// Who gave a flag its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    CommandLine,
    Environment,
    File,
}

/// The values of all flags, and which of them somebody gave.
#[derive(Debug, Default, Clone)]
pub(crate) struct Settings {
    pub options: Options,
    /// By flag name; what is missing has its default.
    pub given: BTreeMap<&'static str, Source>,
}

impl Settings {
    /// Whether somebody gave the flag a value, be it the default.
    pub(crate) fn is_given(&self, flag: &str) -> bool {
        self.given.contains_key(flag)
    }
}
