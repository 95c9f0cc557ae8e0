//! Rewriting a store into its next generation while it is in use.
//!
//! Rows are copied in key order, in steps: each step reads in a short transaction of its own, so the steps see different
//! states. From before the first step until the swap, every batch that is committed is also recorded, and after
//! each step the batches recorded so far are *replayed*: those of their changes that lie where the copy has already
//! been are made again in the new generation, in order; the others are dropped, because a later step will see them.
//!
//! Why this gives exactly the old state. Let `S(k)` be the old store after the first `k` recorded batches. After each
//! replay, with `k` batches replayed so far, this holds:
//!
//! > For every place that the copy has passed, the new generation has the row that `S(k)` has there, or none as `S(k)`.
//!
//! It holds at first, as no place has been passed. Suppose that it holds for `k`. The next step sees some `S(j)` with
//! `j >= k`, because a batch is recorded only after its commit, and adds the places it passes in the state `S(j)`. The next
//! replay takes batches `k+1` to `m`, and `m >= j`, because a batch is committed *and* recorded under the lock that
//! is taken to fetch them. A change sets or removes one row, whatever was there before, so:
//!
//! - a row at an old place goes from `S(k)` to `S(m)`;
//! - a row at a new place that none of these batches changes is the same in `S(j)` and `S(m)`;
//! - a row at a new place that one of them changes gets from the last that does what it has in `S(m)`.
//!
//! The swap holds that lock: it replays what is left and no batch can follow, so at the end `m` is the last batch, and all
//! places have been passed.
//!
//! Deletions need no pause for that: a row that is deleted before the copy reaches it is not seen, and one that is
//! deleted behind the copy is deleted again. Nothing is written in front of the copy, so the copy can append, which
//! fills its pages. An append that is replayed is a plain put, since the copy may have passed it.

use std::sync::Arc;

use super::directory::{GenerationNumber, at};
use super::generation::{Appends, Generation, Syncs};
use super::pages::Age;
use super::snapshot::LmdbSnapshot;
use super::verify::verify;
use super::walk::{Position, STEP_BYTES};
use super::{Lmdb, Writer};
use crate::Error;
use crate::backend::{Backend as _, Batch, Sizes};

/// Replays before the swap, so that little is left for the time when commits must wait.
const CATCH_UPS_MAX: usize = 8;

/// Rewrites the store. On an error the generation in use stays, and nothing is left of the new one.
pub(super) fn run(lmdb: &Lmdb) -> Result<(), Error> {
    let mut number = lmdb.number.lock();
    let next = number.next();
    lmdb.progress.begin(lmdb.sizes()?.used_bytes);
    let result = rewrite(lmdb, next);
    // Also after an error: batches must not pile up for nobody.
    lmdb.writer.lock().recorded = None;
    if result.is_ok() {
        *number = next;
        lmdb.progress.finish();
    } else {
        // The error that matters is the first; the next rewrite or start removes the rest.
        let _ = lmdb.directory.remove_temporary(next);
    }
    result
}

fn rewrite(lmdb: &Lmdb, next: GenerationNumber) -> Result<(), Error> {
    fail::fail_point!("defragBeforeCopy");
    let path = lmdb.directory.create_temporary(next)?;
    let target = Arc::new(Generation::create(&path, &lmdb.options, Syncs::EachCommit)?);
    lmdb.writer.lock().record()?;
    let mut copy = Copy {
        lmdb,
        target,
        position: Position::default(),
        scratch: Vec::new(),
    };
    while !copy.position.is_end() {
        lmdb.reception.give_way()?;
        copy.step()?;
        copy.replay(lmdb.writer.lock().take_recorded()?)?;
    }
    verify(&copy.target)?;
    for _ in 0..CATCH_UPS_MAX {
        let batches = lmdb.writer.lock().take_recorded()?;
        if batches.is_empty() {
            break;
        }
        copy.replay(batches)?;
    }
    fail::fail_point!("defragBeforeSwap");
    copy.swap(next)
}

/// The new generation, and how far it has come.
struct Copy<'l> {
    lmdb: &'l Lmdb,
    target: Arc<Generation>,
    position: Position,
    scratch: Vec<u8>,
}

impl Copy<'_> {
    /// Copies the next rows, sealed as they are.
    fn step(&mut self) -> Result<(), Error> {
        let snapshot = LmdbSnapshot::new(self.lmdb.current())?;
        let mut txn = self.target.write()?;
        let visited = self
            .position
            .step(&snapshot, STEP_BYTES, &mut |bucket, key, sealed| {
                self.target.append_sealed(&mut txn, bucket, key, sealed)
            })?;
        // The commit takes long, and the snapshot pins pages of the store in use.
        drop(snapshot);
        self.target.commit(txn)?;
        self.lmdb.progress.copied(visited.rows, visited.bytes);
        Ok(())
    }

    /// Makes the changes again that lie where the copy has been.
    fn replay(&mut self, batches: Vec<Batch>) -> Result<(), Error> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut txn = self.target.write()?;
        for op in batches.iter().flat_map(|batch| &batch.ops) {
            let (bucket, key) = op.place();
            if self.position.covers(bucket, key) {
                self.target
                    .apply(&mut txn, op, Appends::Replayed, &mut self.scratch)?;
            }
        }
        self.target.commit(txn)?;
        self.lmdb.progress.replayed(batches.len() as u64);
        Ok(())
    }

    /// Puts the new generation in the place of the old one. Commits wait meanwhile.
    fn swap(mut self, next: GenerationNumber) -> Result<(), Error> {
        let lmdb = self.lmdb;
        let mut writer = lmdb.writer.lock();
        self.replay(writer.take_recorded()?)?;
        let old = lmdb.current();
        if self.target.row_counts()? != old.row_counts()? {
            let path = lmdb.directory.temporary_path(next);
            return Err(at("compare generations", &path)("the copy has other rows"));
        }
        let target = Arc::into_inner(self.target).expect("the copy's snapshots are gone");
        // heed knows an environment by its path, so it is closed before that changes. Its data are durable: each commit
        // syncs.
        target.close()?;
        lmdb.directory.sync_temporary(next)?;
        fail::fail_point!("defragBeforeRename");
        let installed = lmdb
            .directory
            .install(next)
            .and_then(|()| lmdb.take_over(next));
        // A restart may now find the new generation, so the old one must not take another commit.
        fail::fail_point!("defragAfterRename");
        writer.poisoned = installed.is_err();
        installed
    }
}

impl Lmdb {
    /// Goes on with an installed generation that has the state of the current one.
    fn take_over(&self, number: GenerationNumber) -> Result<(), Error> {
        let generation =
            Generation::open(&self.directory.path(number), &self.options, Age::Newest)?;
        let sizes = generation.sizes()?;
        self.put_in_use(Arc::new(generation), sizes);
        Ok(())
    }

    /// Lets commits and snapshots see `generation` from now on; with `writer` locked.
    pub(super) fn put_in_use(&self, generation: Arc<Generation>, sizes: Sizes) {
        self.sizes.set(sizes);
        let old = std::mem::replace(&mut *self.current.write(), generation);
        old.retire(Arc::downgrade(&self.cleaner));
    }
}

impl Writer {
    /// Begins to record what is committed.
    fn record(&mut self) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        self.recorded = Some(Vec::new());
        Ok(())
    }

    /// The batches committed since the last call.
    fn take_recorded(&mut self) -> Result<Vec<Batch>, Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        Ok(self
            .recorded
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default())
    }
}
