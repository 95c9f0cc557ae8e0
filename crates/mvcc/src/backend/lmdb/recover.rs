//! Opening a store after an end that may have come in the middle of a commit.
//!
//! LMDB ends a commit by one write of about 120 bytes to one of its two meta pages and relies on that being done wholly or
//! not at all. If a power cut has mixed old and new there, the newest state is none, while the one before is whole: its pages
//! are not used again before the next commit but one. So the file is judged first, and if its newest state is damaged and the
//! one before is not, that is the store. A page that is old but for its number is whole, too: the state is then that of the commit
//! before the one before. In each case whoever applies a log to the store applies more of it again, or finds that the log
//! does not reach back so far.

use std::path::Path;

use super::generation::{Appends, Generation};
use super::pages::{self, Age, Checked};
use super::{Lmdb, LmdbOptions};
use crate::Error;
use crate::backend::{Bucket, Op};

/// What [`Lmdb::recover`] found.
#[derive(Debug)]
pub enum Recovered {
    /// The newest state is sound.
    Newest(Checked),
    /// The last commit was given up, because its state is damaged.
    Previous {
        /// Of the state before.
        checked: Checked,
        /// What is wrong with the newest.
        damage: Error,
    },
}

impl Lmdb {
    /// Opens the store in `directory` as [`Lmdb::open`] does, after judging all of it as [`Lmdb::check`] does.
    ///
    /// If the newest state is damaged and the one before is sound, that one becomes the newest, durably.
    ///
    /// # Errors
    /// Those of [`Lmdb::open`] and [`Lmdb::check`]: if neither state is sound, what is wrong with the newest.
    ///
    /// Source: fault L-11.
    pub fn recover(directory: &Path, options: LmdbOptions) -> Result<(Self, Recovered), Error> {
        let (directory, number) = Self::find_or_create(directory, &options)?;
        directory.check_format(number)?;
        let data = directory.data_file(number);
        let recovered = match pages::check(&data, Age::Newest) {
            Ok(checked) => Recovered::Newest(checked),
            Err(damage) => match pages::check(&data, Age::Previous) {
                Ok(checked) => Recovered::Previous { checked, damage },
                Err(_) => return Err(damage),
            },
        };
        let path = directory.path(number);
        let generation = match recovered {
            Recovered::Newest(_) => Generation::open(&path, &options, Age::Newest)?,
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
