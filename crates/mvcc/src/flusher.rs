//! Writing to the backend: applied rows, small rows, and the deletes of compactions, as steps of one thread.

mod deletes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

use crate::backend::{Batch, Op};
use crate::key_space::Options;
use crate::link::{Flushed, Ring, SmallRow, ToFlusher};
use crate::meta::{CONSISTENT_INDEX, FINISHED_COMPACTION, TERM, compaction_row, number_row};
use crate::view::{Shared, View};
use crate::{Bucket, Error};
use deletes::Deletes;

/// Writes what is applied to the backend. Exactly one owner: the thread that commits.
///
/// Has no thread of its own. A driver calls [`Flusher::wait`] and then [`Flusher::flush`]. After any error the member must
/// stop.
#[derive(Debug)]
pub struct Flusher {
    shared: Arc<Shared>,
    inbox: Receiver<ToFlusher>,
    rings: Receiver<Ring>,
    outbox: Sender<Flushed>,
    /// Small rows that have arrived and are not written, by the number of their view.
    staged: VecDeque<(u64, Vec<SmallRow>)>,
    deletes: Deletes,
    /// Kept for its memory, which would else be fresh, and cleared by the kernel, at every flush.
    changes: Batch,
    /// Rows up to this main revision are written.
    revision: i64,
    /// The view with this number is written.
    batch: u64,
    wanted: bool,
    /// The last flush found no room: the next waits for time to pass.
    stalled: bool,
    /// The owner is gone.
    closed: bool,
    poisoned: bool,
    delete_rows_max: usize,
}

/// Steps in which the deletes that wait are to be made, within the bounds of a step.
const STEPS: usize = 64;
const STEP_ROWS_MIN: usize = 500;

/// For how many changes memory is kept between two flushes: about a flush full of small rows.
const OPS_KEPT_MAX: usize = 64 << 10;

/// What a flush or a step of deletes achieved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// There was no room, so nothing was written. Flush again later.
    pub disk_full: bool,
    /// Main revisions up to this one are durable.
    pub revision: i64,
    /// The log up to this index is durable in the backend.
    pub applied_index: u64,
    /// Rows and small rows written.
    pub rows_written: usize,
    /// Superseded rows deleted.
    pub rows_deleted: usize,
    /// Superseded rows that are left to be deleted.
    pub deletes_pending: usize,
    /// The compaction that was finished by this step.
    pub compaction_finished: Option<i64>,
}

/// Why [`Flusher::wait`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Enough has come together, or somebody waits: flush now.
    FlushDue,
    /// Superseded rows wait to be deleted.
    DeletesDue,
    /// Nothing is due, but time has passed.
    Timeout,
    /// The key space is gone. A last flush writes what it has published; deletes that are left are found again at the
    /// next start.
    Closed,
}

impl Flusher {
    pub(crate) fn new(
        shared: Arc<Shared>,
        inbox: Receiver<ToFlusher>,
        rings: Receiver<Ring>,
        outbox: Sender<Flushed>,
        revision: i64,
        options: Options,
    ) -> Self {
        Self {
            shared,
            inbox,
            rings,
            outbox,
            staged: VecDeque::new(),
            deletes: Deletes::default(),
            changes: Batch::default(),
            revision,
            batch: 0,
            wanted: false,
            stalled: false,
            closed: false,
            poisoned: false,
            delete_rows_max: options.delete_rows_max.max(1),
        }
    }

