//! States on their way in: `DIR/I.received.tmp` while rows still come, `DIR/I.received` when all are there and durable.
//!
//! `I` is a number that the caller chose. A complete state survives restarts until it is installed, which is one rename to the
//! next generation's number, or discarded.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::{Directory, GenerationNumber, TEMPORARY_SUFFIX, at, check, create, remove, sync};
use crate::Error;

const RECEIVED_SUFFIX: &str = ".received";

impl Directory {
    /// Creates the directory into which a state is received, empty but for its format.
    pub(in super::super) fn create_receiving(&self, number: u64) -> Result<PathBuf, Error> {
        let path = self.receiving_path(number);
        create(&path, &self.received_path(number)).map_err(at("create received state", &path))?;
        Ok(path)
    }

    /// Removes what an interrupted reception left.
    pub(in super::super) fn remove_receiving(&self, number: u64) -> Result<(), Error> {
        let path = self.receiving_path(number);
        remove(&path).map_err(at("remove unfinished state", &path))
    }

    /// Makes a received state the one that a restart finds complete. Nothing in it may be open.
    pub(in super::super) fn complete_received(&self, number: u64) -> Result<(), Error> {
        let (from, path) = (self.receiving_path(number), self.received_path(number));
        let complete = || {
            sync(&from)?;
            fs::rename(&from, &path)?;
            sync(&self.root)
        };
        complete().map_err(at("complete received state", &path))
    }

    /// The complete received states, ascending.
    pub(in super::super) fn received(&self) -> Result<Vec<u64>, Error> {
        let names = self.names()?;
        let mut received: Vec<u64> = names
            .iter()
            .filter_map(|name| name.strip_suffix(RECEIVED_SUFFIX))
            .filter_map(|name| GenerationNumber::parse(name).map(|number| number.0))
            .collect();
        received.sort_unstable();
        Ok(received)
    }

    /// Removes a complete received state, if it is there.
    pub(in super::super) fn discard_received(&self, number: u64) -> Result<(), Error> {
        let (path, unfinished) = (self.received_path(number), self.receiving_path(number));
        let discard = || {
            // Half removed, it must not look complete to a restart.
            match fs::rename(&path, &unfinished) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                renamed => renamed?,
            }
            sync(&self.root)?;
            remove(&unfinished)
        };
        discard().map_err(at("discard received state", &path))
    }

    /// Makes a complete received state the generation that the next start finds. Nothing in it may be open.
    ///
    /// After an error nobody knows which one a start would find.
    pub(in super::super) fn install_received(
        &self,
        received: u64,
        number: GenerationNumber,
    ) -> Result<(), Error> {
        let path = self.path(number);
        fs::rename(self.received_path(received), &path)
            .and_then(|()| sync(&self.root))
            .map_err(at("install received state", &path))
    }

    fn received_path(&self, number: u64) -> PathBuf {
        self.root.join(format!("{number}{RECEIVED_SUFFIX}"))
    }

    fn receiving_path(&self, number: u64) -> PathBuf {
        self.root
            .join(format!("{number}{RECEIVED_SUFFIX}{TEMPORARY_SUFFIX}"))
    }

    /// Refuses a received state that is not there, or not sound. See [`Directory::check`].
    pub(in super::super) fn check_received(&self, number: u64) -> Result<(), Error> {
        check(&self.received_path(number))
    }
}

/// Whether a name is that of a state which was never received completely.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(TEMPORARY_SUFFIX)
        .and_then(|name| name.strip_suffix(RECEIVED_SUFFIX))
        .and_then(GenerationNumber::parse)
        .is_some()
}
