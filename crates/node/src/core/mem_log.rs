//! The log where raft-rs reads it: its tail in memory, and by index and term what is on disk only.
//!
//! Entries get here before raft-rs is told that they are handed out, and leave memory from the
//! front once they are applied and over the byte budget. What a slow peer needs from before that is
//! read from the disk elsewhere: raft-rs hears that it is not there yet, and asks again when it is.

use std::cell::RefCell;

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Result, StorageError};

use super::chunks::Chunks;
use super::fetches::Fetches;
use super::terms::Terms;
use super::transfers::Transfers;
use crate::{MemberId, StateMeta};

/// Bookkeeping that an entry costs besides its payload.
const ENTRY_OVERHEAD_BYTES: u64 = 128;

/// The log.
pub(super) struct MemLog {
    /// Contiguous; the first one follows `before`.
    entries: Chunks<Entry>,
    /// Index of the entry before the first one in memory.
    before: u64,
    /// The highest index that may be gone from the disk.
    released: u64,
    /// Terms from the entry before the first one that can be had at all, in memory or on disk, to
    /// the last.
    terms: Terms,
    /// Cost of all `entries`.
    bytes: u64,
    /// What raft-rs starts with; not kept up to date.
    start: RaftState,
    /// What is being read from the disk, or was.
    pub(super) fetches: RefCell<Fetches>,
    /// Copies of the state for members that need what nobody has any more.
    pub(super) transfers: Transfers,
    /// Members that raft-rs found to need one.
    starving: RefCell<Vec<MemberId>>,
}

impl MemLog {
    /// `entries` must be contiguous and follow `before`; recovery has checked that.
    pub(super) fn new(before: (u64, u64), entries: Vec<Entry>, start: RaftState) -> MemLog {
        let bytes = entries.iter().map(cost).sum();
        let mut terms = Terms::new(before);
        entries
            .iter()
            .for_each(|entry| terms.push(entry.index, entry.term));
        MemLog {
            entries: entries.into_iter().collect(),
            before: before.0,
            released: before.0,
            terms,
            bytes,
            start,
            fetches: RefCell::default(),
            transfers: Transfers::default(),
            starving: RefCell::default(),
        }
    }

    /// Adds entries, dropping those they replace.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(
            first.index > self.before && first.index <= self.last() + 1,
            "entries leave no gap"
        );
        while self.last() >= first.index {
            let dropped = self.entries.pop_back().expect("last() is above `before`");
            self.bytes -= cost(&dropped);
        }
        for entry in entries {
            self.bytes += cost(entry);
            self.terms.push(entry.index, entry.term);
            self.entries.push_back(entry.clone());
        }
    }

    /// Starts over behind a copy of the state.
    pub(super) fn restore(&mut self, state: &StateMeta) {
        self.entries = Chunks::default();
        self.bytes = 0;
        self.before = state.index.0;
        self.released = state.index.0;
        self.fetches.get_mut().clear();
        self.terms = Terms::new((state.index.0, state.term.0));
    }

    /// Forgets entries from the front while they are applied and all together cost more than
    /// `bytes_max`.
    pub(super) fn trim(&mut self, applied: u64, bytes_max: u64) {
        while self.bytes > bytes_max && self.before < applied {
            let Some(entry) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= cost(&entry);
            self.before = entry.index;
        }
        self.forget_terms();
    }

    /// Entries up to `index` may be gone from the disk.
    pub(super) fn released(&mut self, index: u64) {
        self.released = self.released.max(index);
        self.forget_terms();
    }

    /// What is neither in memory nor on disk cannot be had any more.
    fn forget_terms(&mut self) {
        self.terms.forget_below(self.before.min(self.released));
    }

    /// Takes what was read from the disk; without anything, that entry and all before are gone.
    /// Returns who asked.
    pub(super) fn fetched(&mut self, low: u64, entries: Vec<Entry>) -> Vec<GetEntriesContext> {
        let known = |entry: &Entry| self.terms.at(entry.index) == Some(entry.term);
        let is_gone = low > self.released && (entries.is_empty() || !entries.iter().all(known));
        let askers = self.fetches.get_mut().fetched(low, entries);
        if is_gone {
            self.released(low.min(self.before));
        }
        askers
    }

    /// What is to be read from the disk since the last call.
    pub(super) fn take_fetches(&mut self) -> Vec<(u64, u64)> {
        self.fetches.get_mut().take_new()
    }

    /// The terms of the entries in `[low, high)`, as runs.
    pub(super) fn term_runs(&self, low: u64, high: u64) -> Vec<(u64, u64)> {
        self.terms.runs(low, high)
    }

    /// First index that is in memory.
    pub(super) fn first_in_memory(&self) -> u64 {
        self.before + 1
    }

    /// Forgets the first entry, which makes its term the one known before the log.
    pub(super) fn forget_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= cost(&entry);
            self.before = entry.index;
            self.released = entry.index;
            self.forget_terms();
        }
    }

    /// Copies every payload: as recovered they are slices of whole segments, which would stay in
    /// memory with them.
    pub(super) fn own_payloads(&mut self) {
        for entry in self.entries.iter_mut() {
            entry.data = Bytes::copy_from_slice(&entry.data);
        }
    }

    /// Cost of all entries here.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a member that is sent a copy up to this index finds everything after it here.
    pub(super) fn follows(&self, state: &StateMeta) -> bool {
        let term = self.terms.at(state.index.0);
        state.index.0 <= self.last() && term == Some(state.term.0)
    }

    /// Members that raft-rs found to need a copy of the state since the last call.
    pub(super) fn take_starving(&mut self) -> Vec<MemberId> {
        std::mem::take(self.starving.get_mut())
    }

    fn last(&self) -> u64 {
        self.entries.back().map_or(self.before, |entry| entry.index)
    }

    fn position(&self, index: u64) -> usize {
        usize::try_from(index - self.before - 1).expect("entries are in memory")
    }
}

