//! One member as a script drives it: a store, what it is stored in, and the part of the log that is not flushed.

use std::sync::Arc;

use bytes::Bytes;
use ferrod_lease::Leases;
use ferrod_mvcc::backend::{Backend, Bucket, Memory};
use ferrod_mvcc::{Export, Flusher, HashKv, Import, Options};
use ferrod_proto::etcdserverpb::{InternalRaftRequest, internal_raft_request::Request};
use prost::Message;

use crate::{Applied, Cluster, ConfState, Member, MemberChange, Store};

/// Compactions go in so small steps that they are under way when something else happens.
const OPTIONS: Options = Options {
    overlay_bytes_max: 64 << 20,
    flush_bytes: 12 << 20,
    delete_rows_max: 3,
    trim_records_max: 5,
};

/// What a committed entry holds.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Request(Bytes),
    Change(MemberChange, ConfState),
}

impl Entry {
    pub(super) fn request(request: Request) -> Entry {
        let entry = InternalRaftRequest {
            request: Some(request),
            ..Default::default()
        };
        Entry::Request(entry.encode_to_vec().into())
    }
}

pub(super) struct Session {
    backend: Arc<Memory>,
    pub(super) store: Store,
    flusher: Flusher,
    index: u64,
    /// With what each entry came to.
    unflushed: Vec<(Entry, String)>,
    /// What the last entry came to.
    pub(super) last: Option<Applied>,
}

/// All that entries determine. Two members are equal if this is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) applied: (u64, u64),
    pub(super) revision: i64,
    compacted: i64,
    keys: HashKv,
    pub(super) leases: Leases,
    pub(super) cluster: Cluster,
    conf_state: ConfState,
    rows: Vec<(Bucket, Bytes, Bytes)>,
}

impl Session {
    pub(super) fn new() -> Session {
        let backend = Arc::new(Memory::new());
        let (store, flusher) = Store::open(backend.clone(), OPTIONS).unwrap();
        Session {
            backend,
            store,
            flusher,
            index: 0,
            unflushed: Vec::new(),
            last: None,
        }
    }

    /// Applies an entry as a batch of its own; shows what it came to.
    pub(super) fn apply(&mut self, entry: Entry) -> String {
        let shown = self.apply_again(&entry);
        self.unflushed.push((entry, shown.clone()));
        shown
    }

    fn apply_again(&mut self, entry: &Entry) -> String {
        self.index += 1;
        self.last = None;
        let shown = match entry.clone() {
            Entry::Request(payload) => match self.store.apply_payload(payload) {
                Ok((_, applied)) => format!("{:?}", self.last.insert(applied)),
                Err(error) => format!("{error:?}"),
            },
            Entry::Change(change, conf_state) => {
                self.store.apply_member_change(change, &conf_state).unwrap();
                String::new()
            }
        };
        self.store.publish(self.index, 1);
        shown
    }

    pub(super) fn flush(&mut self) {
        self.flusher.flush().unwrap();
        self.unflushed.clear();
    }

    /// Lets flushes and compactions end.
    pub(super) fn settle(&mut self) {
        loop {
            self.flush();
            if !self.store.keyspace().maintain() && !self.flusher.has_deletes() {
                return;
            }
        }
    }

    /// Starts again from what is durable and applies the rest of the log; returns how many entries that were.
    ///
    /// What comes of an entry, and of all of them, is what came before.
    pub(super) fn crash(&mut self) -> usize {
        let before = self.state();
        self.reopen();
        let log = std::mem::take(&mut self.unflushed);
        self.index -= log.len() as u64;
        let applied = self.store.applied().0;
        assert_eq!(applied, self.index, "the flushed entries are applied");
        for (entry, shown) in &log {
            assert_eq!(self.apply_again(entry), *shown, "{entry:?}");
        }
        assert_eq!(self.state(), before);
        let replayed = log.len();
        self.unflushed = log;
        replayed
    }

