//! The first steps of a new log: a directory, and a first segment under its final name.

use std::io;
use std::path::{Path, PathBuf};

use ferrod_env::Disk;

use crate::error::io_error;
use crate::{Error, SegmentSeq};

/// Creates a directory and all that is missing above it, durably.
pub(crate) fn create_dir(disk: &dyn Disk, dir: &Path, no_fsync: bool) -> Result<(), Error> {
    let missing: Vec<_> = dir
        .ancestors()
        .take_while(|dir| !exists(disk, dir))
        .collect();
    disk.create_dir_all(dir).map_err(io_error("create", dir))?;
    if no_fsync {
        return Ok(());
    }
    for created in missing.into_iter().rev() {
        let parent = named(created.parent().unwrap_or(created));
        disk.sync_dir(parent).map_err(io_error("sync", parent))?;
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

fn exists(disk: &dyn Disk, dir: &Path) -> bool {
    !matches!(disk.list(named(dir)), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// The parent of a relative path of one component is spelled as nothing.
fn named(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    }
}
