//! The owner's part of a compaction: when it may begin, and how far it has walked the index.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::compaction_hashes::Span;
use crate::index::Index;
use crate::link::ToFlusher;
use crate::meta::Marks;

/// Superseded rows that may wait to be deleted; beyond, the walk pauses.
pub(crate) const DELETES_PENDING_MAX: usize = 2_000_000;

/// Where the compactions are that were accepted and are not through the index yet.
///
/// Only the newest one matters: what an older one would drop, it drops too.
#[derive(Debug, Default)]
pub(crate) struct Compactor {
    scheduled: Option<Scheduled>,
    running: Option<Running>,
    /// The newest compaction, until a view that has it is published.
    new: Option<Span>,
    flushed_batch: u64,
}

#[derive(Debug)]
struct Scheduled {
    revision: i64,
    /// The view that holds its mark. The work begins when this is durable: else a crash could undo the compaction
    /// but not the deletes.
    batch: u64,
}

#[derive(Debug)]
struct Running {
    revision: i64,
    /// Keys below this one are done.
    from: Vec<u8>,
}

impl Compactor {
    /// Takes up a compaction that a restart interrupted.
    pub(crate) fn resume(marks: Marks) -> Self {
        let unfinished = marks.scheduled > marks.finished;
        let scheduled = unfinished.then_some(Scheduled {
            revision: marks.scheduled,
            batch: 0,
        });
        Self {
            scheduled,
            ..Self::default()
        }
    }

    pub(crate) fn schedule(&mut self, span: Span, batch: u64) {
        fail::fail_point!("compactBeforeCommitScheduledCompact");
        let Span { revision, .. } = span;
        self.scheduled = Some(Scheduled { revision, batch });
        self.new = Some(span);
    }

    /// The compaction that came since the last call.
    pub(crate) fn take_new(&mut self) -> Option<Span> {
        self.new.take()
    }

    pub(crate) fn flushed(&mut self, batch: u64) {
        fail::fail_point!("compactAfterCommitScheduledCompact");
        self.flushed_batch = batch;
    }

    pub(crate) fn waits_for_flush(&self) -> bool {
        self.scheduled
            .as_ref()
            .is_some_and(|scheduled| scheduled.batch > self.flushed_batch)
    }

    /// Whether a step would get on.
    pub(crate) fn has_work(&self, pending: &AtomicUsize) -> bool {
        let begun = self.running.is_some();
        let may_begin = self.scheduled.is_some() && !self.waits_for_flush();
        (begun || may_begin) && pending.load(Ordering::Relaxed) < DELETES_PENDING_MAX
    }

    /// Walks on by about `records_max` records; returns what was dropped.
    pub(crate) fn step(
        &mut self,
        index: &mut Index,
        records_max: usize,
        pending: &AtomicUsize,
    ) -> Option<ToFlusher> {
        if self.running.is_none() && !self.waits_for_flush() {
            let begin = |scheduled: Scheduled| Running {
                revision: scheduled.revision,
                from: Vec::new(),
            };
            self.running = self.scheduled.take().map(begin);
        }
        let running = self.running.as_mut()?;
        if pending.load(Ordering::Relaxed) >= DELETES_PENDING_MAX {
            return None;
        }
        let compacted = running.revision;
        let mut keys = Vec::new();
        let next = index.trim(&running.from, compacted, records_max, &mut keys);
        pending.fetch_add(keys.len(), Ordering::Relaxed);
        let last = next.is_none();
        self.running = next.map(|from| Running {
            revision: compacted,
            from,
        });
        (last || !keys.is_empty()).then_some(ToFlusher::Dropped {
            compacted,
            keys,
            last,
        })
    }
}