    /// Starts again from what is durable.
    pub(super) fn reopen(&mut self) {
        self.backend = Arc::new(self.backend.restarted());
        (self.store, self.flusher) = Store::open(self.backend.clone(), OPTIONS).unwrap();
    }

    /// Gets a copy of the leader's state, as a member does that is too far behind for the log.
    ///
    /// `self` may hold any earlier part of the same log.
    pub(super) fn install_from(&mut self, leader: &mut Session) {
        leader.flush();
        let export = leader.store.keyspace().views().export(1_000_000).unwrap();
        let conf_state = ConfState::in_export(export.head()).unwrap();
        assert_eq!(conf_state, leader.store.conf_state().unwrap());
        let index = export.head().applied_index;
        receive(export, &*self.backend);
        self.store.install(index).unwrap();
        self.index = index;
        self.unflushed.clear();
        assert_eq!(self.state(), leader.state());
    }

    pub(super) fn state(&mut self) -> State {
        let mut reader = self.store.keyspace().views().reader();
        let keys = reader.hash_kv(&reader.view(), 0).unwrap();
        State {
            applied: self.store.applied(),
            revision: self.store.revision(),
            compacted: self.store.keyspace().compacted(),
            keys,
            leases: self.store.leases().read().clone(),
            cluster: Cluster::clone(&self.store.cluster().load()),
            conf_state: self.store.conf_state().unwrap(),
            rows: self.rows(),
        }
    }

    /// The rows of the small buckets, without those that tell how far flushing and compacting have come.
    fn rows(&mut self) -> Vec<(Bucket, Bytes, Bytes)> {
        let buckets = Bucket::ALL.into_iter().filter(|b| *b != Bucket::Key);
        let mut rows = Vec::new();
        for bucket in buckets {
            let found = self.store.keyspace().scan_rows(bucket).unwrap();
            rows.extend(found.into_iter().map(|(key, value)| (bucket, key, value)));
        }
        let progress: [&[u8]; 3] = [b"consistent_index", b"term", b"finishedCompactRev"];
        rows.retain(|(bucket, key, _)| *bucket != Bucket::Meta || !progress.contains(&&key[..]));
        rows
    }

    /// Judges a change of membership and applies it if it may take effect, as the node does.
    pub(super) fn change_members(&mut self, change: MemberChange) -> String {
        if let Err(error) = self.store.judge_member_change(&change) {
            return format!("error: {}", error.text());
        }
        let conf_state = self.conf_after(&change);
        self.apply(Entry::Change(change, conf_state));
        "ok".into()
    }

    /// What raft makes of a change that takes effect.
    pub(super) fn conf_after(&self, change: &MemberChange) -> ConfState {
        let mut members = self.store.cluster().load().members.present.clone();
        match change {
            MemberChange::Add(member) | MemberChange::AddLearner(member, _) => {
                drop(members.insert(member.id, member.clone()));
            }
            MemberChange::Promote(id) => {
                members.entry(*id).and_modify(|m| m.is_learner = false);
            }
            MemberChange::Remove(id) => drop(members.remove(id)),
            MemberChange::Update(_) => {}
        }
        let ids = |learner: bool| -> Vec<u64> {
            let of_kind = |m: &&Member| m.is_learner == learner;
            members.values().filter(of_kind).map(|m| m.id).collect()
        };
        ConfState::new(ids(false), ids(true))
    }
}

fn receive(mut export: Export, backend: &dyn Backend) {
    let head = export.head().clone();
    let mut import = Import::begin(backend, head.applied_index, head.applied_term).unwrap();
    for (bucket, key, value) in head.small_rows {
        import.add(bucket, key, value).unwrap();
    }
    let mut visit = |key: &[u8], value: &[u8]| {
        let [key, value] = [key, value].map(Bytes::copy_from_slice);
        import.add(Bucket::Key, key, value).unwrap();
    };
    while export.step(1 << 20, &mut visit).unwrap() {}
    import.finish().unwrap();
}
