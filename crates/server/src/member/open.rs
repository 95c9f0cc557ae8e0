//! From a data directory to a running log with its state machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferrod_env::{Clock, Disk, RealClock, RealDisk};
use ferrod_metrics::Metrics;
use ferrod_mvcc::backend::{Backend, Care, Lmdb, LmdbOptions, Recovered};
use ferrod_mvcc::{KeySpace, Options};
use ferrod_node::{
    ConfChange, ConfChangeKind, ConfState, DurableLog, LogIndex, MemberId, Node, OpenedLog, Pace,
    Parts, Severity, StartingPoint, StateMeta, Term,
};
use ferrod_store::{Member, Store};
use ferrod_wal::Identity;
use tokio::sync::{Notify, mpsc, watch};

use super::Error;
use super::alone;
use super::data_dir::DataDir;
use super::deaths;
use super::heal::{Healing, OpenError, of_backend, of_node, of_store};
use super::join::NewMember;
use super::newcomer;
use super::upkeep::Inboxes;
use crate::config::{Config, Gate, MemberUrl};
use crate::divergence::{self, Comparisons};
use crate::engine::{
    Engine, FlushLoop, Lessor, Limits, Machine, NodeObserver, PendingChanges, Quota, ReadRounds,
    Renewals, Waiters,
};
use crate::ids::{ClusterId, RequestIds};
use crate::logging::error_chain;
use crate::mailbox::Mailbox;
use crate::peer::ask::{LeaderLine, QUESTIONS_MAX};
use crate::peer::{
    Context, Directory, Newcomer, PARCEL_BYTES, PeerThread, PeerTransport, StateOrder, States,
};
use crate::serve::BoundListener;
use crate::suspect::Suspicion;

/// A member whose log runs.
pub(super) struct Opened {
    pub(super) engine: Arc<Engine>,
    /// One for each runtime.
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    node: Node<Machine>,
    flush: JoinHandle<()>,
    hashing: JoinHandle<()>,
    fatal: watch::Receiver<Option<String>>,
    peers: Arc<Context>,
    /// Until the peers are talked to.
    state_orders: Option<mpsc::UnboundedReceiver<StateOrder>>,
    inboxes: Option<Inboxes>,
}

