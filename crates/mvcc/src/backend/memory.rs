//! The backend that forgets everything with its process: for tests, and for simulation, where the disk is a model.
//!
//! A state is one persistent map per bucket. A commit changes a copy that shares all untouched nodes and publishes it
//! whole, so snapshots cost a pointer and never change.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rpds::RedBlackTreeMapSync;

use super::{
    Backend, Batch, Bucket, Incoming, Op, Prepare, Row, RowsFrom, Sizes, Snapshot, Visitor,
    check_key,
};
use crate::Error;

/// What a row costs beside its key and value, so that sizes grow as a file's would.
const ROW_OVERHEAD_BYTES: u64 = 32;

/// How a commit breaks that [`Memory::break_next_commit`] asked for. Its caller cannot tell the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenCommit {
    /// Nothing of the batch is there after a restart.
    Lost,
    /// All of the batch is there after a restart.
    Kept,
}

/// A [`Backend`] in memory.
///
/// What a restart would find is the last committed state: see [`Memory::restarted`].
#[derive(Debug, Default)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Arc<State>,
    /// Set by the first failed commit, for good.
    poisoned: bool,
    broken_next: Option<BrokenCommit>,
    full: bool,
    /// Complete states that are not installed.
    received: BTreeMap<u64, Arc<State>>,
    receiving: bool,
    /// Never shrinks but by `defragment`, as a file does.
    allocated_bytes: u64,
}

/// Invariant: replaced as a whole, never changed once a snapshot has it.
#[derive(Debug, Clone, Default)]
struct State {
    buckets: [RedBlackTreeMapSync<Bytes, Bytes>; Bucket::ALL.len()],
    used_bytes: u64,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store as a restart after a crash finds it: the last committed state, usable again if a commit had failed.
    pub fn restarted(&self) -> Self {
        let inner = self.inner.lock();
        Self {
            inner: Arc::new(Mutex::new(Inner {
                state: inner.state.clone(),
                allocated_bytes: inner.allocated_bytes,
                received: inner.received.clone(),
                ..Inner::default()
            })),
        }
    }

    /// Fills the disk, or frees it again.
    pub fn set_full(&self, full: bool) {
        self.inner.lock().full = full;
    }

    /// Makes the next commit or install fail, and with it poison the store.
    pub fn break_next_commit(&self, how: BrokenCommit) {
        self.inner.lock().broken_next = Some(how);
    }
}

impl Backend for Memory {
    fn commit(&self, batch: &Batch) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if inner.poisoned {
            return Err(Error::Poisoned);
        }
        let mut state = State::clone(&inner.state);
        let result = batch.ops.iter().try_for_each(|op| state.apply(op));
        let broken = inner.broken_next.take();
        inner.poisoned = result.is_err() || broken.is_some();
        if result.is_ok() && broken != Some(BrokenCommit::Lost) {
            inner.allocated_bytes = inner.allocated_bytes.max(state.used_bytes);
            inner.state = Arc::new(state);
        }
        match broken {
            Some(_) => Err(Error::backend("commit batch", "broken on request")),
            None => result,
        }
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(MemorySnapshot {
            state: Arc::clone(&self.inner.lock().state),
        }))
    }

    fn sizes(&self) -> Result<Sizes, Error> {
        let inner = self.inner.lock();
        Ok(Sizes {
            allocated_bytes: inner.allocated_bytes,
            used_bytes: inner.state.used_bytes,
        })
    }

    fn has_room(&self, _: u64) -> Result<bool, Error> {
        Ok(!self.inner.lock().full)
    }

    fn defragment(&self) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        inner.allocated_bytes = inner.state.used_bytes;
        Ok(())
    }

    fn receive(&self, number: u64) -> Result<Box<dyn Incoming>, Error> {
        let mut inner = self.inner.lock();
        if inner.receiving || inner.received.contains_key(&number) {
            return Err(Error::backend("receive state", "another is there"));
        }
        inner.receiving = true;
        Ok(Box::new(Receiving {
            store: Arc::clone(&self.inner),
            number,
            state: State::default(),
        }))
    }

    fn received(&self) -> Result<Vec<u64>, Error> {
        Ok(self.inner.lock().received.keys().copied().collect())
    }

    fn discard(&self, number: u64) -> Result<(), Error> {
        self.inner.lock().received.remove(&number);
        Ok(())
    }

    /// The lock is held while `prepare` runs, so it must not use the store itself.
    fn install(&self, number: u64, prepare: &mut Prepare<'_>) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if inner.poisoned {
            return Err(Error::Poisoned);
        }
        let missing = || Error::backend("install state", "there is none of this number");
        let state = inner.received.get(&number).cloned().ok_or_else(missing)?;
        let broken = inner.broken_next.take();
        inner.poisoned = true;
        if broken == Some(BrokenCommit::Lost) {
            return Err(Error::backend("install state", "broken on request"));
        }
        inner.received.remove(&number);
        inner.state = Arc::clone(&state);
        inner.allocated_bytes = state.used_bytes;
        if broken == Some(BrokenCommit::Kept) {
            return Err(Error::backend("install state", "broken on request"));
        }
        prepare(&MemorySnapshot { state })?;
        inner.poisoned = false;
        Ok(())
    }
}

