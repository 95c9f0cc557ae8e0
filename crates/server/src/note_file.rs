//! Small durable files beside a member's log, for what it must know before it opens anything larger.
//!
//! The first line of the file `NAME` is `ferrod NAME 1 CRC`, with the CRC-32C of everything behind it in eight hex digits; then
//! follows a JSON object. A file is replaced as a whole, so a crash leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A small durable file of a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoteFile {
    name: &'static str,
}

/// What is in such a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// There is none.
    Nothing,
    /// There is one, and nobody can tell what was in it.
    Damaged,
    /// What was written.
    Whole(T),
}

impl NoteFile {
    pub(crate) const fn named(name: &'static str) -> NoteFile {
        NoteFile { name }
    }

    /// Where the file of the member in this directory is, or would be.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.name)
    }

    /// What was written last.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn read<T: DeserializeOwned>(&self, dir: &Path) -> io::Result<Found<T>> {
        match fs::read(self.path(dir)) {
            Ok(bytes) => Ok(self.decode(&bytes).map_or(Found::Damaged, Found::Whole)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Makes a note durable, in place of an earlier one.
    ///
    /// # Errors
    /// If the disk refuses; the earlier one is still there then, or this one is.
    pub(crate) fn write<T: Serialize>(&self, dir: &Path, note: &T) -> io::Result<()> {
        let temporary = dir.join(format!("{}.tmp", self.name));
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(&self.encode(note)?)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, self.path(dir))?;
        sync(dir)
    }

    /// Removes the file, durably.
    ///
    /// # Errors
    /// If the disk refuses, or there is none.
    pub(crate) fn remove(&self, dir: &Path) -> io::Result<()> {
        fs::remove_file(self.path(dir))?;
        sync(dir)
    }

    fn encode<T: Serialize>(&self, note: &T) -> io::Result<Vec<u8>> {
        let body = serde_json::to_vec_pretty(note)?;
        let sum = crc32c::crc32c(&body);
        let mut bytes = format!("ferrod {} 1 {sum:08x}\n", self.name).into_bytes();
        bytes.extend(body);
        Ok(bytes)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Option<T> {
        let magic = format!("ferrod {} 1 ", self.name);
        let rest = bytes.strip_prefix(magic.as_bytes())?;
        let (sum, rest) = rest.split_at_checked(8)?;
        let body = rest.strip_prefix(b"\n")?;
        let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
        let whole = crc32c::crc32c(body) == sum;
        whole.then(|| serde_json::from_slice(body).ok()).flatten()
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// If the disk refuses.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
