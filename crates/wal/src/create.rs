//! The first steps of a new log: a directory, and a first segment under its final name.

use std::io;
use std::path::{Path, PathBuf};

use ferrod_env::Disk;

use crate::error::io_error;
use crate::{Error, SegmentSeq};

/// Creates a directory and all that is missing above it, durably.
///
/// One that is there may have been created by a process that died before it made the name durable, so
/// every directory above is synced.
pub(crate) fn create_dir(disk: &dyn Disk, dir: &Path, no_fsync: bool) -> Result<(), Error> {
    disk.create_dir_all(dir).map_err(io_error("create", dir))?;
    if no_fsync {
        return Ok(());
    }
    for above in dir.ancestors().skip(1).map(named) {
        match disk.sync_dir(above) {
            Err(error) if is_not_ours(&error) => break,
            other => other.map_err(io_error("sync", above))?,
        }
    }
    Ok(())
}

/// Gives the complete and durable first segment its final name: from here on there is a log.
pub(crate) fn publish(
    disk: &dyn Disk,
    dir: &Path,
    from: &Path,
    no_fsync: bool,
) -> Result<PathBuf, Error> {
    let path = dir.join(SegmentSeq::FIRST.file_name());
    disk.rename(from, &path).map_err(io_error("rename", from))?;
    if !no_fsync {
        disk.sync_dir(dir).map_err(io_error("sync", dir))?;
    }
    Ok(path)
}

/// Whether a directory is one that a process like this cannot have changed.
fn is_not_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(
        error.kind(),
        InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported
    )
}

/// The parent of a relative path of one component is spelled as nothing.
fn named(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    }
}
