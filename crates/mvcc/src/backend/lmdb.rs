//! The backend on disk: LMDB by heed.
//!
//! A store is a directory of generations ([`directory`]), of which one is in use: an LMDB environment ([`generation`])
//! whose rows carry checksums ([`row`]). A commit is one LMDB transaction with LMDB's own sync. Rewriting the store
//! ([`defrag`]) fills the next generation from short read transactions and swaps between two commits; a whole other state
//! ([`receive`]) takes its place in the same way.
//!
//! Whoever opens a store must hold a lock on its data directory: LMDB itself would let a second process in.

mod cleaner;
mod damage;
mod defrag;
mod directory;
mod file_system;
mod generation;
mod options;
mod pages;
mod progress;
mod prune;
mod receive;
mod recover;
mod row;
mod snapshot;
mod verify;
mod walk;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use self::cleaner::Cleaner;
use self::directory::{Directory, GenerationNumber};
use self::generation::{Appends, Generation, Syncs};
use self::pages::Age;
use self::progress::Progress;
use self::receive::Reception;
use self::snapshot::LmdbSnapshot;
use super::{Backend, Batch, Incoming, Op, Prepare, Sizes, Snapshot};
use crate::Error;

pub use self::options::LmdbOptions;
pub use self::pages::Checked;
pub use self::progress::DefragProgress;
pub use self::recover::{Care, Recovered};

/// A [`Backend`] in LMDB files.
#[derive(Debug)]
pub struct Lmdb {
    directory: Directory,
    options: LmdbOptions,
    /// Changes hands only with `writer` locked.
    current: RwLock<Arc<Generation>>,
    writer: Mutex<Writer>,
    /// Held by the one defragmentation that may run, with the number of the generation in use.
    number: Mutex<GenerationNumber>,
    sizes: CachedSizes,
    progress: Progress,
    reception: Reception,
    cleaner: Arc<Cleaner>,
}

/// What a commit needs for itself.
#[derive(Debug, Default)]
struct Writer {
    /// Set by the first failed commit, for good.
    poisoned: bool,
    /// The batches committed since the defragmentation last took them; `None` if there is none.
    recorded: Option<Vec<Batch>>,
    /// Room for rows on their way to LMDB.
    scratch: Vec<u8>,
}

/// Sizes as of the last commit: asked for at every put, so not worth a transaction.
#[derive(Debug, Default)]
struct CachedSizes {
    allocated_bytes: AtomicU64,
    used_bytes: AtomicU64,
}

impl Lmdb {
    /// Opens the store in `directory`, and creates it if nothing is there.
    ///
    /// What an interrupted rewrite or reception left is removed; a state that was received completely stays. No row is
    /// read: see [`Lmdb::recover`] and [`Lmdb::verify`].
    ///
    /// # Errors
    /// [`Error::Backend`], naming the path: if the directory cannot be read or written, the store is of a version that
    /// this one does not know, a file of it is missing, cut or no LMDB file, it is on another machine or the store is already open in this
    /// process. Nothing is changed then.
    pub fn open(directory: &Path, options: LmdbOptions) -> Result<Self, Error> {
        let (directory, number) = Self::find_or_create(directory, &options)?;
        directory.check(number)?;
        let generation = Generation::open(&directory.path(number), &options, Age::Newest)?;
        Self::go_on(directory, number, generation, options)
    }

    fn find_or_create(
        path: &Path,
        options: &LmdbOptions,
    ) -> Result<(Directory, GenerationNumber), Error> {
        let directory = Directory::open(path)?;
        if !options.remote_allowed {
            file_system::check_is_local(path)?;
        }
        let number = match directory.latest()? {
            Some(number) => number,
            None => create_first(&directory, options)?,
        };
        Ok((directory, number))
    }

    fn go_on(
        directory: Directory,
        number: GenerationNumber,
        generation: Generation,
        options: LmdbOptions,
    ) -> Result<Self, Error> {
        directory.remove_leftovers(number)?;
        let sizes = CachedSizes::default();
        sizes.set(generation.sizes()?);
        Ok(Self {
            directory,
            options,
            current: RwLock::new(Arc::new(generation)),
            writer: Mutex::default(),
            number: Mutex::new(number),
            sizes,
            progress: Progress::default(),
            reception: Reception::default(),
            cleaner: Arc::default(),
        })
    }