/// Opens the data directory and starts the log, with mail for `runtimes` runtimes. In an empty directory the log of
/// `new` is begun.
///
/// # Errors
/// [`OpenError`]; the data directory is as it was, unless it was empty.
pub(super) fn open(
    config: &Config,
    runtimes: usize,
    new: Option<&NewMember>,
    dir: &DataDir,
    healing: Option<&Healing>,
) -> Result<Opened, OpenError> {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let meters = Arc::new(Metrics::new(ferrod_metrics::Options {
        extensive: config.extensive_metrics,
    }));
    let (mut log, mut opened) = open_log(config, dir, new)?;
    let Identity { cluster, member } = opened.identity;
    fail::fail_point!("openAfterLog");
    let care = care_for_backend(config, clock.wall())?;
    let backend = open_backend(config, dir, care)?;
    finish_install(&*backend, opened.recovered.state())?;
    let opened_store = Store::open(backend.clone(), Options::default());
    let (mut store, flusher) =
        opened_store.map_err(|source| of_store("read the backend", source))?;
    let from = starting_point(&mut store)?;
    if config.cluster.force_new && dir.initialized {
        alone::leave_others(config, &mut log, &mut opened, &from)?;
    }
    say_where_it_starts(dir, &opened, &from);

    fail::fail_point!("openAfterBackend");
    let waiters = Arc::new(Waiters::new());
    let changes = Arc::new(PendingChanges::default());
    let learner = is_learner(&store, MemberId(member));
    let lessor = Lessor::new(
        store.leases(),
        config.raft.election_timeout,
        lease_pace(config),
    );
    let lessor = Arc::new(lessor);
    let mailboxes: Vec<Arc<Mailbox>> = (0..runtimes).map(|_| Arc::default()).collect();
    let (views, cluster_view, leases) = (store.keyspace().views(), store.cluster(), store.leases());
    let read_rounds = Arc::new(ReadRounds::new(views.clone()));
    let quota_exceeded = Arc::new(AtomicBool::new(false));
    let disk_full = Arc::new(AtomicBool::new(false));
    let members_changed = Arc::new(Notify::new());
    let directory = Arc::new(Directory::default());
    let (states, state_orders) = mpsc::unbounded_channel();
    let machine = Machine {
        store,
        members_changed: members_changed.clone(),
        cluster_id: ClusterId(cluster),
        member: MemberId(member),
        waiters: waiters.clone(),
        changes: changes.clone(),
        learner: learner.clone(),
        read_rounds: read_rounds.clone(),
        lessor: lessor.clone(),
        mailboxes: mailboxes.clone(),
        clock: clock.clone(),
        meters: meters.clone(),
        slow_apply: config.warning_apply_duration,
        quota: Quota {
            bytes: config.storage.quota.bytes(),
            backend: backend.clone(),
            exceeded: quota_exceeded.clone(),
        },
    };
    let (fatal, fatal_seen) = watch::channel(None);
    let suspicion = Arc::new(Suspicion::new(
        config.member_dir(),
        cluster_view.clone(),
        fatal.clone(),
        healing.map(|healing| healing.reason.clone()),
    ));
    meters.server.suspect.set(i64::from(healing.is_some()));
    let observer = Arc::new(NodeObserver {
        waiters: waiters.clone(),
        changes: changes.clone(),
        meters: meters.clone(),
        fatal: fatal.clone(),
        suspicion: suspicion.clone(),
    });
    let millis = clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64;
    let newcomer = newcomer::is_noted(&config.member_dir()).map(Newcomer::new);
    let newcomer = newcomer.map_err(|source| Error::system("see if the log is new", source))?;
    let node = Node::start(Parts {
        config: ferrod_node::Config {
            suspect_until: healing.map(|healing| healing.until),
            ..node_config(config, MemberId(member), millis)
        },
        pace: Pace {
            tick: config.raft.heartbeat_interval,
            campaign_within: config.raft.election_timeout / 10,
            ..Pace::default()
        },
        log,
        recovered: opened.recovered,
        from,
        machine,
        transport: PeerTransport {
            directory: directory.clone(),
            states,
            meters: meters.clone(),
        },
        observer,
        clock: clock.clone(),
    })
    .map_err(|source| of_node("start the log", source))?;
    let compacted = Arc::new(Notify::new());
    let flush = FlushLoop {
        flusher,
        pause: None,
        disk_full: disk_full.clone(),
        node: node.handle().clone(),
        clock: clock.clone(),
        meters: meters.clone(),
        fatal: fatal.clone(),
        suspicion: suspicion.clone(),
        compacted: compacted.clone(),
    };
    let flush = std::thread::Builder::new()
        .name("flush".to_owned())
        .spawn(move || flush.run())
        .map_err(|source| Error::system("start a thread", source))?;
    let hashing = divergence::start_hashing(&views, clock.clone(), suspicion.clone())
        .map_err(|source| Error::system("start a thread", source))?;
    let (questions, questions_inbox) = mpsc::channel(QUESTIONS_MAX);
    let peers = Arc::new(Context {
        cluster_id: ClusterId(cluster),
        local: MemberId(member),
        urls: texts(&config.advertise_peer_urls),
        directory: directory.clone(),
        node: node.handle().clone(),
        cluster: cluster_view.clone(),
        members_changed,
        removed: watch::Sender::new(false),
        newcomer,
        fatal,
        questions,
        clock: clock.clone(),
        meters: meters.clone(),
        pace: crate::peer::Pace::new(config),
        states: States::new(
            views.clone(),
            backend.clone(),
            config.limits.request_bytes_max,
        ),
        parcel_bytes_max: parcel_bytes_max(config),
    });
    let (renewals, renewals_inbox) = Renewals::new();
    let leader_line = LeaderLine::new(
        ClusterId(cluster),
        directory.clone(),
        config.request_timeout(),
    );
    let engine = Arc::new(Engine {
        cluster_id: ClusterId(cluster),
        member: MemberId(member),
        limits: limits(config),
        election_timeout: config.raft.election_timeout,
        heartbeat_interval: config.raft.heartbeat_interval,
        slow_call: config.warning_unary_request_duration,
        watch_progress: config.watch_progress_notify_interval,
        clock,
        node: node.handle().clone(),
        views,
        backend,
        cluster: cluster_view,
        leases,
        lessor,
        waiters,
        changes,
        peers: directory,
        renewals,
        leader_line,
        comparisons: Comparisons::default(),
        learner,
        read_rounds,
        ids: Arc::new(RequestIds::new(MemberId(member), millis)),
        quota_exceeded,
        disk_full,
        compacted,
        meters,
        suspicion,
    });
    Ok(Opened {
        engine,
        mailboxes,
        node,
        flush,
        hashing,
        fatal: fatal_seen,
        peers,
        state_orders: Some(state_orders),
        inboxes: Some(Inboxes {
            renewals: renewals_inbox,
            questions: questions_inbox,
        }),
    })
}

