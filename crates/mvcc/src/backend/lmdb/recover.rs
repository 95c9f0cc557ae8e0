//! Opening a store after an end that may have come in the middle of a commit.
//!
//! LMDB ends a commit by one write of about 120 bytes to one of its two meta pages and relies on that being done wholly or
//! not at all. If a power cut has mixed old and new there, the newest state is none, while the one before is whole: its pages
//! are not used again before the next commit but one. So what that write can have torn is judged first, and if the newest state is
//! damaged and the one before is not, that is the store. Whoever applies a log to the store applies more of it again, or finds
//! that the log does not reach back so far.

use std::path::Path;

use super::generation::{Appends, Generation};
use super::pages::{self, Age};
use super::{Lmdb, LmdbOptions};
use crate::Error;
use crate::backend::{Bucket, Op};

/// How much of a store is judged before LMDB maps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// What the end of the last commit can have left torn. Reads a page for each bucket, and eight bytes for each free page.
    LastCommit,
    /// Every page and every row: takes about as long as reading the file.
    Everything,
}

/// What [`Lmdb::recover`] found.
#[derive(Debug)]
pub enum Recovered {
    /// The newest state is sound, as far as it was judged.
    Newest,
    /// The last commit was given up, because its state is damaged. All of the state before is sound.
    Previous {
        /// What is wrong with the newest.
        damage: Error,
    },
}

impl Lmdb {
    /// Opens the store in `directory` as [`Lmdb::open`] does, after judging it with that much care.
    ///
    /// If the newest state is damaged and the one before is sound, which is judged as a whole, that one becomes the newest,
    /// durably.
    ///
    /// # Errors
    /// Those of [`Lmdb::open`] and [`Lmdb::check`]: if neither state is sound, what is wrong with the newest. Nothing is changed
    /// then.
    ///
    /// Source: fault L-11.
    pub fn recover(
        directory: &Path,
        options: LmdbOptions,
        care: Care,
    ) -> Result<(Self, Recovered), Error> {
        let (directory, number) = Self::find_or_create(directory, &options)?;
        directory.check_format(number)?;
        let data = directory.data_file(number);
        let recovered = match judge_newest(&data, care) {
            Ok(()) => Recovered::Newest,
            Err(damage) if pages::check(&data, Age::Previous).is_ok() => {
                Recovered::Previous { damage }
            }
            Err(damage) => return Err(damage),
        };
        let path = directory.path(number);
        let generation = match recovered {
            Recovered::Newest => Generation::open(&path, &options, Age::Newest)?,
            Recovered::Previous { .. } => {
                let generation = Generation::open(&path, &options, Age::Previous)?;
                write_over(&generation)?;
                generation
            }
        };
        let lmdb = Self::go_on(directory, number, generation, options)?;
        Ok((lmdb, recovered))
    }
}

fn judge_newest(data: &Path, care: Care) -> Result<(), Error> {
    // The missing pages of a short file may be free ones. If not, LMDB would find out by a signal.
    if care == Care::Everything || !pages::is_full_length(data)? {
        return pages::check(data, Age::Newest).map(drop);
    }
    pages::check_last_commit(data)
}

/// Makes a commit that changes nothing, in the place of the damaged one.
fn write_over(generation: &Generation) -> Result<(), Error> {
    let mut scratch = Vec::new();
    let mut txn = generation.write()?;
    let (bucket, key) = (Bucket::Meta, b"recovered".to_vec());
    let put = Op::Put {
        bucket,
        key: key.clone(),
        value: bytes::Bytes::new(),
    };
    for op in [put, Op::Delete { bucket, key }] {
        generation.apply(&mut txn, &op, Appends::Strict, &mut scratch)?;
    }
    generation.commit(txn).map(drop)
}
