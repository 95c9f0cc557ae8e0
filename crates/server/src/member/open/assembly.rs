//! The parts of a member, put together.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::UNIX_EPOCH;

use ferrod_env::Clock;
use ferrod_metrics::Metrics;
use ferrod_mvcc::backend::Backend;
use ferrod_mvcc::{Flusher, Views};
use ferrod_node::{LogIndex, MemberId, Node, NodeHandle, Pace, Parts};
use ferrod_store::{ClusterView, SharedLeases, Store};
use tokio::sync::{Notify, mpsc, watch};

use super::{Opened, Stored, settings};
use crate::config::Config;
use crate::divergence::{self, Comparisons};
use crate::engine::{
    Engine, FlushLoop, Lessor, Machine, NodeObserver, PendingChanges, Quota, ReadRounds, Renewals,
    Waiters,
};
use crate::ids::{ClusterId, RequestIds};
use crate::lives::{Met, OwnLife};
use crate::mailbox::Mailbox;
use crate::member::heal::{Healing, OpenError, of_node};
use crate::member::upkeep::Inboxes;
use crate::member::{Error, newcomer};
use crate::peer::ask::{LeaderLine, QUESTIONS_MAX, Questions};
use crate::peer::{Context, Directory, Newcomer, PeerTransport, States};
use crate::suspect::Suspicion;

