//! One LMDB environment: the databases of one generation, and everything that touches them.
//!
//! An environment is opened at most once at a time and its map never changes size. Read transactions use no thread-local
//! slots, so they may be many to a thread and move between threads. The sync flags are LMDB's defaults: anything less
//! may leave a file after a power cut that nobody can repair. Only a file that nobody would look for after a power cut is
//! filled without them.

use std::path::{Path, PathBuf};
use std::sync::{OnceLock, Weak};

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RoTxn, RwTxn, WithoutTls};

use super::super::{Bucket, Op, Sizes, check_key};
use super::cleaner::Cleaner;
use super::directory::at;
use super::file_system::name_full_disk;
use super::pages::Age;
use super::{LmdbOptions, row};
use crate::Error;

/// LMDB's meta pages, which no database counts as its own.
const META_PAGES: u64 = 2;
const MAP_BYTES_UNIT: u64 = 1 << 20;

/// One open LMDB environment.
#[derive(Debug)]
pub(super) struct Generation {
    path: PathBuf,
    /// `None` only while dropping.
    env: Option<Env<WithoutTls>>,
    databases: [Database<Bytes, Bytes>; Bucket::ALL.len()],
    /// Set when another generation has taken over: who removes the directory once the last reader is gone.
    retired: OnceLock<Weak<Cleaner>>,
}

/// How [`Op::Append`] is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appends {
    /// At the end of the bucket; any other place is an error.
    Strict,
    /// Anywhere, when changes are made a second time.
    Replayed,
}

/// When what is committed becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncs {
    /// With each commit.
    EachCommit,
    /// With [`Generation::sync`] only.
    OnRequest,
}

impl Generation {
    /// Creates an empty environment in an existing directory. It is durable when this returns, unless syncs are on request.
    pub(super) fn create(path: &Path, options: &LmdbOptions, syncs: Syncs) -> Result<Self, Error> {
        let env = open_env(path, options, Age::Newest, syncs)?;
        let create = || {
            let mut txn = env.write_txn()?;
            let databases = in_order(|bucket| env.create_database(&mut txn, Some(bucket.name())))?;
            txn.commit()?;
            Ok(databases)
        };
        let databases = create().map_err(at::<heed::Error>("create buckets", path))?;
        Ok(Self::new(path, env, databases))
    }

    /// Opens an environment that [`Generation::create`] made, as of one of its last two transactions.
    ///
    /// LMDB writes the next transaction in the place of the newest, so whoever goes back to the previous one must commit
    /// something before anything is read in another way.
    pub(super) fn open(path: &Path, options: &LmdbOptions, age: Age) -> Result<Self, Error> {
        let env = open_env(path, options, age, Syncs::EachCommit)?;
        env.clear_stale_readers()
            .map_err(at("clear stale readers", path))?;
        let open = || {
            let txn = env.read_txn()?;
            let databases = in_order(|bucket| {
                let database = env.open_database(&txn, Some(bucket.name()))?;
                database.ok_or(heed::Error::Mdb(heed::MdbError::NotFound))
            })?;
            // The handles outlive a transaction only if it is committed.
            txn.commit()?;
            Ok(databases)
        };
        let databases = open().map_err(at::<heed::Error>("open buckets", path))?;
        Ok(Self::new(path, env, databases))
    }

    fn new(
        path: &Path,
        env: Env<WithoutTls>,
        databases: [Database<Bytes, Bytes>; Bucket::ALL.len()],
    ) -> Self {
        Self {
            path: path.to_owned(),
            env: Some(env),
            databases,
            retired: OnceLock::new(),
        }
    }

    fn env(&self) -> &Env<WithoutTls> {
        self.env
            .as_ref()
            .expect("the environment is there until the generation is dropped")
    }

    pub(super) fn database(&self, bucket: Bucket) -> Database<Bytes, Bytes> {
        self.databases[bucket as usize]
    }

