//! The log: appends, syncs, rolls from segment to segment.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrod_env::Disk;

use crate::chain::Chain;
use crate::error::io_error;
use crate::format::{BATCH_HEADER_BYTES, BatchHeader, DATA_OFFSET, SegmentHeader};
use crate::helper::Helper;
use crate::recover::{Scan, segments};
use crate::segment::{Prepared, Segment};
use crate::spare::Spare;
use crate::workshop::{Chore, Workshop};
use crate::{Batch, Error, Identity, Options, Recovery, SegmentSeq, create, repair};

/// No batch may be longer: its length must fit its field with room to spare.
const BATCH_BYTES_MAX: u64 = 1 << 30;

/// Whether there is room for the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// As far as is known, there is.
    Enough,
    /// The disk is full. Appends work until the current segment is, then answer
    /// [`Error::NoSpace`]: refuse new writes now.
    Full,
}

/// An open log. One owner appends and syncs; it is `Send`, so that can be a thread.
///
/// After any error but [`Error::NoSpace`] and [`Error::TooLarge`] the log is poisoned: what is on
/// disk is unknown, and only opening it again tells.
pub struct Wal {
    dir: PathBuf,
    identity: Identity,
    no_fsync: bool,
    /// Numbers of all segments, ascending; the last is the current one.
    segments: VecDeque<SegmentSeq>,
    current: Segment,
    tail: Tail,
    spare: Spare,
    /// The last marker of the segment just left, to be written after the first sync of the current
    /// one.
    left: Option<Chore>,
    /// What a new segment starts with; kept for its memory.
    preamble: Batch,
    poisoned: bool,
}

/// Where the log ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    /// Sequence of the last batch written.
    pub(crate) batch: u64,
    /// Its chain value.
    pub(crate) chain: Chain,
    /// Sequence of the last batch whose sync has returned. Invariant: `synced <= batch`.
    pub(crate) synced: u64,
    /// A marker was written and not synced.
    pub(crate) marker_pending: bool,
}

