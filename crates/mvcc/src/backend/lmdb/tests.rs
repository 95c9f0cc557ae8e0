//! Tests of what only the backend on disk does.

use tempfile::TempDir;

use super::*;
use crate::backend::conformance::{Subject, conformance};

/// A store in a directory that goes with it.
pub(super) struct OnDisk {
    lmdb: Lmdb,
    // After the store, which must be closed when its directory goes.
    directory: TempDir,
}

impl Subject for OnDisk {
    fn create() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            lmdb: open(directory.path()),
            directory,
        }
    }

    fn restart(self) -> Self {
        let Self { lmdb, directory } = self;
        drop(lmdb);
        Self {
            lmdb: open(directory.path()),
            directory,
        }
    }

    fn backend(&self) -> &dyn Backend {
        &self.lmdb
    }
}

pub(super) fn open(path: &Path) -> Lmdb {
    Lmdb::open(path, LmdbOptions::default()).unwrap()
}

conformance!(OnDisk);