    /// A transaction on the latest state.
    pub(super) fn read(&self) -> Result<RoTxn<'static, WithoutTls>, Error> {
        self.env()
            .clone()
            .static_read_txn()
            .map_err(at("begin read transaction", &self.path))
    }

    /// The one write transaction; a second one waits.
    pub(super) fn write(&self) -> Result<RwTxn<'_>, Error> {
        self.env()
            .write_txn()
            .map_err(at("begin write transaction", &self.path))
    }

    /// Makes one change in a write transaction. `scratch` is room for rows, kept between calls.
    pub(super) fn apply(
        &self,
        txn: &mut RwTxn<'_>,
        op: &Op,
        appends: Appends,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match op {
            Op::Put { bucket, key, value } => {
                row::seal(*bucket, key, value, scratch);
                self.put(txn, *bucket, key, scratch, PutFlags::empty())
            }
            Op::Append { bucket, key, value } => {
                let flags = match appends {
                    Appends::Strict => PutFlags::APPEND,
                    Appends::Replayed => PutFlags::empty(),
                };
                row::seal(*bucket, key, value, scratch);
                self.put(txn, *bucket, key, scratch, flags)
            }
            Op::Delete { bucket, key } => self.delete(txn, *bucket, key),
        }
    }

    /// Removes a row, if it is there.
    pub(super) fn delete(
        &self,
        txn: &mut RwTxn<'_>,
        bucket: Bucket,
        key: &[u8],
    ) -> Result<(), Error> {
        check_key(key)?;
        let deleted = self.database(bucket).delete(txn, key);
        deleted.map(drop).map_err(at("delete row", &self.path))
    }

    pub(super) fn page_bytes(&self) -> usize {
        self.env().stat().page_size as usize
    }

    /// Writes a sealed row above all others of its bucket.
    pub(super) fn append_sealed(
        &self,
        txn: &mut RwTxn<'_>,
        bucket: Bucket,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<(), Error> {
        self.put(txn, bucket, key, sealed, PutFlags::APPEND)
    }

    /// Writes a sealed row.
    pub(super) fn put(
        &self,
        txn: &mut RwTxn<'_>,
        bucket: Bucket,
        key: &[u8],
        sealed: &[u8],
        flags: PutFlags,
    ) -> Result<(), Error> {
        check_key(key)?;
        match self
            .database(bucket)
            .put_with_flags(txn, flags, key, sealed)
        {
            Err(heed::Error::Mdb(heed::MdbError::KeyExist)) => Err(at("append row", &self.path)(
                "key is not above the last key",
            )),
            result => result.map_err(at("put row", &self.path)),
        }
    }

    /// Makes the transaction's changes durable, and tells what the file then occupies.
    pub(super) fn commit(&self, txn: RwTxn<'_>) -> Result<Sizes, Error> {
        let used_bytes = self.used_bytes(&txn)?;
        let refused = |error| at("commit batch", &self.path)(name_full_disk(&self.path, error));
        fail::fail_point!("beforeCommit");
        txn.commit().map_err(refused)?;
        fail::fail_point!("afterCommit");
        Ok(Sizes {
            used_bytes,
            ..self.sizes_without_used()
        })
    }

    /// Makes every commit durable that has returned. Others may commit meanwhile.
    pub(super) fn sync(&self) -> Result<(), Error> {
        let synced = self.env().force_sync();
        synced.map_err(|error| at("sync", &self.path)(name_full_disk(&self.path, error)))
    }

    /// What the file occupies at the last commit.
    pub(super) fn sizes(&self) -> Result<Sizes, Error> {
        let txn = self.read()?;
        let used_bytes = self.used_bytes(&txn)?;
        Ok(Sizes {
            used_bytes,
            ..self.sizes_without_used()
        })
    }

    /// Up to the last page that was ever used: the map is sparse beyond.
    fn sizes_without_used(&self) -> Sizes {
        let pages = self.env().info().last_page_number as u64 + 1;
        let page_bytes = u64::from(self.env().stat().page_size);
        Sizes {
            allocated_bytes: pages * page_bytes,
            used_bytes: 0,
        }
    }

    /// The pages of all databases, by counters that LMDB keeps in their root records: no walk.
    fn used_bytes(&self, txn: &RoTxn<'_>) -> Result<u64, Error> {
        let main = self.env().stat();
        let main_pages = main.branch_pages + main.leaf_pages + main.overflow_pages;
        let mut pages = META_PAGES + main_pages as u64;
        for database in self.databases {
            let stat = database.stat(txn).map_err(at("count pages", &self.path))?;
            pages += (stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64;
        }
        Ok(pages * u64::from(main.page_size))
    }

    /// The number of rows in each bucket, by the same counters.
    pub(super) fn row_counts(&self) -> Result<[u64; Bucket::ALL.len()], Error> {
        let txn = self.read()?;
        let mut counts = [0; Bucket::ALL.len()];
        for bucket in Bucket::ALL {
            counts[bucket as usize] = self
                .database(bucket)
                .len(&txn)
                .map_err(at("count rows", &self.path))?;
        }
        Ok(counts)
    }

    /// Lets the directory be removed as soon as nobody reads from it any more.
    pub(super) fn retire(&self, cleaner: Weak<Cleaner>) {
        // A generation retires once, so the value is not there yet.
        let _ = self.retired.set(cleaner);
    }

    /// Closes the environment for good. There must be no transaction left.
    pub(super) fn close(self) -> Result<(), Error> {
        let path = self.env().path().to_owned();
        drop(self);
        if heed::env_closing_event(&path).is_some() {
            return Err(at("close generation", &path)("a transaction is still open"));
        }
        Ok(())
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        let env = self.env.take();
        // If the store itself is gone, its next start removes the directory.
        if let Some(cleaner) = self.retired.get().and_then(Weak::upgrade) {
            cleaner.remove(env, std::mem::take(&mut self.path));
        }
    }
}

/// What `get` gives for each bucket, placed so that `bucket as usize` finds it.
fn in_order(
    mut get: impl FnMut(Bucket) -> heed::Result<Database<Bytes, Bytes>>,
) -> heed::Result<[Database<Bytes, Bytes>; Bucket::ALL.len()]> {
    let mut databases = [None; Bucket::ALL.len()];
    for bucket in Bucket::ALL {
        databases[bucket as usize] = Some(get(bucket)?);
    }
    Ok(databases.map(|database| database.expect("every bucket is in ALL, once")))
}

#[expect(
    unsafe_code,
    reason = "a map of a file is sound only while nobody else changes the file"
)]
fn open_env(
    path: &Path,
    options: &LmdbOptions,
    age: Age,
    syncs: Syncs,
) -> Result<Env<WithoutTls>, Error> {
    let map_bytes = options.map_bytes.next_multiple_of(MAP_BYTES_UNIT);
    let map_bytes = usize::try_from(map_bytes).map_err(at("reserve map", path))?;
    let mut env_options = EnvOpenOptions::new().read_txn_without_tls();
    env_options
        .map_size(map_bytes)
        .max_readers(options.readers_max)
        .max_dbs(Bucket::ALL.len() as u32);
    let mut flags = EnvFlags::empty();
    flags.set(EnvFlags::NO_READ_AHEAD, !options.read_ahead);
    flags.set(EnvFlags::PREV_SNAPSHOT, age == Age::Previous);
    flags.set(EnvFlags::NO_SYNC, syncs == Syncs::OnRequest);
    // SAFETY: one flag only advises the kernel, another chooses between two states of the file that are both durable. Syncs
    // are given up for files only that are removed if their last sync did not come to its end. None of the flags that give
    // up locks is ever set.
    unsafe { env_options.flags(flags) };
    // SAFETY: the directory is the store's own, and whoever opens a store holds the lock of its data directory, so no
    // other process maps the file; in this process heed refuses to open it twice, and this crate never opens, writes,
    // renames or truncates the file of an open environment. Directories are removed only after their environment is
    // closed.
    unsafe { env_options.open(path) }.map_err(at("open generation", path))
}
