//! Named buckets of bytes with atomic, durable batches: what the key space and its neighbours are stored in.
//!
//! A backend knows nothing of revisions. It guarantees that a [`Batch`] is wholly there or not at all after a crash, that
//! [`Backend::commit`] returns only when the batch is durable, and that a [`Snapshot`] never changes. Exactly one thread
//! commits; any thread may take snapshots.

#[cfg(test)]
mod conformance;
#[cfg(feature = "lmdb")]
mod lmdb;
mod memory;

use std::ops::ControlFlow;

#[cfg(feature = "lmdb")]
pub use lmdb::{Care, Checked, DefragProgress, Lmdb, LmdbOptions, Recovered};
pub use memory::{BrokenCommit, Memory};

use crate::Error;

/// The longest key of a row. LMDB stores no longer ones, nor empty ones.
pub const KEY_BYTES_MAX: usize = 511;

/// The buckets, under the names that etcd gives them, so that a backup in either direction is a copy of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Revision (17 or 18 bytes) to encoded `mvccpb.KeyValue`.
    Key,
    /// Applied index and term, conf state, compaction marks, storage version.
    Meta,
    /// Lease id (8 bytes, big endian) to encoded `leasepb.Lease`.
    Lease,
    /// Encoded `AlarmMember` to nothing.
    Alarm,
    /// Cluster version and downgrade state.
    Cluster,
    /// Member id (lower-case hex) to JSON member.
    Members,
    /// Member id (lower-case hex) of members that may never come back.
    MembersRemoved,
    /// Whether authentication is on, and its revision.
    Auth,
    /// User name to encoded `authpb.User`.
    AuthUsers,
    /// Role name to encoded `authpb.Role`.
    AuthRoles,
}

impl Bucket {
    /// All buckets in the order in which copies and digests walk them.
    pub const ALL: [Bucket; 10] = [
        Bucket::Alarm,
        Bucket::Auth,
        Bucket::AuthRoles,
        Bucket::AuthUsers,
        Bucket::Cluster,
        Bucket::Key,
        Bucket::Lease,
        Bucket::Members,
        Bucket::MembersRemoved,
        Bucket::Meta,
    ];

    /// The bucket's name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Bucket::Key => "key",
            Bucket::Meta => "meta",
            Bucket::Lease => "lease",
            Bucket::Alarm => "alarm",
            Bucket::Cluster => "cluster",
            Bucket::Members => "members",
            Bucket::MembersRemoved => "members_removed",
            Bucket::Auth => "auth",
            Bucket::AuthUsers => "authUsers",
            Bucket::AuthRoles => "authRoles",
        }
    }
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Inserts or replaces a row.
    Put {
        /// Where.
        bucket: Bucket,
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: Vec<u8>,
        /// Any length.
        value: bytes::Bytes,
    },
    /// Inserts a row whose key is above every key of the bucket: the cheap way to write revisions.
    Append {
        /// Where.
        bucket: Bucket,
        /// 1 to [`KEY_BYTES_MAX`] bytes, above the bucket's last key; otherwise the commit fails.
        key: Vec<u8>,
        /// Any length.
        value: bytes::Bytes,
    },
    /// Removes a row; a missing row is no error.
    Delete {
        /// Where.
        bucket: Bucket,
        /// The row's key.
        key: Vec<u8>,
    },
}

impl Op {
    /// The bucket and the key of the row that is changed.
    pub fn place(&self) -> (Bucket, &[u8]) {
        match self {
            Op::Put { bucket, key, .. }
            | Op::Append { bucket, key, .. }
            | Op::Delete { bucket, key } => (*bucket, key),
        }
    }
}

/// Changes that take effect together, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Later changes of a row win over earlier ones.
    pub ops: Vec<Op>,
}

/// What the backend occupies on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the file.
    pub allocated_bytes: u64,
    /// Bytes of pages in use: `allocated_bytes` without the free pages.
    pub used_bytes: u64,
}

/// Key and value.
pub type Row<'s> = (&'s [u8], &'s [u8]);

/// Rows in key order, read one by one.
pub type RowsFrom<'s> = Box<dyn Iterator<Item = Result<Row<'s>, Error>> + 's>;

