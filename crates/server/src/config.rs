//! The configuration: etcd's flags, `ETCD_*` variables and YAML file, checked and in types.
//!
//! [`Startup::read`] is the way in. It gives an answer to print (`--help`, a mistake), or a
//! [`Config`] in which everything is decided. All flags are in one table, which command line,
//! environment, file and help are read from; the list of what is not available yet is in `missing`.

mod announce;
mod bootstrap;
mod command_line;
mod compaction;
mod duration;
mod environment;
mod file;
mod flags;
mod gates;
mod help;
mod log_options;
mod make;
pub(crate) mod missing;
mod number;
mod options;
mod refusal;
mod sources;
mod startup;
mod url;
mod validate;

use std::path::PathBuf;
use std::time::Duration;

pub use announce::StartFacts;
pub use bootstrap::{BootstrapError, InitialCluster, InitialMember};
pub use compaction::AutoCompaction;
pub use duration::{DurationError, GoDuration};
pub use gates::{FeatureGates, Gate, Stage};
pub use refusal::Refusal;
pub use startup::{Answer, Startup, Surroundings};
pub use url::{MemberUrl, Scheme, UrlError};

use crate::logging;

/// Everything the server is told, checked and with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// What people call this member.
    pub name: String,
    /// Directory of all data.
    pub data_dir: PathBuf,
    /// Directory of the log, if it is not inside the data directory.
    pub wal_dir: Option<PathBuf>,
    /// Where to listen.
    pub listen: Listen,
    /// Peer URLs of this member as the other members know them, sorted.
    pub advertise_peer_urls: Vec<MemberUrl>,
    /// Client URLs of this member as clients are told, sorted.
    pub advertise_client_urls: Vec<MemberUrl>,
    /// How a new cluster is made, or an existing one joined.
    pub cluster: Cluster,
    /// Pace and limits of raft.
    pub raft: Raft,
    /// The store on disk.
    pub storage: Storage,
    /// What one client may ask for.
    pub limits: Limits,
    /// Forgetting of history.
    pub compaction: Compaction,
    /// When members are compared.
    pub checks: Checks,
    /// Who may call the HTTP pages.
    pub web: Web,
    /// What the log looks like.
    pub logging: logging::Settings,
    /// Whether the time of each call is measured.
    pub extensive_metrics: bool,
    /// An entry that takes longer to apply is logged.
    pub warning_apply_duration: Duration,
    /// A request that takes longer to answer is logged.
    pub warning_unary_request_duration: Duration,
    /// After this time without events, a watch that asked for it is told the revision.
    pub watch_progress_notify_interval: Duration,
    /// Period of looking at a running downgrade; `None` for never.
    pub downgrade_check_time: Option<Duration>,
    /// Features that can be switched.
    pub gates: FeatureGates,
    /// What the log tells of the flags themselves.
    told: Told,
}

/// Where to listen. All lists are sorted.
#[derive(Debug, Clone)]
pub struct Listen {
    /// For other members.
    pub peer_urls: Vec<MemberUrl>,
    /// For clients.
    pub client_urls: Vec<MemberUrl>,
    /// For the HTTP pages alone; if there are any, `client_urls` serve gRPC only.
    pub client_http_urls: Vec<MemberUrl>,
    /// For metrics and health pages, beside the other places.
    pub metrics_urls: Vec<MemberUrl>,
    /// Set `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Set `SO_REUSEADDR`.
    pub reuse_address: bool,
}

/// How a new cluster is made, or an existing one joined.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// `name=url,name=url`, as given; [`Config::initial_cluster`] reads it. Empty if DNS is to tell.
    pub initial: String,
    /// Where DNS tells who is in the cluster.
    pub srv: Option<Srv>,
    /// Whether to make or to join.
    pub state: ClusterState,
    /// Makes ids differ from those of other clusters.
    pub token: String,
    /// Refuse a change of members that would lose the quorum.
    pub strict_reconfig_check: bool,
    /// Go on without all other members, for good.
    pub force_new: bool,
    /// Most learners.
    pub learners_max: usize,
}

/// Which SRV records tell who is in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// The domain that has them.
    pub domain: String,
    /// Tells the services of several clusters in one domain apart; may be empty.
    pub name: String,
}

/// Whether a member without data makes a cluster or joins one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// Make one.
    New,
    /// Join one.
    Existing,
}

