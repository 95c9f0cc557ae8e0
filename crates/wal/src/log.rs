//! The log: appends and syncs. How it begins and how it rolls is in the modules below.

mod open;
mod roll;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::chain::Chain;
use crate::error::io_error;
use crate::format::{BATCH_HEADER_BYTES, BatchHeader};
use crate::segment::Segment;
use crate::spare::Spare;
use crate::workshop::Chore;
use crate::{Batch, Error, Identity, SegmentSeq};

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

/// A marker costs a page of its own in the next sync: about 20 µs of 130 with one small batch a sync. While batches
/// follow each other, the header of each proves the one before; the marker is for the last one.
const SYNCS_PER_MARKER: u32 = 32;

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
    /// Syncs since the last marker was written.
    pub(crate) unmarked: u32,
}

impl Wal {
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

    /// Makes everything appended durable. Nothing appended may be acknowledged before.
    ///
    /// What proves that it was durable is the header of the next batch, and a marker: every few syncs, and in
    /// [`Wal::sync_idle`].
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
        self.tail.unmarked += 1;
        if self.tail.unmarked >= SYNCS_PER_MARKER {
            self.mark()?;
        }
        // The segment before the current one may now say that it has a successor: if that is ever
        // lost, it is known.
        if let Some(left) = self.left.take() {
            self.spare.ask(left);
        }
        self.spare.prepare(self.current.seq.next());
        Ok(())
    }

    /// Makes a marker of the last sync durable, so that damage to the last batch can be told from a
    /// torn tail. Worth calling when no append came for a while; the sync of the next
    /// batch does it otherwise. Returns whether there was anything to do.
    ///
    /// What was appended since the last [`Wal::sync`] becomes durable too.
    ///
    /// # Errors
    /// As [`Wal::sync`].
    pub fn sync_idle(&mut self) -> Result<bool, Error> {
        self.check()?;
        if self.tail.unmarked > 0 {
            // A marker names the end of the log, so what was written since the last sync comes along.
            self.sync()?;
            self.mark()?;
        }
        let pending = self.tail.marker_pending;
        if pending {
            self.sync_current()?;
        }
        Ok(pending)
    }

    /// Whether [`Wal::sync_idle`] would do anything.
    pub fn wants_sync_idle(&self) -> bool {
        self.tail.marker_pending || self.tail.unmarked > 0
    }

    /// Gives up all segments below `low`, but never the current one, nor the one before while nothing
    /// in the current one is durable.
    ///
    /// # Errors
    /// [`Error::Io`] poisons; with a helper thread it comes with a later call.
    /// [`Error::Poisoned`].
    pub fn purge(&mut self, low: SegmentSeq) -> Result<(), Error> {
        self.check()?;
        fail::fail_point!("walBeforePurge");
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
        fail::fail_point!("walBeforeWrite");
        let written = self.current.write(bytes);
        self.poison(written)?;
        self.tail.batch += 1;
        self.tail.chain = chain;
        fail::fail_point!("walAfterWrite");
        Ok(())
    }

    fn sync_current(&mut self) -> Result<(), Error> {
        if !self.no_fsync {
            fail::fail_point!("walBeforeSync");
            let synced = self.current.sync();
            self.poison(synced)?;
            fail::fail_point!("walAfterSync");
        }
        self.tail.marker_pending = false;
        Ok(())
    }

    /// Writes the marker for what was just synced.
    fn mark(&mut self) -> Result<(), Error> {
        fail::fail_point!("walBeforeMark");
        let marker = self
            .current
            .marker(self.tail.synced, self.tail.chain, false);
        let marked = self
            .current
            .mark(&marker.encode(self.identity, self.current.seq));
        self.poison(marked)?;
        self.tail.marker_pending = true;
        self.tail.unmarked = 0;
        Ok(())
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