impl Wal {
    /// Creates a log whose first segment starts with what `preamble` adds, all durable on return.
    ///
    /// A crash or error leaves either no log or a whole one.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one; [`Error::NoSpace`]; [`Error::Io`].
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        identity: Identity,
        preamble: impl FnOnce(&mut Batch),
    ) -> Result<Self, Error> {
        create::create_dir(&*disk, dir, options.no_fsync)?;
        if !segments(&*disk, dir)?.is_empty() {
            return Err(Error::Exists { dir: dir.into() });
        }
        let mut workshop = Workshop::new(disk.clone(), dir, &options);
        workshop.tidy()?;
        let header = SegmentHeader {
            reused: false,
            identity,
            seq: SegmentSeq::FIRST,
            first_batch: 1,
            file_len: options.segment_len(),
            prev: SegmentHeader::origin(identity),
        };
        let current = Segment::start(workshop.build(header.seq)?, &header)?;
        let tail = Tail {
            batch: 0,
            chain: header.prev,
            synced: 0,
            marker_pending: false,
        };
        let mut wal = Self::assemble(dir, options, identity, current, tail, workshop);
        preamble(&mut wal.preamble);
        wal.write_preamble()?;
        wal.prove()?;
        wal.current.path = create::publish(&*disk, dir, &wal.current.path, options.no_fsync)?;
        Ok(wal)
    }

    /// Opens a log, cuts off a torn tail, and returns what it holds. On return all of it is durable,
    /// and provable: later damage to it will be reported.
    ///
    /// Nothing is written unless the whole log checks out. Doing this again, also after a crash in
    /// the middle of it, gives the same result.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no log: create one. [`Error::Foreign`] if it is not
    /// `identity`'s; `None` accepts anyone's. [`Error::Corrupt`], [`Error::Missing`],
    /// [`Error::Misplaced`], [`Error::BrokenChain`] and [`Error::Version`] as they say;
    /// [`Error::Io`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        identity: Option<Identity>,
    ) -> Result<(Self, Recovery), Error> {
        let scan = Scan::of_dir(&*disk, dir, identity)?;
        let mut workshop = Workshop::new(disk.clone(), dir, &options);
        let current = repair::repair(&*disk, dir, &scan, &mut workshop, options.no_fsync)?;
        let tail = Tail {
            batch: scan.end.batch,
            chain: scan.end.chain,
            synced: scan.end.batch,
            marker_pending: false,
        };
        let mut wal = Self::assemble(dir, options, scan.identity, current, tail, workshop);
        wal.segments = scan.used.into();
        let recovery = Recovery {
            identity: scan.identity,
            records: scan.records,
            torn: scan.torn,
        };
        Ok((wal, recovery))
    }

    fn assemble(
        dir: &Path,
        options: Options,
        identity: Identity,
        current: Segment,
        tail: Tail,
        workshop: Workshop,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            identity,
            no_fsync: options.no_fsync,
            segments: VecDeque::from([current.seq]),
            current,
            tail,
            spare: Spare::new(Helper::inline(workshop), options.no_fsync),
            left: None,
            preamble: Batch::new(),
            poisoned: false,
        }
    }

    /// Moves the making and disposing of segment files to a thread, so that neither
    /// [`Wal::append`] nor [`Wal::purge`] waits for it. Without this the caller's thread does it: in
    /// [`Wal::sync`] for the next segment.
    ///
    /// # Errors
    /// [`Error::Io`] if the thread cannot be started.
    pub fn with_helper_thread(mut self) -> Result<Self, Error> {
        let started = self.spare.into_thread();
        self.spare = started.map_err(io_error("start a thread for", &self.dir))?;
        Ok(self)
    }

    /// Writes a batch after everything before it, not yet durable, and empties it. Returns the segment
    /// that holds it.
    ///
    /// If it opens a new segment, `preamble` is asked for the records that the segment must start
    /// with; they come before the batch. An empty batch writes nothing.
    ///
    /// # Errors
    /// [`Error::NoSpace`] and [`Error::TooLarge`] leave log and batch as they were.
    /// [`Error::Io`] poisons; then [`Error::Poisoned`].
    pub fn append(
        &mut self,
        batch: &mut Batch,
        preamble: impl FnOnce(&mut Batch),
    ) -> Result<SegmentSeq, Error> {
        self.check()?;
        if batch.is_empty() {
            return Ok(self.current.seq);
        }
        check_len(batch)?;
        if !self.current.fits(batch.bytes() as u64) {
            self.roll(batch.bytes() as u64, preamble)?;
        }
        self.write(batch)?;
        batch.clear();
        Ok(self.current.seq)
    }

    /// Makes everything appended durable, then writes the marker that proves it. Nothing appended may
    /// be acknowledged before.
    ///
    /// # Errors
    /// [`Error::Io`] poisons: what was not synced may be lost, and asking again would not tell.
    /// Then [`Error::Poisoned`].
    pub fn sync(&mut self) -> Result<(), Error> {
        self.check()?;
        if self.tail.synced == self.tail.batch {
            return Ok(());
        }
        self.sync_current()?;
        self.tail.synced = self.tail.batch;
        self.mark()?;
        // The segment before the current one may now say that it has a successor: if that is ever
        // lost, it is known.
        if let Some(left) = self.left.take() {
            self.spare.ask(left);
        }
        self.spare.prepare(self.current.seq.next());
        Ok(())
    }

    /// Makes the marker of the last sync durable, so that damage to the last batch can be told from a
    /// torn tail. Worth calling when no append came for some milliseconds; the sync of the next
    /// batch does it otherwise. Returns whether there was anything to do.
    ///
    /// Covers no batch that [`Wal::sync`] did not.
    ///
    /// # Errors
    /// As [`Wal::sync`].
    pub fn sync_idle(&mut self) -> Result<bool, Error> {
        self.check()?;
        let pending = self.tail.marker_pending;
        if pending {
            self.sync_current()?;
        }
        Ok(pending)
    }

    /// Whether [`Wal::sync_idle`] would do anything.
    pub fn wants_sync_idle(&self) -> bool {
        self.tail.marker_pending
    }

    /// Gives up all segments below `low`, but never the current one, nor the one before while nothing
    /// in the current one is durable.
    ///
    /// # Errors
    /// [`Error::Io`] poisons; with a helper thread it comes with a later call.
    /// [`Error::Poisoned`].
    pub fn purge(&mut self, low: SegmentSeq) -> Result<(), Error> {
        self.check()?;
        let below = self.segments.iter().take_while(|&&seq| seq < low).count();
        let kept = if self.left.is_some() { 2 } else { 1 };
        let count = below.min(self.segments.len().saturating_sub(kept));
        let purged: Vec<_> = self.segments.drain(..count).collect();
        if !purged.is_empty() {
            self.spare.ask(Chore::Dispose(purged));
        }
        self.check()
    }

    /// Whether there is room for the next segment. Cheap.
    pub fn space(&mut self) -> Space {
        // An error found here is reported by the next call that can.
        self.spare.poll();
        if self.spare.is_full() {
            Space::Full
        } else {
            Space::Enough
        }
    }

    /// Tries again to prepare the next segment after [`Space::Full`].
    pub fn retry_space(&mut self) {
        if self.spare.is_full() {
            self.spare.retry(self.current.seq.next());
        }
    }

    /// Whose log it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The directory it is in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The lowest segment that is kept.
    pub fn first_segment(&self) -> SegmentSeq {
        *self.segments.front().expect("there is a current segment")
    }

    /// The segment that is written to.
    pub fn current_segment(&self) -> SegmentSeq {
        self.current.seq
    }

    /// Fails if the log is poisoned, or if the helper met an error.
    fn check(&mut self) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        self.spare.poll();
        match self.spare.take_error() {
            Some(error) => self.poison(Err(error)),
            None => Ok(()),
        }
    }

    fn poison<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.poisoned |= result.is_err();
        result
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let records = u32::try_from(batch.records()).expect("a batch counts in u32");
        let bytes = batch.as_mut_bytes();
        let body_len = bytes.len() - BATCH_HEADER_BYTES;
        let header = BatchHeader {
            body_len: u32::try_from(body_len).expect("the length was checked"),
            batch: self.tail.batch + 1,
            segment: self.current.seq,
            synced: self.tail.synced,
            records,
            prev: self.tail.chain,
            chain: self.tail.chain,
        };
        let chain = header.seal(self.current.salt, bytes);
        let written = self.current.write(bytes);
        self.poison(written)?;
        self.tail.batch += 1;
        self.tail.chain = chain;
        Ok(())
    }

    fn sync_current(&mut self) -> Result<(), Error> {
        if !self.no_fsync {
            let synced = self.current.sync();
            self.poison(synced)?;
        }
        self.tail.marker_pending = false;
        Ok(())
    }

    /// Writes the marker for what was just synced.
    fn mark(&mut self) -> Result<(), Error> {
        let marker = self
            .current
            .marker(self.tail.synced, self.tail.chain, false);
        let marked = self
            .current
            .mark(&marker.encode(self.identity, self.current.seq));
        self.poison(marked)?;
        self.tail.marker_pending = true;
        Ok(())
    }

    /// Continues in the next segment, with room for its preamble and `bytes`.
    fn roll(&mut self, bytes: u64, preamble: impl FnOnce(&mut Batch)) -> Result<(), Error> {
        // A segment that has a successor is complete: recovery relies on it.
        self.sync()?;
        self.preamble.clear();
        preamble(&mut self.preamble);
        check_len(&self.preamble)?;
        let need = DATA_OFFSET + self.preamble.bytes() as u64 + bytes;
        let taken = match self.spare.take(self.current.seq.next(), need) {
            no_space @ Err(Error::NoSpace { .. }) => no_space,
            other => self.poison(other),
        };
        let started = self.start_segment(taken?);
        self.poison(started)?;
        self.write_preamble()
    }

    fn start_segment(&mut self, next: Prepared) -> Result<(), Error> {
        let header = SegmentHeader {
            reused: next.reused,
            identity: self.identity,
            seq: next.seq,
            first_batch: self.tail.batch + 1,
            file_len: next.len,
            prev: self.tail.chain,
        };
        let mut next = Segment::start(next, &header)?;
        std::mem::swap(&mut self.current, &mut next);
        self.segments.push_back(self.current.seq);
        let mut left = next;
        let marker = left.marker(self.tail.batch, self.tail.chain, true);
        self.left = Some(Chore::Succeed {
            marker: marker.encode(self.identity, left.seq),
            offset: left.next_slot(),
            file: left.file,
            path: left.path,
        });
        self.tail.marker_pending = false;
        Ok(())
    }

    fn write_preamble(&mut self) -> Result<(), Error> {
        let mut preamble = std::mem::take(&mut self.preamble);
        let written = if preamble.is_empty() {
            Ok(())
        } else {
            self.write(&mut preamble)
        };
        self.preamble = preamble;
        written
    }

    /// Makes everything durable, the marker too.
    fn prove(&mut self) -> Result<(), Error> {
        self.sync_current()?;
        self.tail.synced = self.tail.batch;
        self.mark()?;
        self.sync_current()
    }
}

fn check_len(batch: &Batch) -> Result<(), Error> {
    let bytes = batch.bytes() as u64;
    if bytes > BATCH_BYTES_MAX {
        return Err(Error::TooLarge {
            bytes,
            bytes_max: BATCH_BYTES_MAX,
        });
    }
    Ok(())
}