/// Pace and limits of raft.
#[derive(Debug, Clone)]
pub struct Raft {
    /// One tick.
    pub heartbeat_interval: Duration,
    /// Ticks without a heartbeat until an election.
    pub election_ticks: u32,
    /// The same as a time, as given.
    pub election_timeout: Duration,
    /// Start with most of the first election timeout already passed.
    pub initial_election_tick_advance: bool,
    /// Ask for votes before raising the term.
    pub pre_vote: bool,
    /// Applied entries between two snapshots.
    pub snapshot_count: u64,
    /// Entries kept behind a snapshot.
    pub snapshot_catchup_entries: u64,
    /// Read timeout of connections between members.
    pub read_timeout: Duration,
    /// Write timeout of connections between members.
    pub write_timeout: Duration,
}

/// The store on disk.
#[derive(Debug, Clone)]
pub struct Storage {
    /// How large it may grow.
    pub quota: Quota,
    /// Log segments kept; `None` keeps all.
    pub wal_segments_max: Option<u64>,
    /// Never wait for the disk.
    pub no_fsync: bool,
    /// Defragment at start if that frees this many bytes; `None` for never.
    pub bootstrap_defrag_threshold: Option<u64>,
}

/// How large the store may grow, as the flag says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota(i64);

impl Quota {
    /// What zero stands for.
    pub const DEFAULT_BYTES: u64 = 2 << 30;
    /// Above this etcd warns.
    pub const ADVISED_BYTES_MAX: u64 = 8 << 30;

    /// The limit; `None` if there is none.
    #[must_use]
    pub fn bytes(self) -> Option<u64> {
        match u64::try_from(self.0) {
            Ok(0) => Some(Quota::DEFAULT_BYTES),
            Ok(bytes) => Some(bytes),
            Err(_) => None,
        }
    }

    /// The number in metrics and `Status`: the limit, or the negative number that was given.
    #[must_use]
    pub fn reported(self) -> i64 {
        if self.0 == 0 {
            Quota::DEFAULT_BYTES.cast_signed()
        } else {
            self.0
        }
    }

    /// The number that was given.
    #[must_use]
    pub fn flag(self) -> i64 {
        self.0
    }
}

/// What one client may ask for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most bytes of one request.
    pub request_bytes_max: usize,
    /// Most operations of one transaction.
    pub txn_ops_max: usize,
    /// Most requests in flight on one connection.
    pub concurrent_streams_max: u32,
    /// A client that pings more often is disconnected.
    pub keepalive_min_time: Duration,
    /// Idle time after which a client is pinged.
    pub keepalive_interval: Duration,
    /// How long it may take to answer that.
    pub keepalive_timeout: Duration,
}

/// Forgetting of history.
#[derive(Debug, Clone)]
pub struct Compaction {
    /// When it happens by itself.
    pub auto: AutoCompaction,
    /// The word of the flag.
    pub mode: String,
    /// Revisions removed in one step.
    pub batch_limit: usize,
    /// Pause between two steps.
    pub sleep_interval: Duration,
}

/// When the leader compares what the members hold. Each period is one from its start.
#[derive(Debug, Clone, Copy)]
pub struct Checks {
    /// Period of comparing the hashes of compactions; `None` for never.
    pub compactions: Option<Duration>,
    /// Period of comparing the newest state, for which each member reads everything; `None` for never.
    pub newest: Option<Duration>,
}

/// Who may call the HTTP pages.
#[derive(Debug, Clone)]
pub struct Web {
    /// Origins whose pages may call; `*` for all.
    pub cors: Vec<String>,
    /// Host names that plain requests may use; `*` or nothing for all.
    pub host_whitelist: Vec<String>,
    /// Serve the calls as JSON.
    pub gateway: bool,
}

/// What only the log tells.
#[derive(Debug, Clone)]
struct Told {
    max_snapshots: u64,
    max_wals: u64,
    v2_deprecation: String,
    /// Flags that tune etcd's storage engine and were given.
    without_effect: Vec<&'static str>,
    /// Flags that were given and do nothing in this version.
    not_yet: Vec<&'static str>,
    /// Flags that etcd warns of when they are given.
    deprecated: Vec<&'static str>,
}

impl Config {
    /// How long a request may take inside the server: 5 seconds, and two election timeouts for the
    /// case that the leader is lost on the way.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.raft.election_timeout
    }

    /// Shortest life of a lease: it must outlive the election of a new leader.
    #[must_use]
    pub fn lease_ttl_min(&self) -> Duration {
        let ticks = 3 * self.raft.election_ticks / 2;
        let span = ticks * self.raft.heartbeat_interval;
        Duration::from_secs(span.as_millis().div_ceil(1000) as u64)
    }

    /// Directory of all that belongs to this member.
    #[must_use]
    pub fn member_dir(&self) -> PathBuf {
        self.data_dir.join("member")
    }

    /// Directory of the log.
    #[must_use]
    pub fn wal_dir(&self) -> PathBuf {
        match &self.wal_dir {
            Some(dir) => dir.clone(),
            None => self.member_dir().join("wal"),
        }
    }
}