/// How leases end; what is left of long ones is recorded now and then if the gate for it is open.
fn lease_pace(config: &Config) -> ferrod_lease::Pace {
    const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5 * 60);
    let records = config.gates.is_enabled(Gate::LeaseCheckpoint);
    ferrod_lease::Pace {
        retry: config.request_timeout(),
        checkpoint_interval: records.then_some(CHECKPOINT_INTERVAL),
        ..ferrod_lease::Pace::default()
    }
}

/// The largest parcel: what fits in beside the largest batch of proposals, or beside one request of the largest kind.
fn parcel_bytes_max(config: &Config) -> usize {
    let limits = node_limits(config);
    let batch = limits.batch_bytes_max.max(limits.message_bytes_max);
    let largest = batch.max(limits.proposal_bytes_max) as usize;
    2 * PARCEL_BYTES + largest + config.limits.request_bytes_max
}

impl Opened {
    /// Starts to talk to the other members.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(super) fn talk(&mut self, listeners: Vec<BoundListener>) -> Result<PeerThread, Error> {
        let orders = self.state_orders.take();
        let orders = orders.expect("a member begins to talk once");
        PeerThread::start(self.peers.clone(), orders, listeners)
            .map_err(|source| Error::system("start a thread", source))
    }

    /// What comes in for the tasks of the upkeep, once.
    pub(super) fn take_inboxes(&mut self) -> Inboxes {
        self.inboxes.take().expect("taken once, by the start")
    }

    /// What the others take this member for.
    pub(super) fn newcomer(&self) -> &Newcomer {
        &self.peers.newcomer
    }

    /// How many members the cluster has, as far as this one has applied.
    pub(super) fn members_count(&self) -> usize {
        self.engine.cluster.load().members.present.len()
    }

    /// Returns when this member was removed from its cluster.
    pub(super) fn removed(&self) -> impl Future<Output = ()> + use<> {
        let mut removed = self.peers.removed.subscribe();
        async move {
            if removed.wait_for(|removed| *removed).await.is_err() {
                // All who could tell are gone, which happens only while stopping.
                std::future::pending().await
            }
        }
    }

    /// Waits for what the member must not go on with.
    pub(super) fn fatal(&self) -> impl Future<Output = Error> + use<> {
        let mut fatal = self.fatal.clone();
        async move {
            let text = match fatal.wait_for(Option::is_some).await {
                Ok(text) => text.clone(),
                // All who could tell are gone, which happens only while stopping.
                Err(_) => std::future::pending().await,
            };
            Error::Fatal(text.unwrap_or_default())
        }
    }

    /// Stops the log, writes everything to the backend, and gives the directory up.
    ///
    /// # Errors
    /// What the log or the backend failed with.
    pub(super) fn close(self, peers: PeerThread) -> Result<(), Error> {
        let machine = self
            .node
            .stop()
            .map_err(|source| Error::system("stop the log", source))?;
        // Copies of the state may be on their way, in or out of the backend.
        peers.stop();
        // Both threads end when the key space is gone.
        drop(machine);
        let _panicked = (self.flush.join(), self.hashing.join());
        match &*self.fatal.borrow() {
            Some(text) => Err(Error::Fatal(text.clone())),
            None => Ok(()),
        }
    }
}