/// A state that is being received.
struct Receiving {
    store: Arc<Mutex<Inner>>,
    number: u64,
    state: State,
}

impl Incoming for Receiving {
    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        batch.ops.iter().try_for_each(|op| self.state.apply(op))
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        let state = Arc::new(std::mem::take(&mut self.state));
        self.store.lock().received.insert(self.number, state);
        Ok(())
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.store.lock().receiving = false;
    }
}

impl std::fmt::Debug for Receiving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiving")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl State {
    fn bucket(&self, bucket: Bucket) -> &RedBlackTreeMapSync<Bytes, Bytes> {
        &self.buckets[bucket as usize]
    }

    fn apply(&mut self, op: &Op) -> Result<(), Error> {
        match op {
            Op::Put { bucket, key, value } => self.put(*bucket, key, value),
            Op::Append { bucket, key, value } => {
                let last = self.bucket(*bucket).last().map(|(last, _)| last);
                if last.is_some_and(|last| key.as_slice() <= last.as_ref()) {
                    return Err(Error::backend(
                        "append row",
                        "key is not above the last key",
                    ));
                }
                self.put(*bucket, key, value)
            }
            Op::Delete { bucket, key } => self.delete(*bucket, key),
        }
    }

    fn put(&mut self, bucket: Bucket, key: &[u8], value: &Bytes) -> Result<(), Error> {
        check_key(key)?;
        if let Some(old) = self.bucket(bucket).get(key) {
            self.used_bytes -= row_bytes(key, old);
        }
        self.used_bytes += row_bytes(key, value);
        let key = Bytes::copy_from_slice(key);
        self.buckets[bucket as usize].insert_mut(key, value.clone());
        Ok(())
    }

    fn delete(&mut self, bucket: Bucket, key: &[u8]) -> Result<(), Error> {
        check_key(key)?;
        if let Some(old) = self.bucket(bucket).get(key) {
            self.used_bytes -= row_bytes(key, old);
            self.buckets[bucket as usize].remove_mut(key);
        }
        Ok(())
    }
}

fn row_bytes(key: &[u8], value: &[u8]) -> u64 {
    key.len() as u64 + value.len() as u64 + ROW_OVERHEAD_BYTES
}

struct MemorySnapshot {
    state: Arc<State>,
}

impl Snapshot for MemorySnapshot {
    fn get(&self, bucket: Bucket, key: &[u8]) -> Result<Option<&[u8]>, Error> {
        Ok(self.state.bucket(bucket).get(key).map(Bytes::as_ref))
    }

    fn scan(
        &self,
        bucket: Bucket,
        low: &[u8],
        high: Option<&[u8]>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), Error> {
        if high.is_some_and(|high| high <= low) {
            return Ok(());
        }
        let bounds = (
            Bound::Included(low),
            high.map_or(Bound::Unbounded, Bound::Excluded),
        );
        for (key, value) in self.state.bucket(bucket).range::<[u8], _>(bounds) {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn rows_from<'s>(&'s self, bucket: Bucket, low: &[u8]) -> Result<RowsFrom<'s>, Error> {
        let bounds = (
            Bound::Included(Bytes::copy_from_slice(low)),
            Bound::Unbounded,
        );
        let rows = self.state.bucket(bucket).range::<Bytes, _>(bounds);
        Ok(Box::new(
            rows.map(|(key, value)| Ok((key.as_ref(), value.as_ref()))),
        ))
    }

    fn last(&self, bucket: Bucket) -> Result<Option<Row<'_>>, Error> {
        let last = self.state.bucket(bucket).last();
        Ok(last.map(|(key, value)| (key.as_ref(), value.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::conformance::{Subject, commit, conformance, get, put, try_commit};

    struct InMemory(Memory);

    impl Subject for InMemory {
        fn create() -> Self {
            Self(Memory::new())
        }

        fn restart(self) -> Self {
            Self(self.0.restarted())
        }

        fn backend(&self) -> &dyn Backend {
            &self.0
        }
    }

    conformance!(InMemory);

    // covers: D-09
    #[test]
    fn a_broken_commit_may_be_lost_or_kept() {
        for (how, found) in [(BrokenCommit::Lost, &b"1"[..]), (BrokenCommit::Kept, b"2")] {
            let memory = Memory::new();
            commit(&memory, [put(Bucket::Key, b"a", b"1")]);
            memory.break_next_commit(how);
            try_commit(&memory, put(Bucket::Key, b"a", b"2")).unwrap_err();
            let again = try_commit(&memory, put(Bucket::Key, b"a", b"3"));
            assert!(matches!(again, Err(Error::Poisoned)));
            let memory = memory.restarted();
            assert_eq!(get(&memory, Bucket::Key, b"a").unwrap(), found);
            commit(&memory, [put(Bucket::Key, b"a", b"3")]);
        }
    }
}
