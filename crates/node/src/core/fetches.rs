//! Entries on disk that members which lag need: what is being read, and what was.
//!
//! raft-rs asks, hears that the entries are not there yet, and is told when they are; then it asks
//! again, and finds them here.

use std::collections::{BTreeMap, VecDeque};

use raft::eraftpb::Entry;
use raft::{GetEntriesContext, Result, StorageError};

use super::mem_log::limited;

/// How many chunks are kept, for as many members.
const CHUNKS_MAX: usize = 8;
/// How many questions wait for one chunk; a member whose question is dropped asks again.
const ASKERS_MAX: usize = 16;

/// What is being read, and what was.
#[derive(Default)]
pub(super) struct Fetches {
    /// Who waits, by the first index wanted.
    waiting: BTreeMap<u64, Vec<GetEntriesContext>>,
    /// Ranges to be read that nobody knows of yet.
    new: Vec<(u64, u64)>,
    /// Contiguous entries each; the latest come last.
    chunks: VecDeque<Chunk>,
}

struct Chunk {
    entries: Vec<Entry>,
    /// Since the last [`Fetches::tick`].
    used: bool,
}

impl Fetches {
    /// Returns entries from `low` on, or asks for them to be read.
    pub(super) fn get(
        &mut self,
        low: u64,
        high: u64,
        bytes_max: u64,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        for chunk in self.chunks.iter_mut().rev() {
            let first = chunk.entries.first().map_or(u64::MAX, |entry| entry.index);
            let skipped = low.checked_sub(first).and_then(|n| usize::try_from(n).ok());
            let Some(rest) = skipped.and_then(|skipped| chunk.entries.get(skipped..)) else {
                continue;
            };
            if !rest.is_empty() {
                chunk.used = true;
                let wanted = rest.iter().take_while(|entry| entry.index < high);
                return Ok(limited(wanted, bytes_max));
            }
        }
        if !context.can_async() {
            return Err(StorageError::Compacted.into());
        }
        let askers = self.waiting.entry(low).or_default();
        if askers.is_empty() {
            self.new.push((low, high));
        }
        if askers.len() < ASKERS_MAX {
            askers.push(context);
        }
        Err(StorageError::LogTemporarilyUnavailable.into())
    }

    /// Ranges to be read since the last call.
    pub(super) fn take_new(&mut self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.new)
    }

    /// Takes what was read; returns who asked.
    pub(super) fn fetched(&mut self, low: u64, entries: Vec<Entry>) -> Vec<GetEntriesContext> {
        let Some(askers) = self.waiting.remove(&low) else {
            return Vec::new();
        };
        if !entries.is_empty() {
            if self.chunks.len() == CHUNKS_MAX {
                self.chunks.pop_front();
            }
            self.chunks.push_back(Chunk {
                entries,
                used: true,
            });
        }
        askers
    }

    /// Forgets chunks that nobody has used since the last call.
    pub(super) fn tick(&mut self) {
        self.chunks
            .retain_mut(|chunk| std::mem::take(&mut chunk.used));
    }

    /// Forgets all that was read: the log has started over.
    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.waiting.clear();
        self.new.clear();
    }
}
