//! Putting a damaged log and backend aside, under names that are free.

use std::fs;
use std::path::{Path, PathBuf};

use super::system;
use crate::member::Error;
use crate::member::data_dir::DataDir;
use crate::note_file::sync as sync_dir;

/// The lowest number under which nothing is kept yet.
pub(super) fn free_number(dir: &DataDir) -> u32 {
    let is_free = |number: &u32| {
        let all = [&dir.wal, &dir.backend];
        let mut kept = all.iter().flat_map(|path| kept_at(path, *number));
        !kept.any(|path| path.exists())
    };
    (1..).find(is_free).unwrap_or(u32::MAX)
}

/// Where the damaged version of a directory is kept: beside it or, if it is a mount point, within.
fn kept_at(path: &Path, number: u32) -> [PathBuf; 2] {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!("{name}.damaged-{number}"));
    [beside, path.join(format!("damaged-{number}"))]
}

/// Puts log and backend aside, each as far as an earlier attempt has not done so.
pub(super) fn set_aside(dir: &DataDir, number: u32) -> Result<(), Error> {
    for path in [&dir.wal, &dir.backend] {
        let [beside, within] = kept_at(path, number);
        if !path.exists() {
            continue;
        }
        let kept = match fs::rename(path, &beside) {
            Ok(()) => beside,
            Err(error) if is_mount_point(&error) => {
                move_within(path, &within).map_err(|source| system("empty", path, source))?;
                within
            }
            Err(source) => return Err(system("rename", path, source)),
        };
        tracing::warn!(
            path = %path.display(),
            kept = %kept.display(),
            "put damaged data aside; remove them when nobody wants to look at them"
        );
        let above = path.parent().unwrap_or(Path::new("/"));
        sync_dir(above).map_err(|source| system("sync", above, source))?;
    }
    Ok(())
}

fn is_mount_point(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EXDEV))
}

/// Moves what is in a directory into one within it.
fn move_within(path: &Path, within: &Path) -> std::io::Result<()> {
    fs::create_dir_all(within)?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let is_kept = entry.file_name().to_string_lossy().starts_with("damaged-");
        if !is_kept {
            fs::rename(entry.path(), within.join(entry.file_name()))?;
        }
    }
    sync_dir(within)?;
    sync_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: D-02
    #[test]
    fn a_mount_point_is_emptied_into_itself() {
        let dir = tempfile::tempdir().unwrap();
        let [_, within] = kept_at(dir.path(), 2);
        fs::create_dir(dir.path().join("damaged-1")).unwrap();
        fs::write(dir.path().join("a"), "1").unwrap();
        move_within(dir.path(), &within).unwrap();
        // An attempt that was interrupted goes on.
        fs::write(dir.path().join("b"), "2").unwrap();
        move_within(dir.path(), &within).unwrap();
        let names = |dir: &Path| {
            let entries = fs::read_dir(dir).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(dir.path()), ["damaged-1", "damaged-2"]);
        assert_eq!(names(&within), ["a", "b"]);
    }
}
