//! The table of all flags, from which command line, environment, file and help are read.
//!
//! No argument parser is used because none speaks Go's flag syntax (`-name` as a long flag, a bare
//! boolean that takes a value only after `=`, an end at the first other word) with Go's error texts.

mod table;
mod value;

pub(crate) use table::FLAGS;
pub(crate) use value::{Field, ValueError, shape};

/// A heading of the help text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Member,
    Clustering,
    Security,
    Auth,
    Monitoring,
    Logging,
    Tracing,
    Tuning,
    Unsafe,
    /// Not in the help text.
    Hidden,
}

/// One flag.
#[derive(Clone, Copy)]
pub(crate) struct Flag {
    /// The word after the dashes.
    pub name: &'static str,
    pub group: Group,
    /// Its type, and where its value goes.
    pub field: Field,
    /// One or more lines for the help text.
    pub help: &'static str,
    /// Where the configuration file has it; `None` if it has not.
    pub file_key: FileKey,
}

/// The place of a flag in the configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKey {
    /// At the top, under the flag's name.
    SameName,
    /// At the end of this path.
    Path(&'static [&'static str]),
    /// Nowhere.
    None,
}

impl Flag {
    /// The environment variable that stands for the flag.
    pub(crate) fn env_name(&self) -> String {
        format!("ETCD_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The flag of this name.
    pub(crate) fn find(name: &str) -> Option<&'static Flag> {
        FLAGS.iter().find(|flag| flag.name == name)
    }
}

#[cfg(test)]
mod tests;
