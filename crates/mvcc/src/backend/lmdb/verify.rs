//! Looking at every row: of a closed store before a start that has reason to doubt it, and of an open one for scrubbing.

use std::path::Path;
use std::sync::Arc;

use super::Lmdb;
use super::directory::Directory;
use super::generation::Generation;
use super::pages::{self, Age, Checked};
use super::snapshot::LmdbSnapshot;
use super::walk::{Position, STEP_BYTES};
use crate::Error;

impl Lmdb {
    /// Judges the file of the store in `directory`, which must not be open in any process: every page, every row.
    ///
    /// Reads the file as data and believes nothing in it, so no damage ends in a crash. Takes about as long as reading the
    /// file. For a start after an unclean end, before [`Lmdb::open`]; a store that is not there yet is sound.
    ///
    /// # Errors
    /// [`Error::Backend`], naming file and page, if anything in the file contradicts something else, or the file cannot
    /// be read or is of an unknown format.
    pub fn check(directory: &Path) -> Result<Checked, Error> {
        let Some((directory, number)) = Directory::find(directory)? else {
            return Ok(Checked::default());
        };
        directory.check(number)?;
        pages::check(&directory.data_file(number), Age::Newest)
    }

    /// Reads every row and verifies its checksum, and returns the number of rows.
    ///
    /// Takes about as long as reading the file. Commits and snapshots go on meanwhile; a row that a commit changes
    /// behind or before the walk may be seen in either state.
    ///
    /// LMDB trusts the structure of its file: a damaged branch page may kill the process here. [`Lmdb::check`] finds that
    /// without dying.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names the first bad row; [`Error::Backend`] where LMDB itself found the file damaged.
    pub fn verify(&self) -> Result<u64, Error> {
        let mut position = Position::default();
        let mut rows = 0;
        while !position.is_end() {
            rows += verify_step(&mut position, self.current())?;
        }
        Ok(rows)
    }
}

/// Verifies a generation that nobody writes to.
pub(super) fn verify(generation: &Arc<Generation>) -> Result<(), Error> {
    let mut position = Position::default();
    while !position.is_end() {
        verify_step(&mut position, Arc::clone(generation))?;
    }
    Ok(())
}

fn verify_step(position: &mut Position, generation: Arc<Generation>) -> Result<u64, Error> {
    let snapshot = LmdbSnapshot::new(generation)?;
    Ok(position
        .step(&snapshot, STEP_BYTES, &mut |_, _, _| Ok(()))?
        .rows)
}