/// The first entries up to a cost of `bytes_max`, at least one.
pub(super) fn limited<'a>(entries: impl Iterator<Item = &'a Entry>, bytes_max: u64) -> Vec<Entry> {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        let first = bytes == 0;
        bytes += cost(entry);
        first || bytes <= bytes_max
    };
    entries.take_while(fits).cloned().collect()
}

fn cost(entry: &Entry) -> u64 {
    entry.data.len() as u64 + ENTRY_OVERHEAD_BYTES
}

impl raft::Storage for MemLog {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(self.start.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        if low <= self.terms.first() {
            return Err(StorageError::Compacted.into());
        }
        if low <= self.before {
            let high = high.min(self.before + 1);
            let mut fetches = self.fetches.borrow_mut();
            return fetches.get(low, high, bytes_max, context);
        }
        if high > self.last() + 1 {
            return Err(StorageError::Unavailable.into());
        }
        let positions = self.position(low)..self.position(high);
        let in_memory = |position| self.entries.get(position).expect("entries are in memory");
        let wanted = positions.map(in_memory);
        Ok(limited(wanted, bytes_max))
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index > self.last() {
            return Err(StorageError::Unavailable.into());
        }
        self.terms
            .at(index)
            .ok_or_else(|| StorageError::Compacted.into())
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.terms.first() + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    /// The copy that is ready for `to`; its data travels beside the message. Without one raft-rs
    /// asks again at the peer's next heartbeat.
    fn snapshot(&self, request_index: u64, to: u64) -> Result<Snapshot> {
        let offer = self.transfers.offer(MemberId(to));
        match offer.filter(|state| state.index.0 >= request_index && self.follows(state)) {
            Some(state) => Ok(super::convert::raft_snapshot(state)),
            None => {
                self.starving.borrow_mut().push(MemberId(to));
                Err(StorageError::SnapshotTemporarilyUnavailable.into())
            }
        }
    }
}

/// The state that raft-rs starts with.
pub(super) fn start_state(hard_state: HardState, conf_state: ConfState) -> RaftState {
    RaftState::new(hard_state, conf_state)
}

#[cfg(test)]
mod tests {
    use raft::Storage as _;

    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry {
            index,
            term,
            data: vec![0; 72].into(),
            ..Entry::default()
        }
    }

    fn log(before: (u64, u64), count: u64) -> MemLog {
        let entries = (1..=count).map(|n| entry(before.0 + n, 3)).collect();
        MemLog::new(before, entries, RaftState::default())
    }

    fn indexes(log: &MemLog, low: u64, high: u64, max: u64) -> Vec<u64> {
        let entries = log
            .entries(low, high, max, GetEntriesContext::empty(false))
            .unwrap();
        entries.iter().map(|entry| entry.index).collect()
    }

    #[test]
    fn returns_at_least_one_entry() {
        let log = log((4, 2), 5);
        assert_eq!(indexes(&log, 5, 10, 0), [5]);
        assert_eq!(indexes(&log, 6, 9, 450), [6, 7]);
        assert_eq!(indexes(&log, 6, 9, u64::MAX), [6, 7, 8]);
        assert!(
            log.entries(4, 6, None, GetEntriesContext::empty(false))
                .is_err()
        );
    }

    #[test]
    fn replaces_the_tail() {
        let mut log = log((4, 2), 5);
        log.append(&[entry(7, 4)]);
        assert_eq!(log.last_index().unwrap(), 7);
        assert_eq!(log.term(6).unwrap(), 3);
        assert_eq!(log.term(7).unwrap(), 4);
        assert_eq!(log.bytes(), 3 * 200);
    }

    #[test]
    fn keeps_what_is_not_applied() {
        let mut log = log((0, 0), 5);
        log.trim(3, 0);
        assert_eq!(log.first_in_memory(), 4);
        log.trim(5, 200);
        assert_eq!(log.first_in_memory(), 5);
        log.trim(5, 0);
        assert_eq!(
            (
                log.first_in_memory(),
                log.last_index().unwrap(),
                log.bytes()
            ),
            (6, 5, 0)
        );
    }

    #[test]
    fn what_is_on_disk_can_be_had_until_it_is_released() {
        let mut log = log((0, 0), 5);
        log.trim(3, 0);
        assert_eq!((log.first_index().unwrap(), log.term(2).unwrap()), (1, 3));
        log.released(2);
        assert_eq!((log.first_index().unwrap(), log.term(2).unwrap()), (3, 3));
        assert!(log.term(1).is_err());
        // What is in memory does not depend on the disk.
        log.released(5);
        assert_eq!((log.first_index().unwrap(), log.first_in_memory()), (4, 4));
        assert_eq!(indexes(&log, 4, 6, u64::MAX), [4, 5]);
    }
}