fn open_log(
    config: &Config,
    dir: &DataDir,
    new: Option<&NewMember>,
) -> Result<(DurableLog, OpenedLog), OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = log_options(config);
    if !dir.initialized {
        let new = new.ok_or_else(|| Error::Start("the log has gone while starting".to_owned()))?;
        // Who is alone has nobody to ask.
        if new.first.len() > 1 {
            let noted = newcomer::note(&config.member_dir());
            noted.map_err(|source| Error::system("note that the log is new", source))?;
        }
        create_log(new, &disk, &dir.wal, options)?;
    }
    let (log, opened) = DurableLog::open(disk, &dir.wal, options, None)
        .map_err(|source| of_node("read the log", source))?;
    if let Some(torn) = &opened.torn {
        tracing::warn!(tail = ?torn, "cut off the end of the log, which a crash had left incomplete");
    }
    let log = log
        .with_helper_thread()
        .map_err(|source| Error::system("start a thread", source))?;
    Ok((log, opened))
}

pub(super) fn log_options(config: &Config) -> ferrod_wal::Options {
    ferrod_wal::Options {
        no_fsync: config.storage.no_fsync,
        ..ferrod_wal::Options::default()
    }
}

/// Every initial member writes the same first entries, so all logs of the cluster begin alike; one that joins begins with
/// none.
fn create_log(
    new: &NewMember,
    disk: &Arc<dyn Disk>,
    dir: &Path,
    options: ferrod_wal::Options,
) -> Result<(), Error> {
    let identity = Identity {
        cluster: new.cluster.0,
        member: new.local.0,
    };
    let mut changes = Vec::new();
    for member in &new.first {
        let context = Member {
            id: member.id.0,
            peer_urls: member
                .peer_urls
                .iter()
                .map(|url| url.as_str().to_owned())
                .collect(),
            ..Member::default()
        };
        let context = serde_json::to_vec(&context)
            .map_err(|source| Error::system("describe a member", source))?;
        changes.push(ConfChange {
            id: 0,
            kind: ConfChangeKind::AddVoter,
            member: member.id,
            context: context.into(),
        });
    }
    let created = DurableLog::create(disk.clone(), dir, options, identity, &changes);
    created
        .map(drop)
        .map_err(|source| Error::system("create the log", source))
}

/// Deaths of which the backend may be the cause.
const DEATHS_DOUBTED: usize = 2;

/// All of the backend is judged before LMDB maps it, if this member has died again and again.
fn care_for_backend(config: &Config, now: SystemTime) -> Result<Care, OpenError> {
    let member_dir = config.member_dir();
    let deaths = deaths::note_start(&member_dir, now).map_err(|source| {
        Error::system(format!("note a start in {}", member_dir.display()), source)
    })?;
    if deaths < DEATHS_DOUBTED {
        return Ok(Care::LastCommit);
    }
    tracing::warn!(
        deaths,
        "this member has not ended in good order again and again; looking at each page of its backend"
    );
    Ok(Care::Everything)
}

fn open_backend(
    config: &Config,
    dir: &DataDir,
    care: Care,
) -> Result<Arc<dyn Backend>, OpenError> {
    let quota = config.storage.quota.bytes().unwrap_or(1 << 40);
    let (lmdb, recovered) = Lmdb::recover(&dir.backend, LmdbOptions::for_quota(quota), care)
        .map_err(|source| of_backend("open the backend", source))?;
    if let Recovered::Previous { damage } = recovered {
        tracing::warn!(
            error = error_chain(&damage),
            "the last commit to the backend was cut off; going on from the one before, which the log completes"
        );
    }
    if let Some(threshold) = config.storage.bootstrap_defrag_threshold {
        defragment_if_worth_it(&lmdb, threshold)
            .map_err(|source| of_backend("defragment the backend", source))?;
    }
    Ok(Arc::new(lmdb))
}

/// Takes up a copy of the state where a crash has left it: begun by the log, it is installed; otherwise it never was.
fn finish_install(backend: &dyn Backend, begun: Option<&StateMeta>) -> Result<(), OpenError> {
    let failed = |source| of_backend("install a received state", source);
    let (applied, _) = KeySpace::stored_applied(backend).map_err(failed)?;
    let begun = begun.filter(|state| state.index.0 > applied);
    for received in backend.received().map_err(failed)? {
        if begun.is_some_and(|state| state.index.0 == received) {
            tracing::info!("snapshot-index" = received, "applying snapshot");
            let installed = backend.install(received, &mut |_| Ok(()));
            installed.map_err(failed)?;
        } else {
            tracing::info!("snapshot-index" = received, "removing unused snapshot");
            backend.discard(received).map_err(failed)?;
        }
    }
    Ok(())
}

