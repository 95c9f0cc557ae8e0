//! The log on disk: batches of a core as records of a WAL.

pub(crate) mod disown;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrod_env::Disk;
use ferrod_wal::{Identity, Options, SegmentSeq, Space, TornTail, Wal};

use crate::log_reader::{LogReader, Tops};
use crate::{
    Batch, ConfChange, Entry, EntryKind, Error, HardState, LogIndex, MemberId, Recovered, Term,
    record,
};

pub use self::disown::Disowned;

/// The log on disk, open for writing.
///
/// After any error nothing is known about the end of the log: the member stops, and opening it
/// again tells.
pub struct DurableLog {
    wal: Wal,
    /// Kept for its memory.
    buffer: ferrod_wal::Batch,
    /// What the next segment starts with.
    hard_state: HardState,
    /// Shared with those who read the log meanwhile.
    tops: Tops,
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
}

/// What opening a log brought to light.
#[derive(Debug)]
pub struct OpenedLog {
    /// Whose log it is.
    pub identity: Identity,
    /// What the core starts from.
    pub recovered: Recovered,
    /// The tail that a crash tore and that was cut off; worth a line in a log.
    pub torn: Option<TornTail>,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteStats {
    /// Bytes written.
    pub bytes: usize,
    /// Whether a sync made them durable.
    pub synced: bool,
}

impl DurableLog {
    /// Creates a log whose first entries add the initial voters, one each, in this order; all
    /// committed in term 1.
    ///
    /// All initial members must create theirs from equal lists. A member that joins a cluster later
    /// has an empty list: it learns everything from its leader. A crash or error leaves either no
    /// log or a whole one.
    ///
    /// # Errors
    /// [`Error::Wal`].
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        identity: Identity,
        initial: &[ConfChange],
    ) -> Result<DurableLog, Error> {
        let count = initial.len() as u64;
        let hard_state = HardState {
            term: Term(u64::from(count > 0)),
            vote: MemberId::NONE,
            commit: LogIndex(count),
        };
        let entries = (1..).zip(initial).map(|(index, change)| Entry {
            index: LogIndex(index),
            term: Term(1),
            kind: EntryKind::ConfChange,
            payload: change.encode(),
        });
        Self::begin(disk, dir, options, identity, entries, hard_state)
    }

    /// Begins an empty log in place of one that was lost. The member has promised nothing in any term above `term`; it is
    /// to vote for nobody in that term, nor to do anything in an earlier one.
    ///
    /// A crash or error leaves either no log or a whole one.
    ///
    /// # Errors
    /// [`Error::Wal`], also if there is a log.
    pub fn begin_again(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        identity: Identity,
        term: Term,
    ) -> Result<DurableLog, Error> {
        let hard_state = HardState {
            term,
            vote: MemberId(identity.member),
            commit: LogIndex::ZERO,
        };
        Self::begin(disk, dir, options, identity, std::iter::empty(), hard_state)
    }

    fn begin(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        identity: Identity,
        entries: impl Iterator<Item = Entry>,
        hard_state: HardState,
    ) -> Result<DurableLog, Error> {
        let wal = Wal::create(disk.clone(), dir, options, identity, |first| {
            for entry in entries {
                record::push_entry(first, &entry);
            }
            record::push_hard_state(first, &hard_state);
        })?;
        let tops = VecDeque::from([(wal.current_segment(), hard_state.commit)]);
        Ok(DurableLog {
            wal,
            buffer: ferrod_wal::Batch::new(),
            hard_state,
            tops: Arc::new(Mutex::new(tops)),
            disk,
            segment_bytes: options.segment_bytes,
        })
    }

