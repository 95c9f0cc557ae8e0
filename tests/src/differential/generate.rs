//! The random client: a seed and what was learned from answers give the next operation.

mod range;
mod txn;

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use ferrod_proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest,
    WatchCreateRequest,
};

use super::answer::Answer;
use super::differences;
use super::op::Op;
use super::pair::{Pair, STREAMS};

/// A member that does not exist: its alarms count all the same.
const ALARMED: u64 = 123;
/// Watchers that are open at the same time.
const WATCHERS_MAX: usize = 14;
/// A lease that outlives the run.
const LONG_TTL: i64 = 7_200;

/// Chooses operations.
#[derive(Debug)]
pub(crate) struct Generator {
    rng: fastrand::Rng,
    keys: Vec<Bytes>,
    leases: Vec<i64>,
    next_lease: i64,
    revision: i64,
    compacted: i64,
    /// Operations that must follow each other.
    queue: VecDeque<Op>,
    /// Revisions that removed and wrote in one transaction. Upstream loses a key that was removed and written again at
    /// the revision of a compaction, and stops at the next read of it.
    mixed: BTreeSet<i64>,
    expiries: usize,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut keys: Vec<Bytes> = vec!["\0".into(), "\0\0".into()];
        keys.extend((0..12).map(|n| Bytes::from(format!("k{n:02}"))));
        keys.extend((0..12).map(|n| Bytes::from(format!("k{n:02}/x"))));
        keys.extend([Bytes::from(&b"\xff"[..]), Bytes::from(&b"\xff\xff\x01"[..])]);
        // Longer than what some storage engines take as a key.
        keys.extend([300, 600, 5_000].map(|len| Bytes::from("long".repeat(len / 4))));
        for _ in 0..6 {
            let len = rng.usize(1..12);
            keys.push((0..len).map(|_| rng.u8(..)).collect());
        }
        Self {
            rng,
            keys,
            leases: Vec::new(),
            next_lease: 1_000,
            revision: 1,
            compacted: -1,
            queue: VecDeque::new(),
            mixed: BTreeSet::new(),
            expiries: 0,
        }
    }

    /// Takes note of what an operation did.
    pub(crate) fn learn(&mut self, op: &Op, answer: &Answer) {
        let before = self.revision;
        self.revision = self.revision.max(answer.revision().unwrap_or(0));
        match (op, answer) {
            (Op::Compact(request), Answer::Compact(_)) => self.compacted = request.revision,
            (Op::Grant(request), Answer::Grant(_)) if request.ttl >= LONG_TTL => {
                self.leases.push(request.id);
            }
            (Op::Revoke(id), Answer::Revoke(_)) => self.leases.retain(|lease| lease != id),
            (Op::Txn(txn), Answer::Txn(_)) if txn::deletes(txn) && self.revision > before => {
                self.mixed.insert(self.revision);
            }
            _ => {}
        }
    }

    /// The next operation.
    pub(crate) fn next(&mut self, pair: &Pair) -> Op {
        if let Some(op) = self.queue.pop_front() {
            return op;
        }
        match self.rng.u32(0..1000) {
            0..260 => Op::Put(self.put()),
            260..480 => Op::Range(self.range()),
            480..500 => Op::RangeStream(self.range_stream()),
            500..680 => Op::Txn(differences::isolate_fatal(self.txn())),
            680..750 => Op::Delete(self.delete()),
            750..770 => Op::Compact(self.compact()),
            770..797 => Op::Grant(self.grant()),
            797..800 => self.negative_lease(),
            800..815 => self.revoke(),
            815..835 => Op::KeepAlive(self.lease()),
            835..855 => Op::TimeToLive {
                lease: self.lease(),
                keys: self.rng.bool(),
            },
            855..862 => Op::Leases,
            862..890 => Op::HashKv(self.past_revision()),
            890..925 => self.watch(pair),
            925..940 => self.unwatch(pair),
            940..948 => Op::Progress {
                stream: self.rng.usize(1..STREAMS),
            },
            948..955 => Op::Status,
            955..960 => Op::Members {
                linearizable: self.rng.bool(),
            },
            960..965 => self.alarm(),
            965..967 => Op::Defragment,
            967..970 => Op::Health(self.pick(&["", "etcd", "KV"]).to_owned()),
            970..975 => Op::GrantAny(self.pick(&[LONG_TTL, 0, -1])),
            975..978 => self.expiry(),
            978..980 => Op::Restart {
                kill: self.rng.bool(),
            },
            980..990 => self.oversize(),
            _ => self.raw(),
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(0..from.len())]
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    /// A key; now and then none at all.
    fn key(&mut self) -> Bytes {
        if self.one_in(60) {
            return Bytes::new();
        }
        // A few keys are busy, so that they have long histories.
        let among = if self.rng.bool() { 6 } else { self.keys.len() };
        self.keys[self.rng.usize(0..among)].clone()
    }

    /// The end of a range from `key` on: often none, sometimes before its beginning.
    fn range_end(&mut self, key: &[u8]) -> Bytes {
        match self.rng.u32(0..8) {
            0..3 => Bytes::new(),
            3 => "\0".into(),
            4 => "l".into(),
            5 => {
                let mut end = key.to_vec();
                match end.last_mut() {
                    Some(last) if *last < 255 => *last += 1,
                    _ => end = vec![0],
                }
                end.into()
            }
            _ => self.keys[self.rng.usize(0..self.keys.len())].clone(),
        }
    }

    fn value(&mut self) -> Bytes {
        let len = match self.rng.u32(0..100) {
            0..10 => 0,
            10..97 => self.rng.usize(1..40),
            97..99 => self.rng.usize(2_000..6_000),
            _ => self.rng.usize(20_000..100_000),
        };
        let byte = self.rng.alphanumeric() as u8;
        vec![byte; len].into()
    }

    fn put(&mut self) -> PutRequest {
        let mut put = PutRequest {
            key: self.key(),
            value: self.value(),
            prev_kv: self.one_in(3),
            ..Default::default()
        };
        if self.one_in(5) {
            put.lease = self.lease();
        }
        if self.one_in(8) {
            put.ignore_value = true;
            if !self.one_in(6) {
                put.value = Bytes::new();
            }
        }
        if self.one_in(8) {
            put.ignore_lease = true;
            if !self.one_in(6) {
                put.lease = 0;
            }
        }
        put
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let key = self.key();
        // Rarely everything, or nothing would grow old.
        let range_end = if self.one_in(3) {
            self.range_end(&key)
        } else {
            Bytes::new()
        };
        DeleteRangeRequest {
            range_end,
            key,
            prev_kv: self.rng.bool(),
        }
    }

    fn compact(&mut self) -> CompactionRequest {
        let mut revision = match self.rng.u32(0..10) {
            0 => self.pick(&[-1, 0, self.compacted, self.revision + 5]),
            1 => self.revision,
            _ => self.rng.i64(self.compacted.max(0)..=self.revision),
        };
        while self.mixed.contains(&revision) {
            revision -= 1;
        }
        CompactionRequest {
            revision,
            physical: self.one_in(3),
        }
    }

    /// A revision to read at: mostly the latest, else any, readable or not.
    fn past_revision(&mut self) -> i64 {
        match self.rng.u32(0..10) {
            0..5 => 0,
            5 => self.pick(&[
                -1,
                self.revision + 3,
                self.compacted,
                self.compacted - 1,
                self.revision,
            ]),
            _ => self.rng.i64(self.compacted.max(0)..=self.revision),
        }
    }

    fn lease(&mut self) -> i64 {
        match self.leases.len() {
            0 => 77,
            _ if self.one_in(12) => 77,
            len => self.leases[self.rng.usize(0..len)],
        }
    }

    fn grant(&mut self) -> LeaseGrantRequest {
        self.next_lease += 1;
        let id = if self.one_in(8) {
            self.lease()
        } else {
            self.next_lease
        };
        let ttl = self.pick(&[LONG_TTL, LONG_TTL, 100_000, 9_000_000_000, 9_000_000_001]);
        LeaseGrantRequest { ttl, id }
    }

    /// The short life of a lease with a negative ID: upstream forgets it in a restart, and stops at the next write of
    /// a key that it holds.
    fn negative_lease(&mut self) -> Op {
        self.next_lease += 1;
        let id = -self.next_lease;
        let put = PutRequest {
            key: "k05".into(),
            lease: id,
            ..Default::default()
        };
        self.queue.extend([
            Op::Put(put),
            Op::KeepAlive(id),
            Op::TimeToLive {
                lease: id,
                keys: true,
            },
            Op::Revoke(id),
        ]);
        Op::Grant(LeaseGrantRequest { ttl: LONG_TTL, id })
    }

    fn revoke(&mut self) -> Op {
        Op::Revoke(self.lease())
    }

    fn watch(&mut self, pair: &Pair) -> Op {
        let open = pair.watchers.iter().filter(|w| !w.ended).count();
        if open >= WATCHERS_MAX {
            return self.unwatch(pair);
        }
        let key = self.key();
        let create = WatchCreateRequest {
            range_end: if self.one_in(3) {
                Bytes::new()
            } else {
                self.range_end(&key)
            },
            key,
            start_revision: match self.rng.u32(0..10) {
                0..4 => 0,
                4 => self.revision + self.rng.i64(1..20),
                5 => self.pick(&[-1, 1, self.compacted.max(1), (self.compacted - 1).max(1)]),
                _ => self.rng.i64(self.compacted.max(1)..=self.revision),
            },
            progress_notify: self.one_in(4),
            filters: self
                .pick(&[&[][..], &[], &[], &[0], &[1], &[0, 1], &[1, 1, 9]])
                .to_vec(),
            prev_kv: self.rng.bool(),
            watch_id: if self.one_in(4) {
                self.rng.i64(1..30)
            } else {
                0
            },
            fragment: self.one_in(4),
        };
        Op::Watch {
            stream: self.rng.usize(1..STREAMS),
            create,
        }
    }

    fn unwatch(&mut self, pair: &Pair) -> Op {
        let open: Vec<_> = pair.watchers.iter().filter(|w| !w.ended).collect();
        if open.is_empty() || self.one_in(8) {
            return Op::Unwatch {
                stream: self.rng.usize(1..STREAMS),
                id: 999,
            };
        }
        let watcher = open[self.rng.usize(0..open.len())];
        Op::Unwatch {
            stream: watcher.stream,
            id: watcher.id,
        }
    }

    /// Raises an alarm, or looks at the raised ones; a raised one is taken back a few operations later.
    fn alarm(&mut self) -> Op {
        let kind = self.rng.i32(0..3);
        let request = |action, alarm| AlarmRequest {
            action,
            member_id: ALARMED,
            alarm,
        };
        if self.one_in(3) {
            return Op::Alarm(request(0, kind));
        }
        let (lease, range, txn) = (self.lease(), self.range(), self.flat_txn());
        self.queue.extend([
            Op::Alarm(request(0, 0)),
            Op::Alarm(request(1, kind)),
            Op::Status,
            Op::Put(PutRequest {
                key: "k00".into(),
                ..Default::default()
            }),
            Op::Put(PutRequest::default()),
            Op::Grant(LeaseGrantRequest {
                ttl: LONG_TTL,
                id: self.next_lease + 1_000_000,
            }),
            Op::KeepAlive(lease),
            Op::Revoke(lease),
            Op::Range(range),
            Op::Txn(differences::isolate_fatal(txn)),
            Op::Delete(DeleteRangeRequest {
                key: "k01".into(),
                ..Default::default()
            }),
            Op::Compact(CompactionRequest {
                revision: -1,
                physical: false,
            }),
            Op::Alarm(request(2, 0)),
            Op::Alarm(request(2, kind)),
            Op::Alarm(request(2, kind)),
            Op::Alarm(request(0, 0)),
        ]);
        Op::Alarm(request(1, kind))
    }

    /// Keys that go when their lease runs out. It takes seconds, so only a few times in a run.
    fn expiry(&mut self) -> Op {
        if self.expiries >= 2 {
            return Op::Leases;
        }
        self.expiries += 1;
        self.next_lease += 1;
        let (id, ttl) = (self.next_lease, self.pick(&[-3, 0, 1, 2]));
        for key in ["k03", "k02", "expiring"] {
            let put = PutRequest {
                key: key.into(),
                lease: id,
                ..Default::default()
            };
            self.queue.push_back(Op::Put(put));
        }
        self.queue.push_back(Op::Expire(id));
        self.queue.push_back(Op::KeepAlive(id));
        Op::Grant(LeaseGrantRequest { ttl, id })
    }

    /// Requests around the limits of a request and of a message.
    fn oversize(&mut self) -> Op {
        let limit = self.pick(&[1_572_864, 2_097_152]);
        let len = limit + self.pick(&[-600_000, -200, 0, 100]);
        let put = PutRequest {
            key: "big".into(),
            value: vec![b'v'; len as usize].into(),
            ..Default::default()
        };
        Op::Put(put)
    }

    fn raw(&mut self) -> Op {
        let path = self.pick(&[
            "/etcdserverpb.KV/Put",
            "/etcdserverpb.KV/Range",
            "/etcdserverpb.Lease/LeaseGrant",
            "/etcdserverpb.KV/Nothing",
            "/nowhere.Service/Method",
        ]);
        // A field of length 127 that is not there: no message has it.
        Op::Raw {
            path,
            body: vec![0x0a, 0x7f, 0x01],
        }
    }
}