/// What a visitor of [`Snapshot::scan`] is called with: key and value. `Break` ends the scan.
pub type Visitor<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// A store of buckets.
///
/// Values come back exactly as they were put: a checksum that the backend adds is its own business, checked at each read.
pub trait Backend: Send + Sync + std::fmt::Debug + 'static {
    /// Makes a batch durable. One thread only.
    ///
    /// # Errors
    /// Any error poisons the backend: nothing is known about what is on disk, so the member must stop.
    fn commit(&self, batch: &Batch) -> Result<(), Error>;

    /// The state after the latest commit.
    ///
    /// A snapshot pins the pages it can see: keep it for a second at most.
    ///
    /// # Errors
    /// [`Error::Backend`] when no reader slot is free or the file cannot be read.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error>;

    /// Space on disk now.
    ///
    /// # Errors
    /// [`Error::Backend`] when the file cannot be read.
    fn sizes(&self) -> Result<Sizes, Error>;

    /// Whether the disk has room for a commit that writes so many bytes.
    ///
    /// Asked before a commit, because one that fails for want of room poisons the backend as any other.
    ///
    /// # Errors
    /// [`Error::Backend`] when the file system does not answer.
    fn has_room(&self, bytes: u64) -> Result<bool, Error>;

    /// Rewrites the store into a new, packed file and goes on there; commits and snapshots keep working meanwhile.
    ///
    /// Called from another thread than the one that commits. Snapshots taken earlier stay valid.
    ///
    /// # Errors
    /// [`Error::Backend`] when the new file could not be written; the old one is still in use then.
    fn defragment(&self) -> Result<(), Error>;

    /// Begins to receive a whole other state, beside the one in use. One at a time, from any thread.
    ///
    /// The caller chooses the number; it names the state from now on, also after a restart.
    ///
    /// # Errors
    /// [`Error::Backend`] if a state is being received, if one of this number is complete already, or if the disk refuses.
    fn receive(&self, number: u64) -> Result<Box<dyn Incoming>, Error>;

    /// The numbers of the states that are completely received and neither installed nor discarded, ascending.
    ///
    /// # Errors
    /// [`Error::Backend`] when the disk cannot be read.
    fn received(&self) -> Result<Vec<u64>, Error>;

    /// Removes a state that was completely received; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Backend`] when the disk refuses.
    fn discard(&self, number: u64) -> Result<(), Error>;

    /// Goes on with a received state in the place of the one in use. Commits wait meanwhile, and a rewrite is given up.
    ///
    /// Durable when `prepare` is called; the state is in use when this returns. `prepare` looks at the state first, and what
    /// it does last is followed by nothing that could fail. Snapshots taken earlier stay valid.
    ///
    /// # Errors
    /// [`Error::Backend`] if there is no such state, then nothing has changed. Any other error, and any of `prepare`,
    /// poisons the backend: the member must stop, and its next start may find either state.
    fn install(&self, number: u64, prepare: &mut Prepare<'_>) -> Result<(), Error>;
}

/// What [`Backend::install`] calls with the new state, before anybody else sees it.
pub type Prepare<'p> = dyn FnMut(&dyn Snapshot) -> Result<(), Error> + 'p;

/// A state on its way in. Dropped unfinished, nothing is left of it.
pub trait Incoming: Send + std::fmt::Debug {
    /// Writes rows. They need not be durable yet.
    ///
    /// # Errors
    /// [`Error::Backend`] if the disk refuses or a row is impossible. Give the state up then; the one in use is not touched.
    fn write(&mut self, batch: &Batch) -> Result<(), Error>;

    /// Verifies all that was written, and makes it durable as a complete state.
    ///
    /// # Errors
    /// [`Error::Backend`], [`Error::Corrupt`]; nothing is left of the state then.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// An unchanging state of the whole store.
pub trait Snapshot: Send {
    /// The row's value.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the row's checksum does not match.
    fn get(&self, bucket: Bucket, key: &[u8]) -> Result<Option<&[u8]>, Error>;

    /// Visits rows with `low <= key < high` (`None`: to the end) in key order.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first row whose checksum does not match.
    fn scan(
        &self,
        bucket: Bucket,
        low: &[u8],
        high: Option<&[u8]>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), Error>;

    /// The rows with `low <= key`, in key order, each read when it is asked for; [`Error::Corrupt`] in place of a row
    /// whose checksum does not match.
    ///
    /// # Errors
    /// [`Error::Backend`].
    fn rows_from<'s>(&'s self, bucket: Bucket, low: &[u8]) -> Result<RowsFrom<'s>, Error>;

    /// The last row of the bucket, in key order.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the row's checksum does not match.
    fn last(&self, bucket: Bucket) -> Result<Option<Row<'_>>, Error>;
}

/// Refuses the keys that no backend may store, so that all backends agree.
fn check_key(key: &[u8]) -> Result<(), Error> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::backend(
            "check key",
            "key is empty or longer than 511 bytes",
        ));
    }
    Ok(())
}