fn defragment_if_worth_it(lmdb: &Lmdb, threshold: u64) -> Result<(), ferrod_mvcc::Error> {
    let sizes = lmdb.sizes()?;
    let free = sizes.allocated_bytes.saturating_sub(sizes.used_bytes);
    if free < threshold {
        tracing::info!(
            "freeable-bytes" = free,
            "threshold-bytes" = threshold,
            "skipping defragmentation"
        );
        return Ok(());
    }
    tracing::info!("freeable-bytes" = free, "defragmenting");
    lmdb.defragment()
}

/// Whether this member is a learner, as of what is applied so far.
fn is_learner(store: &Store, member: MemberId) -> Arc<AtomicBool> {
    let cluster = store.cluster().load();
    let local = cluster.members.present.get(&member.0);
    let learner = local.is_some_and(|member| member.is_learner);
    Arc::new(AtomicBool::new(learner))
}

fn starting_point(store: &mut Store) -> Result<StartingPoint, OpenError> {
    let (applied, applied_term) = store.applied();
    let conf = store
        .conf_state()
        .map_err(|source| of_store("read the members", source))?;
    let ids = |members: Vec<u64>| members.into_iter().map(MemberId).collect();
    Ok(StartingPoint {
        applied: LogIndex(applied),
        applied_term: Term(applied_term),
        conf_state: ConfState::new(ids(conf.voters), ids(conf.learners)),
    })
}

fn say_where_it_starts(dir: &DataDir, opened: &OpenedLog, from: &StartingPoint) {
    let member = format!("{:x}", opened.identity.member);
    let cluster = format!("{:x}", opened.identity.cluster);
    if dir.initialized {
        tracing::info!(
            "cluster-id" = cluster,
            "local-member-id" = member,
            "commit-index" = opened.recovered.hard_state().commit.0.max(from.applied.0),
            "restarting local member"
        );
    } else {
        tracing::info!(
            "local-member-id" = member,
            "cluster-id" = cluster,
            "starting local member"
        );
    }
}

fn node_config(config: &Config, member: MemberId, boot_nonce: u64) -> ferrod_node::Config {
    ferrod_node::Config {
        election_ticks: config.raft.election_ticks,
        pre_vote: config.raft.pre_vote,
        proposal_wait_ticks: proposal_wait_ticks(config),
        limits: node_limits(config),
        log: Some(Arc::new(|severity, line| match severity {
            Severity::Info => tracing::info!(target: "raft", "{line}"),
            Severity::Warning => tracing::warn!(target: "raft", "{line}"),
            Severity::Error => tracing::error!(target: "raft", "{line}"),
        })),
        // Members that start at the same moment still draw different election timeouts.
        ..ferrod_node::Config::new(member, boot_nonce ^ member.0, boot_nonce)
    }
}

/// A request of the largest kind must pass, also if another member allows a little more than this one.
fn node_limits(config: &Config) -> ferrod_node::Limits {
    let limits = ferrod_node::Limits::default();
    let request = config.limits.request_bytes_max as u64;
    ferrod_node::Limits {
        proposal_bytes_max: limits.proposal_bytes_max.max(request),
        ..limits
    }
}

/// As long as etcd lets a proposal wait: five seconds and two elections.
fn proposal_wait_ticks(config: &Config) -> u32 {
    let wait = Duration::from_secs(5) + 2 * config.raft.election_timeout;
    let ticks = wait.as_millis() / config.raft.heartbeat_interval.as_millis().max(1);
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

fn limits(config: &Config) -> Limits {
    Limits {
        request_bytes_max: config.limits.request_bytes_max,
        txn_ops_max: config.limits.txn_ops_max,
        quota_bytes: config.storage.quota.bytes(),
        quota_shown: config.storage.quota.reported(),
        request_timeout: config.request_timeout(),
        lease_ttl_min: config.lease_ttl_min().as_secs() as i64,
        strict_reconfig: config.cluster.strict_reconfig_check,
        learners_max: config.cluster.learners_max,
    }
}

/// URLs as texts, in their order.
pub(super) fn texts(urls: &[MemberUrl]) -> Vec<String> {
    urls.iter().map(|url| url.as_str().to_owned()).collect()
}
