//! A running member: production node, log, store and watch hub, moved step by step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ferrod_env::{Clock, Disk};
use ferrod_mvcc::backend::{Backend, Bucket, Memory};
use ferrod_mvcc::{CompactionHasher, Export, Flusher, Reader, Views};
use ferrod_node::{
    ConfState, Config, DurableLog, Executor, LogIndex, MemberId, Pace, Parts, StartingPoint,
    StateMeta, Term,
};
use ferrod_store::{ClusterView, Store};
use ferrod_wal::Identity;

use super::host::{CLUSTER, Host};
use super::lessor::{Clearing, Lessor};
use super::machine::{Machine, Notes, State, Wire};
use super::plan::Plan;
use super::watching::Watching;

/// Length of raft's tick.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Ticks of the shortest election timeout.
pub(super) const ELECTION_TICKS: u32 = 10;

/// A running member.
pub(super) struct Process {
    pub(super) executor: Executor<Machine, Wire>,
    pub(super) notes: Notes,
    pub(super) views: Views,
    pub(super) reader: Reader,
    pub(super) flusher: Flusher,
    pub(super) hasher: CompactionHasher,
    pub(super) watching: Watching,
    pub(super) lessor: Lessor,
    pub(super) cluster: ClusterView,
    /// Requests that wait for their entry: which call they answer.
    pub(super) waiters: BTreeMap<u64, Waiter>,
    /// Reads that know how far they must see, and wait for it.
    pub(super) reads: Vec<(LogIndex, u64)>,
    /// Requests are numbered: member, boot, count.
    next_request: u64,
    /// When the node's next step is due, by the world's clock.
    pub(super) node_at: Option<Duration>,
    pub(super) writer_due: bool,
    pub(super) applier_due: bool,
    pub(super) flushed_at: Duration,
    /// Copies of the state that were offered to members.
    pub(super) exports: BTreeMap<u64, Export>,
    /// The state that it began with.
    pub(super) began: State,
    /// Whom it remembers to have voted for in its term; 0 is nobody.
    pub(super) vote: u64,
    /// Index and term of the highest entry applied.
    pub(super) applied: u64,
}

/// Who waits for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiter {
    /// A client's call.
    Call(u64),
    /// A call that renews a lease for so many seconds, once what was recorded of it is cleared.
    Renewal(u64, i64, Clearing),
    /// Nobody: the member itself asked.
    Nobody,
}

impl Process {
    /// Starts a member from what is on its host.
    ///
    /// # Errors
    /// Why it refuses to start.
    pub(super) fn boot(host: &Host, plan: &Plan) -> Result<Process, String> {
        let disk: Arc<dyn Disk> = host.disk.clone();
        let identity = Identity {
            cluster: CLUSTER,
            member: host.id,
        };
        let options = wal_options(plan);
        host.begin_again(options).map_err(|error| chain(&error))?;
        let (log, opened) = DurableLog::open(disk, &host.wal_dir, options, Some(identity))
            .map_err(|error| chain(&error))?;
        finish_install(host, opened.recovered.state())?;
        let opened_store = Store::open(host.backend.clone(), mvcc_options(plan));
        let (mut store, flusher) = opened_store.map_err(|error| chain(&error))?;
        let from = starting_point(&mut store)?;
        let notes = Notes::default();
        let clock: Arc<dyn Clock> = host.clock.clone();
        let lessor = Lessor::new(store.leases(), TICK * ELECTION_TICKS);
        let views = store.keyspace().views();
        let cluster = store.cluster();
        let mut machine = Machine {
            store,
            lessor: lessor.clone(),
            notes: notes.clone(),
            clock: clock.clone(),
            reader: views.reader(),
        };
        let view = views.load();
        let began = machine.state(&view, true);
        let vote = opened.recovered.hard_state().vote.0;
        let parts = Parts {
            config: node_config(host, plan),
            pace: Pace {
                tick: TICK,
                ..Pace::default()
            },
            log,
            recovered: opened.recovered,
            from,
            machine,
            transport: Wire(notes.clone()),
            observer: Arc::new(notes.clone()),
            clock,
        };
        let executor = Executor::new(parts).map_err(|error| chain(&error))?;
        Ok(Process {
            executor,
            notes,
            reader: views.reader(),
            watching: Watching::new(views.reader()),
            hasher: views.compaction_hasher(),
            views,
            flusher,
            lessor,
            cluster,
            waiters: BTreeMap::new(),
            reads: Vec::new(),
            next_request: host.id << 48 | host.life << 32,
            node_at: None,
            writer_due: false,
            applier_due: false,
            flushed_at: Duration::ZERO,
            exports: BTreeMap::new(),
            began,
            vote,
            applied: began.index,
        })
    }

    /// A number that no other request has.
    pub(super) fn new_request(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }
}

fn node_config(host: &Host, plan: &Plan) -> Config {
    let nonce = host.id << 32 | host.life;
    let mut config = Config::new(MemberId(host.id), plan.seed ^ nonce, nonce);
    config.election_ticks = ELECTION_TICKS;
    config.limits.message_bytes_max = plan.message_bytes_max;
    config.limits.inflight_messages_max = 16;
    config.limits.log_bytes_max = plan.log_bytes_max;
    config.suspect_until = host.healing.map(|healing| healing.until);
    config
}

pub(super) fn wal_options(plan: &Plan) -> ferrod_wal::Options {
    ferrod_wal::Options {
        segment_bytes: plan.segment_bytes,
        ..ferrod_wal::Options::default()
    }
}

/// Small steps, so that there are many of them to come between.
fn mvcc_options(plan: &Plan) -> ferrod_mvcc::Options {
    ferrod_mvcc::Options {
        flush_bytes: plan.flush_bytes,
        delete_rows_max: 5,
        trim_records_max: 3,
        ..ferrod_mvcc::Options::default()
    }
}

/// A start finishes an install that the log tells of, and forgets what was received without one.
fn finish_install(host: &Host, wanted: Option<&StateMeta>) -> Result<(), String> {
    let backend = &*host.backend;
    let applied = applied_on(backend);
    for number in backend.received().map_err(|error| chain(&error))? {
        let finish = wanted.is_some_and(|state| state.index.0 == number && number > applied);
        let done = if finish {
            backend.install(number, &mut |_| Ok(()))
        } else {
            backend.discard(number)
        };
        done.map_err(|error| chain(&error))?;
    }
    Ok(())
}

/// The index up to which a backend has applied the log.
pub(super) fn applied_on(backend: &Memory) -> u64 {
    let snapshot = backend.snapshot().expect("the memory can always be read");
    let row = snapshot.get(Bucket::Meta, b"consistent_index");
    let row = row.expect("the memory can always be read");
    let applied = row.and_then(|row| Some(u64::from_be_bytes(row.try_into().ok()?)));
    applied.unwrap_or(0)
}

fn starting_point(store: &mut Store) -> Result<StartingPoint, String> {
    let (applied, applied_term) = store.applied();
    let conf = store.conf_state().map_err(|error| chain(&error))?;
    let ids = |members: Vec<u64>| members.into_iter().map(MemberId).collect();
    Ok(StartingPoint {
        applied: LogIndex(applied),
        applied_term: Term(applied_term),
        conf_state: ConfState::new(ids(conf.voters), ids(conf.learners)),
    })
}

/// An error with all its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
