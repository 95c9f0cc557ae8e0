//! The places to which lines go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use jiff::Zoned;

use super::journal::Journal;
use super::rotation::RotatedFile;
use super::sink::Entry;
use super::{Output, Rotation};

/// An open [`Output`].
#[derive(Debug)]
pub(crate) enum Destination {
    Stderr,
    Stdout,
    Journal(Journal),
    File(File),
    Rotated(RotatedFile),
}

impl Destination {
    pub(crate) fn open(output: &Output, rotation: Option<Rotation>) -> io::Result<Destination> {
        Ok(match output {
            Output::Stderr => Destination::Stderr,
            Output::Stdout => Destination::Stdout,
            Output::Journal => Destination::Journal(Journal::connect()?),
            Output::File(path) => match rotation {
                Some(rotation) => Destination::Rotated(RotatedFile::open(path, rotation)?),
                None => Destination::File(open_append(path)?),
            },
        })
    }

    /// Writes a whole line in one go.
    pub(crate) fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let line = entry.line.as_bytes();
        match self {
            Destination::Stderr => io::stderr().write_all(line),
            Destination::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line)?;
                stdout.flush()
            }
            Destination::Journal(journal) => journal.write(entry),
            Destination::File(file) => file.write_all(line),
            Destination::Rotated(file) => file.write(line, &Zoned::now()),
        }
    }
}

/// Opens a log file for appending; one that is new may be read by its owner only.
pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