    /// Blocks until something is due, or for `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Wake {
        loop {
            self.receive();
            if self.closed {
                return Wake::Closed;
            }
            if let Some(wake) = self.due() {
                return wake;
            }
            match self.rings.recv_timeout(timeout) {
                Ok(ring) => self.hear(ring),
                Err(RecvTimeoutError::Timeout) => return Wake::Timeout,
                Err(RecvTimeoutError::Disconnected) => return Wake::Closed,
            }
        }
    }

    /// As [`Flusher::wait`], but deletes can wait: between their steps the disk is left to others.
    pub fn rest(&mut self, pause: Duration) -> Wake {
        self.receive();
        if !self.closed && !self.wanted {
            match self.rings.recv_timeout(pause) {
                Ok(ring) => self.hear(ring),
                Err(RecvTimeoutError::Timeout) => return Wake::Timeout,
                Err(RecvTimeoutError::Disconnected) => self.closed = true,
            }
        }
        match (self.closed, self.wanted) {
            (true, _) => Wake::Closed,
            (false, true) => Wake::FlushDue,
            (false, false) => Wake::Timeout,
        }
    }

    fn due(&self) -> Option<Wake> {
        if self.stalled {
            None
        } else if self.wanted {
            Some(Wake::FlushDue)
        } else {
            let may_delete = self.deletes.has_work() && !self.shared.holds_deletes();
            may_delete.then_some(Wake::DeletesDue)
        }
    }

    /// Makes the newest view durable: one commit with all its rows, small rows, applied index and term.
    ///
    /// Deletes that wait ride along, as far as one step of them goes: a commit costs a sync, whatever is in it. On a full
    /// disk nothing is done, which the result tells; then [`Flusher::wait`] returns only when its time has passed.
    ///
    /// # Errors
    /// Those of the backend, after which every call answers [`Error::Poisoned`].
    pub fn flush(&mut self) -> Result<Progress, Error> {
        let shared = Arc::clone(&self.shared);
        let _whole = shared.gate.lock();
        // The view first: all that belongs to it has been sent before it was published.
        fail::fail_point!("flushBeforeCollect");
        self.stalled = !self.shared.backend.has_room(self.commit_bytes())?;
        if self.stalled {
            return Ok(Progress {
                disk_full: true,
                ..self.progress(Deleted::default())
            });
        }
        let view = self.shared.current.load_full();
        self.receive();
        let is_new = view.batch > self.batch;
        let mut changes = std::mem::take(&mut self.changes);
        let ops = &mut changes.ops;
        // Deletes first: what is written then finds the pages that they have freed.
        let deleted = self.add_deletes(ops);
        let (before, mut bytes) = (ops.len(), 0);
        if is_new {
            bytes = self.add_rows(&view, ops) + self.add_small_rows(&view, ops);
        }
        let rows_written = ops.len() - before;
        if is_new {
            self.add_applied(&view, ops);
        }
        self.commit(&changes)?;
        changes.ops.clear();
        changes.ops.shrink_to(OPS_KEPT_MAX);
        self.changes = changes;

        fail::fail_point!("flushAfterCommit");
        self.batch = view.batch;
        self.revision = view.revision;
        let flushed_index = &self.shared.flushed_index;
        flushed_index.store(view.applied_index, Ordering::Release);
        let unflushed_bytes = &self.shared.unflushed_bytes;
        unflushed_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if is_new || self.wanted {
            let (revision, batch) = (self.revision, self.batch);
            // Nobody listens any more at a last flush.
            let _owner_gone = self.outbox.send(Flushed { revision, batch });
        }
        self.wanted = false;
        Ok(Progress {
            rows_written,
            ..self.progress(deleted)
        })
    }

    /// What the next commit writes at most: rows with their pages, and a page for each row that is deleted.
    fn commit_bytes(&self) -> u64 {
        const PAGE_BYTES: usize = 4096;
        let written = self.shared.unflushed_bytes.load(Ordering::Relaxed);
        let pending = self.shared.deletes_pending.load(Ordering::Relaxed);
        (written * 2 + pending.min(self.delete_rows_max) * PAGE_BYTES) as u64
    }

    /// Whether superseded rows wait to be deleted and may be now.
    pub fn has_deletes(&mut self) -> bool {
        self.receive();
        self.deletes.has_work() && !self.shared.holds_deletes()
    }

    /// Adds the rows since the last flush and returns their bytes.
    fn add_rows(&self, view: &View, ops: &mut Vec<Op>) -> usize {
        let mut bytes = 0;
        view.overlay
            .visit(self.revision + 1, view.revision, |key, encoded| {
                bytes += encoded.len();
                ops.push(Op::Append {
                    bucket: Bucket::Key,
                    key: key.encode(),
                    value: encoded.clone(),
                });
            });
        bytes
    }

    /// Adds the small rows of views up to this one, each row once, and returns the bytes of all.
    fn add_small_rows(&mut self, view: &View, ops: &mut Vec<Op>) -> usize {
        let mut newest = BTreeMap::new();
        let mut bytes = 0;
        while self
            .staged
            .front()
            .is_some_and(|(batch, _)| *batch <= view.batch)
        {
            let (_, rows) = self.staged.pop_front().expect("looked at just now");
            for row in rows {
                bytes += row.bytes();
                newest.insert((row.bucket, row.key), row.value);
            }
        }
        ops.extend(
            newest
                .into_iter()
                .map(|((bucket, key), value)| match value {
                    Some(value) => Op::Put { bucket, key, value },
                    None => Op::Delete { bucket, key },
                }),
        );
        bytes
    }

    fn add_applied(&self, view: &View, ops: &mut Vec<Op>) {
        for (key, number) in [
            (CONSISTENT_INDEX, view.applied_index),
            (TERM, view.applied_term),
        ] {
            ops.push(put_meta(key, number_row(number)));
        }
    }

    /// How many rows one commit deletes. Few where few wait: scattered rows dirty a page each, and whoever syncs the log
    /// meanwhile waits until all of these are written.
    fn step_rows(&self) -> usize {
        let pending = self.shared.deletes_pending.load(Ordering::Relaxed);
        (pending / STEPS)
            .max(STEP_ROWS_MIN)
            .min(self.delete_rows_max)
    }

    /// Adds the next deletes, and the mark of the compaction that they finish.
    fn add_deletes(&mut self, ops: &mut Vec<Op>) -> Deleted {
        let before = ops.len();
        if self.shared.holds_deletes() {
            return Deleted::default();
        }
        let rows_max = self.step_rows();
        let Some(step) = self.deletes.next(rows_max) else {
            return Deleted::default();
        };
        // Readers must know before the rows are gone.
        self.shared
            .deleting
            .fetch_max(step.compacted, Ordering::SeqCst);
        ops.extend(step.keys.iter().map(|key| Op::Delete {
            bucket: Bucket::Key,
            key: key.encode(),
        }));
        fail::fail_point!("compactBeforeCommitBatch");
        let rows = ops.len() - before;
        let finished = step.last.then_some(step.compacted);
        if let Some(revision) = finished {
            fail::fail_point!("compactBeforeSetFinishedCompact");
            ops.push(put_meta(FINISHED_COMPACTION, compaction_row(revision)));
        }
        Deleted { rows, finished }
    }

    fn commit(&mut self, changes: &Batch) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        if changes.ops.is_empty() {
            return Ok(());
        }
        let result = self.shared.backend.commit(changes);
        self.poisoned = result.is_err();
        self.shared.commits.fetch_add(1, Ordering::Release);
        result
    }

    fn progress(&self, deleted: Deleted) -> Progress {
        self.shared
            .deletes_pending
            .fetch_sub(deleted.rows, Ordering::Relaxed);
        if let Some(revision) = deleted.finished {
            fail::fail_point!("compactAfterSetFinishedCompact");
            self.shared
                .compaction_finished
                .store(revision, Ordering::Release);
        }
        Progress {
            disk_full: false,
            revision: self.revision,
            applied_index: self.shared.flushed_index.load(Ordering::Relaxed),
            rows_written: 0,
            rows_deleted: deleted.rows,
            deletes_pending: self.shared.deletes_pending.load(Ordering::Relaxed),
            compaction_finished: deleted.finished,
        }
    }

    /// Takes in all messages that are there.
    fn receive(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                ToFlusher::Staged { batch, rows } => self.staged.push_back((batch, rows)),
                ToFlusher::Dropped {
                    compacted,
                    keys,
                    last,
                } => self.deletes.add(compacted, keys, last),
                ToFlusher::Installed { revision, batch } => {
                    self.staged.clear();
                    self.deletes = Deletes::default();
                    (self.revision, self.batch) = (revision, batch);
                }
            }
        }
        loop {
            match self.rings.try_recv() {
                Ok(ring) => self.hear(ring),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.closed = true;
                    break;
                }
            }
        }
    }

    fn hear(&mut self, ring: Ring) {
        match ring {
            Ring::FlushWanted => self.wanted = true,
            // They are in the inbox.
            Ring::DeletesReady => {}
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Deleted {
    rows: usize,
    finished: Option<i64>,
}

fn put_meta(key: &[u8], value: bytes::Bytes) -> Op {
    Op::Put {
        bucket: Bucket::Meta,
        key: key.to_vec(),
        value,
    }
}
