//! The data directory: made, claimed for one process, and looked at before anything is opened.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use crate::config::Config;
use crate::lives::OwnLife;

const LOCK_FILE: &str = "ferrod.lock";
/// Nobody else reads what clients trust the member with.
const PRIVATE: u32 = 0o700;

/// A data directory that is ours for as long as this value lives.
#[derive(Debug)]
pub(super) struct DataDir {
    /// Directory of the log.
    pub(super) wal: PathBuf,
    /// Directory of the backend's generations.
    pub(super) backend: PathBuf,
    /// Whether a member has lived here before.
    pub(super) initialized: bool,
    /// This start.
    pub(super) life: Arc<OwnLife>,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be, claims it, and counts this start in it. A member that is `marked` as suspect has lived
    /// here, although its log may just be gone.
    ///
    /// # Errors
    /// If another process has it, if it is another program's, or if the system refuses. Nothing in it was touched then.
    pub(super) fn claim(config: &Config, marked: bool) -> Result<DataDir, Error> {
        let refuse_foreign =
            |dir: &Path| foreign_data(dir).map_or(Ok(()), |why| Err(Error::Start(why)));
        refuse_foreign(&config.data_dir)?;
        make(&config.data_dir)?;
        let lock = lock(&config.data_dir)?;
        let wal = config.wal_dir();
        let backend = config.member_dir().join("db");
        let initialized = marked || has_entries(&wal)?;
        if !initialized && has_entries(&backend)? {
            return Err(Error::Start(format!(
                "the log is missing: {} holds data, but {} holds no log; a member without its log must be removed from \
                 its cluster and added again with an empty directory",
                backend.display(),
                wal.display()
            )));
        }
        let member = config.member_dir();
        make(&member)?;
        let life = OwnLife::begin(&member);
        let life = life.map_err(|source| {
            Error::system(format!("count this start in {}", member.display()), source)
        })?;
        Ok(DataDir {
            wal,
            backend,
            initialized,
            life: Arc::new(life),
            _lock: lock,
        })
    }
}

/// Whether a member has lived in the configured directory before.
pub(super) fn is_initialized(config: &Config) -> Result<bool, Error> {
    has_entries(&config.wal_dir())
}

fn make(dir: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE)
        .create(dir);
    made.map_err(|source| Error::system(format!("create directory {}", dir.display()), source))?;
    let mode = fs::metadata(dir).map(|data| data.permissions().mode() & 0o777);
    if let Ok(mode) = mode
        && mode != PRIVATE
    {
        tracing::warn!(
            dir = %dir.display(),
            permission = %format!("{mode:o}"),
            "recommended-permission" = "700",
            "check file permission"
        );
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = file.map_err(|source| Error::system(format!("open {}", path.display()), source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Start(format!(
            "another process uses the data directory {} (it holds the lock on {LOCK_FILE})",
            dir.display()
        ))),
        Err(TryLockError::Error(source)) => {
            Err(Error::system(format!("lock {}", path.display()), source))
        }
    }
}

/// What says that the directory belongs to etcd.
fn foreign_data(dir: &Path) -> Option<String> {
    let etcds = ["member/snap/db", "member/snap", "proxy"];
    let found = etcds
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.exists())?;
    Some(format!(
        "{} is a data directory of etcd ({} exists): ferrod keeps its data in another form and does not touch it; choose \
         another --data-dir",
        dir.display(),
        found.display()
    ))
}

fn has_entries(dir: &Path) -> Result<bool, Error> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::system(
            format!("read directory {}", dir.display()),
            source,
        )),
    }
}