/// Starts the log and its threads over what is stored.
///
/// # Errors
/// If log and state machine exclude each other, or the system has no thread to give.
pub(super) fn start(
    config: &Config,
    runtimes: usize,
    stored: Stored,
    healing: Option<&Healing>,
    clock: Arc<dyn Clock>,
) -> Result<Opened, OpenError> {
    let Stored {
        log,
        opened,
        backend,
        mut store,
        flusher,
        from,
        life,
        met,
    } = stored;
    let (fatal, fatal_seen) = watch::channel(None);
    let identity = (
        ClusterId(opened.identity.cluster),
        MemberId(opened.identity.member),
    );
    let shared = Shared::new(config, identity, &mut store, backend, clock, healing, fatal);
    let mailboxes: Vec<Arc<Mailbox>> = (0..runtimes).map(|_| Arc::default()).collect();
    let newcomer = newcomer::is_noted(&config.member_dir()).map(Newcomer::new);
    let newcomer = newcomer.map_err(|source| Error::system("see if the log is new", source))?;
    let (states, state_orders) = mpsc::unbounded_channel();
    let since_epoch = shared.clock.wall().duration_since(UNIX_EPOCH);
    let millis = since_epoch.unwrap_or_default().as_millis() as u64;
    let committed_at_start = opened.recovered.hard_state().commit;
    let node = Node::start(Parts {
        config: ferrod_node::Config {
            suspect_until: healing.map(|healing| healing.until),
            ..settings::node_config(config, shared.member, millis)
        },
        pace: Pace {
            tick: config.raft.heartbeat_interval,
            campaign_within: config.raft.election_timeout / 10,
            ..Pace::default()
        },
        log,
        recovered: opened.recovered,
        from,
        machine: shared.machine(config, store, mailboxes.clone()),
        transport: PeerTransport {
            directory: shared.directory.clone(),
            states,
            meters: shared.meters.clone(),
        },
        observer: Arc::new(shared.observer()),
        clock: shared.clock.clone(),
    })
    .map_err(|source| of_node("start the log", source))?;
    let flush = shared.flush_loop(flusher, node.handle());
    let flush = std::thread::Builder::new()
        .name("flush".to_owned())
        .spawn(move || flush.run())
        .map_err(|source| Error::system("start a thread", source))?;
    let hashing = divergence::start_hashing(
        &shared.views,
        shared.clock.clone(),
        shared.suspicion.clone(),
    )
    .map_err(|source| Error::system("start a thread", source))?;
    let (questions, questions_inbox) = mpsc::channel(QUESTIONS_MAX);
    let memory = Memory {
        newcomer,
        committed_at_start,
        life,
        met,
    };
    let peers = Arc::new(shared.peers(config, node.handle(), memory, questions));
    let (renewals, renewals_inbox) = Renewals::new();
    let ids = RequestIds::new(shared.member, millis);
    let engine = Arc::new(shared.engine(config, node.handle(), renewals, ids));
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

/// What a member knows of earlier starts, its own and the others'.
struct Memory {
    newcomer: Newcomer,
    committed_at_start: LogIndex,
    life: Arc<OwnLife>,
    met: Met,
}

/// What the parts of a member share.
struct Shared {
    cluster_id: ClusterId,
    member: MemberId,
    clock: Arc<dyn Clock>,
    meters: Arc<Metrics>,
    backend: Arc<dyn Backend>,
    views: Views,
    cluster: ClusterView,
    leases: SharedLeases,
    lessor: Arc<Lessor>,
    waiters: Arc<Waiters>,
    changes: Arc<PendingChanges>,
    read_rounds: Arc<ReadRounds>,
    learner: Arc<AtomicBool>,
    quota_exceeded: Arc<AtomicBool>,
    disk_full: Arc<AtomicBool>,
    members_changed: Arc<Notify>,
    compacted: Arc<Notify>,
    directory: Arc<Directory>,
    suspicion: Arc<Suspicion>,
    fatal: watch::Sender<Option<String>>,
}

impl Shared {
    fn new(
        config: &Config,
        (cluster_id, member): (ClusterId, MemberId),
        store: &mut Store,
        backend: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        healing: Option<&Healing>,
        fatal: watch::Sender<Option<String>>,
    ) -> Shared {
        let meters = Metrics::new(ferrod_metrics::Options {
            extensive: config.extensive_metrics,
        });
        meters.server.suspect.set(i64::from(healing.is_some()));
        let (views, cluster) = (store.keyspace().views(), store.cluster());
        let lessor = Lessor::new(
            store.leases(),
            config.raft.election_timeout,
            settings::lease_pace(config),
        );
        let suspicion = Suspicion::new(
            config.member_dir(),
            cluster.clone(),
            fatal.clone(),
            healing.map(|healing| healing.reason.clone()),
        );
        Shared {
            cluster_id,
            member,
            clock,
            meters: Arc::new(meters),
            backend,
            read_rounds: Arc::new(ReadRounds::new(views.clone())),
            views,
            learner: is_learner(store, member),
            cluster,
            leases: store.leases(),
            lessor: Arc::new(lessor),
            waiters: Arc::new(Waiters::new()),
            changes: Arc::default(),
            quota_exceeded: Arc::default(),
            disk_full: Arc::default(),
            members_changed: Arc::default(),
            compacted: Arc::default(),
            directory: Arc::default(),
            suspicion: Arc::new(suspicion),
            fatal,
        }
    }

    fn machine(&self, config: &Config, store: Store, mailboxes: Vec<Arc<Mailbox>>) -> Machine {
        Machine {
            store,
            members_changed: self.members_changed.clone(),
            cluster_id: self.cluster_id,
            member: self.member,
            waiters: self.waiters.clone(),
            changes: self.changes.clone(),
            learner: self.learner.clone(),
            read_rounds: self.read_rounds.clone(),
            lessor: self.lessor.clone(),
            mailboxes,
            clock: self.clock.clone(),
            meters: self.meters.clone(),
            slow_apply: config.warning_apply_duration,
            quota: Quota {
                bytes: config.storage.quota.bytes(),
                backend: self.backend.clone(),
                exceeded: self.quota_exceeded.clone(),
            },
        }
    }

    fn observer(&self) -> NodeObserver {
        NodeObserver {
            waiters: self.waiters.clone(),
            changes: self.changes.clone(),
            meters: self.meters.clone(),
            fatal: self.fatal.clone(),
            suspicion: self.suspicion.clone(),
        }
    }

    fn flush_loop(&self, flusher: Flusher, node: &NodeHandle) -> FlushLoop {
        FlushLoop {
            flusher,
            pause: None,
            disk_full: self.disk_full.clone(),
            node: node.clone(),
            clock: self.clock.clone(),
            meters: self.meters.clone(),
            fatal: self.fatal.clone(),
            suspicion: self.suspicion.clone(),
            compacted: self.compacted.clone(),
        }
    }

    fn peers(
        &self,
        config: &Config,
        node: &NodeHandle,
        memory: Memory,
        questions: Questions,
    ) -> Context {
        Context {
            cluster_id: self.cluster_id,
            local: self.member,
            urls: settings::texts(&config.advertise_peer_urls),
            directory: self.directory.clone(),
            node: node.clone(),
            cluster: self.cluster.clone(),
            members_changed: self.members_changed.clone(),
            removed: watch::Sender::new(false),
            committed_at_start: memory.committed_at_start,
            newcomer: memory.newcomer,
            life: memory.life,
            met: memory.met,
            suspicion: self.suspicion.clone(),
            fatal: self.fatal.clone(),
            questions,
            clock: self.clock.clone(),
            meters: self.meters.clone(),
            pace: crate::peer::Pace::new(config),
            states: States::new(
                self.views.clone(),
                self.backend.clone(),
                config.limits.request_bytes_max,
            ),
            parcel_bytes_max: settings::parcel_bytes_max(config),
        }
    }

    fn engine(
        self,
        config: &Config,
        node: &NodeHandle,
        renewals: Renewals,
        ids: RequestIds,
    ) -> Engine {
        let leader_line = LeaderLine::new(
            self.cluster_id,
            self.directory.clone(),
            config.request_timeout(),
        );
        Engine {
            cluster_id: self.cluster_id,
            member: self.member,
            limits: settings::limits(config),
            election_timeout: config.raft.election_timeout,
            heartbeat_interval: config.raft.heartbeat_interval,
            slow_call: config.warning_unary_request_duration,
            watch_progress: config.watch_progress_notify_interval,
            clock: self.clock,
            node: node.clone(),
            views: self.views,
            backend: self.backend,
            cluster: self.cluster,
            leases: self.leases,
            lessor: self.lessor,
            waiters: self.waiters,
            changes: self.changes,
            peers: self.directory,
            renewals,
            leader_line,
            comparisons: Comparisons::default(),
            learner: self.learner,
            read_rounds: self.read_rounds,
            ids: Arc::new(ids),
            quota_exceeded: self.quota_exceeded,
            disk_full: self.disk_full,
            compacted: self.compacted,
            meters: self.meters,
            suspicion: self.suspicion,
        }
    }
}

/// Whether this member is a learner, as of what is applied so far.
fn is_learner(store: &Store, member: MemberId) -> Arc<AtomicBool> {
    let cluster = store.cluster().load();
    let local = cluster.members.present.get(&member.0);
    let learner = local.is_some_and(|member| member.is_learner);
    Arc::new(AtomicBool::new(learner))
}
