//! What is true of the whole cluster for ever, once one member has shown it; looked at after every step.

mod promises;

use std::collections::BTreeMap;

use ferrod_mvcc::HashKv;
use ferrod_node::{PeerBody, PeerMessage, Role, SoftState, Term};
use ferrod_proto::mvccpb::KeyValue;
use prost::Message;

use self::promises::Promises;
use super::machine::{AppliedEntry, State, hash};
use crate::check::{Change, Timeline, Violation};

/// What a hash was made of. The two differ where nothing is alive: there etcd's hash of a state counts what the last compaction
/// has kept, and that of a compaction does not. So one is never compared with the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hashed {
    State,
    Compaction,
}

/// What all members agree on, as far as it has shown.
///
/// covers: C-02, C-03, C-08
#[derive(Default)]
pub(super) struct Truth {
    /// Who led which term.
    leaders: BTreeMap<u64, u64>,
    promises: Promises,
    /// What each committed index holds, and what it did.
    committed: Vec<AppliedEntry>,
    /// Payloads of all entries that were ever sent, by index and term.
    entries: BTreeMap<(u64, u64), u64>,
    /// The state after an index.
    states: BTreeMap<u64, State>,
    /// What every member holds, by the kind of the hash, its revision and the compaction that it knows of.
    hashes: BTreeMap<(Hashed, i64, i64), u32>,
    /// Which index carried which request.
    requests: BTreeMap<u64, u64>,
    pub(super) timeline: Timeline,
}

impl Truth {
    /// The highest index that some member has applied.
    pub(super) fn committed(&self) -> u64 {
        self.committed.len() as u64
    }

    /// Terms that had a leader.
    pub(super) fn elections(&self) -> usize {
        self.leaders.len()
    }

    /// One leader per term.
    pub(super) fn role(&mut self, host: u64, state: &SoftState) -> Result<(), Violation> {
        if state.role != Role::Leader {
            return Ok(());
        }
        let leader = *self.leaders.entry(state.term.0).or_insert(host);
        if leader == host {
            return Ok(());
        }
        let text = format!("{leader} and {host} lead term {}", state.term);
        Err(Violation::new("election safety", text))
    }

    /// What a member has promised is not forgotten by its next process.
    pub(super) fn started(&self, host: u64, term: Term, vote: u64) -> Result<(), Violation> {
        self.promises.started(host, term.0, vote)
    }

    /// Equal index and term, equal entry; and promises are kept, also by a member that may have forgotten some.
    pub(super) fn sent(&mut self, message: &PeerMessage, suspect: bool) -> Result<(), Violation> {
        self.promises.sent(message, suspect)?;
        let PeerBody::Append { entries, .. } = &message.body else {
            return Ok(());
        };
        for entry in entries {
            let at = (entry.index.0, entry.term.0);
            let payload = hash(&entry.payload);
            if *self.entries.entry(at).or_insert(payload) != payload {
                let text = format!("two entries at {at:?}, one in {message:?}");
                return Err(Violation::new("log matching", text));
            }
        }
        Ok(())
    }

    /// What is committed never changes, and does the same everywhere; each request once.
    pub(super) fn applied(&mut self, host: u64, entry: AppliedEntry) -> Result<(), Violation> {
        let at = entry.index as usize;
        if let Some(known) = self.committed.get(at - 1) {
            if (known.term, known.payload) != (entry.term, entry.payload) {
                let text = format!("{host} applies {entry:?}, but {known:?} was committed");
                return Err(Violation::new("P-M-04", text));
            }
            if *known != entry {
                let text = format!("on {host} {entry:?} did something else than {known:?}");
                return Err(Violation::new("P-KV-09", text));
            }
            return Ok(());
        }
        if at != self.committed.len() + 1 {
            let text = format!("{host} applies {entry:?} after {}", self.committed.len());
            return Err(Violation::new("P-KV-09", text));
        }
        self.committed.push(entry);
        if entry.request != 0
            && let Some(before) = self.requests.insert(entry.request, entry.index)
        {
            let text = format!("request {:x} is at {before} and {at}", entry.request);
            return Err(Violation::new("P-KV-08 (C-08)", text));
        }
        Ok(())
    }

    /// Which index carried a request.
    pub(super) fn index_of(&self, request: u64) -> Option<u64> {
        self.requests.get(&request).copied()
    }

    /// Equal state at equal index.
    pub(super) fn state(&mut self, host: u64, state: State) -> Result<(), Violation> {
        let known = self.states.entry(state.index).or_insert(state);
        known.digest = known.digest.or(state.digest);
        let same = (known.revision, known.compacted) == (state.revision, state.compacted)
            && (state.digest.is_none() || known.digest == state.digest);
        if same {
            let hash = state.hash;
            return hash.map_or(Ok(()), |hash| self.hash(host, Hashed::State, hash));
        }
        let text = format!("{host} is at {state:?}, another was at {known:?}");
        Err(Violation::new("P-KV-09", text))
    }

    /// Equal hash of equal history, or a comparison of members would raise an alarm.
    pub(super) fn hash(
        &mut self,
        host: u64,
        hashed: Hashed,
        hash: HashKv,
    ) -> Result<(), Violation> {
        let at = (hashed, hash.hash_revision, hash.compact_revision);
        let known = *self.hashes.entry(at).or_insert(hash.hash);
        if known == hash.hash {
            return Ok(());
        }
        let text = format!("{host} has {hash:?}, another had {known}");
        Err(Violation::new("D-23", text))
    }

    /// A revision, as the first member that applied it tells.
    pub(super) fn changes(&mut self, changes: &ferrod_mvcc::Changes) -> Result<(), Violation> {
        if changes.revision <= self.timeline.last() {
            return Ok(());
        }
        let list = changes.list.iter().map(|change| Change {
            key: change.key(),
            row: match change.kind {
                ferrod_mvcc::ChangeKind::Delete => None,
                ferrod_mvcc::ChangeKind::Put => {
                    Some(KeyValue::decode(change.row.clone()).expect("a row is a key-value"))
                }
            },
        });
        self.timeline.push(changes.revision, list.collect())
    }
}
