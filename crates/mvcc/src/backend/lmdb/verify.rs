//! A walk that looks at every row: for a start after a crash, and for scrubbing.

use std::sync::Arc;

use super::Lmdb;
use super::generation::Generation;
use super::snapshot::LmdbSnapshot;
use super::walk::{Position, STEP_BYTES};
use crate::Error;

impl Lmdb {
    /// Reads every row and verifies its checksum, and returns the number of rows.
    ///
    /// Takes about as long as reading the file. Commits and snapshots go on meanwhile; a row that a commit changes
    /// behind or before the walk may be seen in either state.
    ///
    /// LMDB trusts the structure of its file. A damaged branch page may kill the process here, so a start that has
    /// reason to doubt the file calls this in a child process first.
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