    /// Opens a log and reads all of it.
    ///
    /// # Errors
    /// [`Error::Wal`] if it is damaged or another's; the others if its records contradict each
    /// other.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        identity: Option<Identity>,
    ) -> Result<(DurableLog, OpenedLog), Error> {
        let (wal, recovery) = Wal::open(disk.clone(), dir, options, identity)?;
        let mut recovered = Recovered::default();
        let mut tops = VecDeque::new();
        for record in recovery.records {
            let segment = record.segment;
            if let Some(index) = record::replay(record, &mut recovered)? {
                raise_top(&mut tops, segment, index);
            }
        }
        let hard_state = recovered.hard_state();
        let log = DurableLog {
            wal,
            buffer: ferrod_wal::Batch::new(),
            hard_state,
            tops: Arc::new(Mutex::new(tops)),
            disk,
            segment_bytes: options.segment_bytes,
        };
        Ok((
            log,
            OpenedLog {
                identity: recovery.identity,
                recovered,
                torn: recovery.torn,
            },
        ))
    }

    /// Moves the making of segment files to a thread, so that writes do not wait for it.
    ///
    /// # Errors
    /// [`Error::Wal`] if the thread cannot be started.
    pub fn with_helper_thread(self) -> Result<DurableLog, Error> {
        Ok(DurableLog {
            wal: self.wal.with_helper_thread()?,
            ..self
        })
    }

    /// Writes batches of a core as one, with one sync if any of them asks for it.
    ///
    /// # Errors
    /// [`Error::Wal`]: nothing may be acknowledged, and nothing written again; unless it says that
    /// there is no space, for then nothing was written and the same batches may be tried later.
    pub fn write(&mut self, batches: &[Batch]) -> Result<WriteStats, Error> {
        let mut hard_state = self.hard_state;
        let mut top = None;
        for batch in batches {
            if let Some(state) = &batch.state {
                record::push_state(&mut self.buffer, state);
                top = top.max(Some(state.index));
            }
            for entry in &batch.entries {
                record::push_entry(&mut self.buffer, entry);
                top = top.max(Some(entry.index));
            }
            if let Some(mut state) = batch.hard_state {
                if ferrod_env::planted("lost vote") {
                    state.vote = MemberId::NONE;
                }
                record::push_hard_state(&mut self.buffer, &state);
                hard_state = state;
            }
        }
        let bytes = self.buffer.bytes();
        // A segment starts with the state before this batch: the one within it may commit its
        // entries.
        let before = self.hard_state;
        let appended = self.wal.append(&mut self.buffer, |first| {
            record::push_hard_state(first, &before);
        });
        self.buffer.clear();
        let segment = appended?;
        self.hard_state = hard_state;
        if let Some(top) = top {
            raise_top(&mut lock(&self.tops), segment, top);
        }
        let synced = batches.iter().any(|batch| batch.sync);
        if synced && !ferrod_env::planted("ack before fsync") {
            self.wal.sync()?;
        }
        Ok(WriteStats { bytes, synced })
    }

    /// Makes damage to the last batch provable. Worth calling when the log falls idle.
    ///
    /// # Errors
    /// As [`DurableLog::write`].
    pub fn sync_idle(&mut self) -> Result<(), Error> {
        self.wal.sync_idle()?;
        Ok(())
    }

    /// Gives up segments that hold nothing at or above `flushed`, the index whose effect the state
    /// machine has made durable. That entry itself is kept: at the next start its term must match
    /// what the state machine says. Segments with entries from `wanted` on are kept for members that
    /// lag, up to `wanted_bytes_max` of them.
    ///
    /// Returns the highest index that can be gone by now.
    ///
    /// # Errors
    /// As [`DurableLog::write`].
    pub fn release(
        &mut self,
        flushed: LogIndex,
        wanted: LogIndex,
        wanted_bytes_max: u64,
    ) -> Result<Option<LogIndex>, Error> {
        let kept_max = wanted_bytes_max / self.segment_bytes.max(1);
        let (mut gone, mut low) = (None, None);
        let mut tops = lock(&self.tops);
        let unneeded = tops.iter().take_while(|(_, top)| *top < flushed).count() as u64;
        let mut over = unneeded.saturating_sub(kept_max);
        while tops.len() > 1 && tops[0].1 < flushed && (tops[0].1 < wanted || over > 0) {
            over = over.saturating_sub(1);
            gone = gone.max(tops.pop_front().map(|(_, top)| top));
            low = Some(tops[0].0);
        }
        drop(tops);
        if let Some(low) = low {
            self.wal.purge(low)?;
        }
        Ok(gone)
    }

    /// Reads what is in the log while it is being written.
    pub(crate) fn reader(&self) -> LogReader {
        let dir = self.wal.dir().to_owned();
        LogReader::new(self.disk.clone(), dir, self.tops.clone())
    }

    /// Whether new entries should be refused because the disk is full; looks again for room if so.
    pub fn is_full(&mut self) -> bool {
        let full = self.wal.space() == Space::Full;
        if full {
            self.wal.retry_space();
        }
        full
    }

    /// Whose log it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.wal.identity()
    }
}

fn lock(tops: &Tops) -> MutexGuard<'_, VecDeque<(SegmentSeq, LogIndex)>> {
    tops.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raise_top(tops: &mut VecDeque<(SegmentSeq, LogIndex)>, segment: SegmentSeq, index: LogIndex) {
    match tops.back_mut() {
        Some((last, top)) if *last == segment => *top = index.max(*top),
        _ => tops.push_back((segment, index)),
    }
}

#[cfg(test)]
mod tests;