    /// Whether an error says that what is on disk is not what was written: damage, and not a refusal of the system.
    pub fn is_damage(error: &Error) -> bool {
        let source = match error {
            Error::Corrupt { .. } => return true,
            Error::Backend { source, .. } => &**source,
            Error::Poisoned | Error::Compacted | Error::Future => return false,
        };
        std::iter::successors(Some(source as &(dyn std::error::Error + 'static)), |link| {
            link.source()
        })
        .any(damage::is_told_by)
    }

    /// How far the running or the last defragmentation has come.
    pub fn defrag_progress(&self) -> DefragProgress {
        self.progress.get()
    }

    fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read())
    }
}

/// Creates an empty store as a rewrite creates a full one, so that a crash leaves either nothing or all of it.
fn create_first(directory: &Directory, options: &LmdbOptions) -> Result<GenerationNumber, Error> {
    let number = GenerationNumber::FIRST;
    let path = directory.create_temporary(number)?;
    Generation::create(&path, options, Syncs::EachCommit)?.close()?;
    directory.sync_temporary(number)?;
    directory.install(number)?;
    Ok(number)
}

impl Backend for Lmdb {
    fn commit(&self, batch: &Batch) -> Result<(), Error> {
        let mut writer = self.writer.lock();
        writer
            .commit(&self.current(), batch)
            .map(|sizes| self.sizes.set(sizes))
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(LmdbSnapshot::new(self.current())?))
    }

    /// Costs two loads. While a commit or a swap runs, the two values may be from its two sides.
    fn sizes(&self) -> Result<Sizes, Error> {
        Ok(self.sizes.get())
    }

    fn has_room(&self, bytes: u64) -> Result<bool, Error> {
        let Sizes {
            allocated_bytes,
            used_bytes,
        } = self.sizes.get();
        // Pages freed of late cannot be used again yet.
        let free_bytes = allocated_bytes.saturating_sub(used_bytes) / 2;
        Ok(free_bytes > bytes || file_system::has_room(self.directory.root(), bytes)?)
    }

    fn defragment(&self) -> Result<(), Error> {
        defrag::run(self)
    }

    fn receive(&self, number: u64) -> Result<Box<dyn Incoming>, Error> {
        receive::begin(self, number)
    }

    fn received(&self) -> Result<Vec<u64>, Error> {
        self.directory.received()
    }

    fn discard(&self, number: u64) -> Result<(), Error> {
        self.directory.discard_received(number)
    }

    fn install(&self, number: u64, prepare: &mut Prepare<'_>) -> Result<(), Error> {
        receive::install(self, number, prepare)
    }
}

impl Writer {
    fn commit(&mut self, generation: &Generation, batch: &Batch) -> Result<Sizes, Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        let result = self.write(generation, batch);
        self.poisoned = result.is_err();
        if let (Ok(_), Some(recorded)) = (&result, &mut self.recorded) {
            recorded.push(batch.clone());
        }
        result
    }

    fn write(&mut self, generation: &Generation, batch: &Batch) -> Result<Sizes, Error> {
        let mut txn = generation.write()?;
        for ops in batch.ops.chunk_by(are_sorted_deletes) {
            match ops {
                [Op::Delete { bucket, .. }, _, ..] => {
                    prune::delete_sorted(generation, &mut txn, *bucket, ops)?;
                }
                _ => {
                    for op in ops {
                        generation.apply(&mut txn, op, Appends::Strict, &mut self.scratch)?;
                    }
                }
            }
        }
        generation.commit(txn)
    }
}

/// Whether both are deletes in one bucket, in the order of their keys.
fn are_sorted_deletes(first: &Op, second: &Op) -> bool {
    let both_delete = matches!((first, second), (Op::Delete { .. }, Op::Delete { .. }));
    both_delete && first.place().0 == second.place().0 && first.place().1 < second.place().1
}

impl CachedSizes {
    fn get(&self) -> Sizes {
        Sizes {
            allocated_bytes: self.allocated_bytes.load(Ordering::Relaxed),
            used_bytes: self.used_bytes.load(Ordering::Relaxed),
        }
    }

    fn set(&self, sizes: Sizes) {
        self.allocated_bytes
            .store(sizes.allocated_bytes, Ordering::Relaxed);
        self.used_bytes.store(sizes.used_bytes, Ordering::Relaxed);
    }
}
