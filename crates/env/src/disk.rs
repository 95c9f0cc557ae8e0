//! Files and directories as a seam.
//!
//! The traits promise what POSIX promises and no more: bytes are durable after a sync of their file,
//! names after a sync of their directory, and nothing is ordered without one. Reads and writes may
//! be short or interrupted; the provided `_all_` and `_exact_` methods continue them. After a failed
//! sync nothing is known about the bytes it covered, so callers stop instead of trying again.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// How [`Disk::open`] treats a file that is, or is not, there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// The file must exist; writes are refused.
    Read,
    /// The file must exist.
    ReadWrite,
    /// The file must not exist. Its name is durable only after [`Disk::sync_dir`].
    CreateNew,
}

/// A file system. Paths mean what the implementation says; the real one takes any path.
pub trait Disk: Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` or `AlreadyExists` as the mode asks, and whatever the system reports.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Returns the names in a directory, files and directories alike, sorted.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory. A name that is not UTF-8 is `InvalidData`.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a directory and the missing ones above it; one that is there is left alone.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable: creations, renames and removals up to now.
    ///
    /// # Errors
    /// Whatever the system reports; nothing is known about the names then.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Gives a file another name in the same directory, replacing what has that name. Atomic, also
    /// across a power loss, but durable only after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Whatever the system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Open handles stay usable.
    ///
    /// # Errors
    /// `NotFound`, and whatever the system reports.
    fn unlink(&self, path: &Path) -> io::Result<()>;
}

/// An open file. Positions are explicit, so one handle serves many threads.
pub trait DiskFile: Send + Sync {
    /// Reads at `offset` into `buf`; returns how many bytes, 0 at the end of the file.
    ///
    /// # Errors
    /// `Interrupted`, which means try again, and whatever the system reports.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes a prefix of `buf` at `offset`; returns how many bytes.
    ///
    /// # Errors
    /// `Interrupted`, which means try again, and whatever the system reports.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Returns the length of the file.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn len(&self) -> io::Result<u64>;

    /// Makes the file `len` bytes long if it is shorter, with zeros that are really written.
    ///
    /// Merely reserved blocks would turn every later sync of data into a commit of metadata, so
    /// this writes. It does not sync. Bytes that are there are not touched.
    ///
    /// # Errors
    /// An error for which [`is_out_of_space`] holds if the zeros do not fit; the file may then be
    /// longer than before.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes bytes durable, and the length if it is needed to read them back.
    ///
    /// # Errors
    /// Whatever the system reports; nothing is known about the bytes then.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes bytes and all metadata durable.
    ///
    /// # Errors
    /// Whatever the system reports; nothing is known about the bytes then.
    fn sync_all(&self) -> io::Result<()>;

    /// Asks the system to forget cached pages that it believes to be clean, so that the next read
    /// comes from the device. After a failed sync Linux calls pages clean that never reached it.
    ///
    /// # Errors
    /// Whatever the system reports. A system without such a call answers `Ok`.
    fn drop_cache(&self) -> io::Result<()>;

    /// Returns whether the file has no bytes.
    ///
    /// # Errors
    /// As [`DiskFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` from `offset` on, continuing short and interrupted reads; returns how many
    /// bytes there were before the file ended.
    ///
    /// # Errors
    /// As [`DiskFile::read_at`] without `Interrupted`.
    fn read_full_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Writes all of `buf` at `offset`, continuing short and interrupted writes.
    ///
    /// # Errors
    /// As [`DiskFile::write_at`] without `Interrupted`; `WriteZero` if the system takes nothing.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.write_at(&buf[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether an error says that there is no room: the device is full, or a quota is used up.
///
/// Callers refuse new work on it and go on, where any other error stops them.
pub fn is_out_of_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
