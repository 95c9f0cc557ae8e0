//! From checked options to a [`Config`].

use std::path::PathBuf;
use std::time::Duration;

use super::options::Options;
use super::sources::{Settings, Source};
use super::{
    AutoCompaction, Checks, Cluster, ClusterState, Compaction, Config, FeatureGates, Gate,
    GoDuration, Limits, Listen, Quota, Raft, Srv, Storage, Told, Web,
};
use crate::logging;

/// Flags that tune etcd's storage engine. They are taken, since nothing that a user sees depends on
/// them.
const WITHOUT_EFFECT: &[&str] = &[
    "backend-bbolt-freelist-type",
    "backend-batch-interval",
    "backend-batch-limit",
    "compaction-batch-limit",
    "compaction-sleep-interval",
    "max-wals",
    "snapshot-count",
];
/// Flags whose work a later version does: nothing that a cluster of one member shows, or that the gRPC stack cannot do.
const NOT_YET: &[&str] = &[
    "downgrade-check-time",
    "grpc-keepalive-min-time",
    "raft-read-timeout",
    "raft-write-timeout",
    "snapshot-catchup-entries",
];
/// Flags that etcd warns of.
const DEPRECATED: &[&str] = &["max-snapshots", "v2-deprecation"];
const WATCH_PROGRESS_MIN: Duration = Duration::from_millis(100);
const RAFT_TIMEOUT_MIN: GoDuration = GoDuration::from_secs(5);

/// What was read beside the options.
pub(crate) struct Parts {
    pub auto_compaction: AutoCompaction,
    pub gates: FeatureGates,
    pub logging: logging::Settings,
}

/// Makes a configuration of options that passed all checks.
pub(crate) fn config(settings: Settings, parts: Parts) -> Config {
    let from_file = settings
        .given
        .values()
        .any(|source| *source == Source::File);
    let given = |flags: &'static [&'static str]| {
        let flags = flags.iter().copied();
        flags.filter(|flag| settings.is_given(flag)).collect()
    };
    let told = Told {
        max_snapshots: settings.options.max_snapshots,
        max_wals: settings.options.max_wals,
        v2_deprecation: settings.options.v2_deprecation.clone(),
        without_effect: given(WITHOUT_EFFECT),
        not_yet: given(NOT_YET),
        deprecated: given(DEPRECATED),
    };
    let options = settings.options;
    let raft = raft(&options, from_file);
    let limits = limits(&options);
    let storage = storage(&options);
    Config {
        data_dir: PathBuf::from(&options.data_dir),
        wal_dir: (!options.wal_dir.is_empty()).then(|| PathBuf::from(&options.wal_dir)),
        name: options.name,
        listen: Listen {
            peer_urls: options.listen_peer_urls,
            client_urls: options.listen_client_urls,
            client_http_urls: options.listen_client_http_urls,
            metrics_urls: options.listen_metrics_urls,
            reuse_port: options.socket_reuse_port,
            reuse_address: options.socket_reuse_address,
        },
        advertise_peer_urls: options.initial_advertise_peer_urls,
        advertise_client_urls: options.advertise_client_urls,
        cluster: Cluster {
            initial: options.initial_cluster,
            srv: (!options.discovery_srv.is_empty()).then_some(Srv {
                domain: options.discovery_srv,
                name: options.discovery_srv_name,
            }),
            state: match options.initial_cluster_state.as_str() {
                "existing" => ClusterState::Existing,
                _ => ClusterState::New,
            },
            token: options.initial_cluster_token,
            strict_reconfig_check: options.strict_reconfig_check,
            force_new: options.force_new_cluster,
            learners_max: to_usize(options.max_learners.unsigned_abs()),
        },
        raft,
        storage,
        limits,
        compaction: Compaction {
            auto: parts.auto_compaction,
            mode: options.auto_compaction_mode,
            batch_limit: match options.compaction_batch_limit {
                0 => 1000,
                limit => to_usize(limit.unsigned_abs()),
            },
            sleep_interval: or_default(options.compaction_sleep_interval, 10),
        },
        checks: Checks {
            compactions: parts
                .gates
                .is_enabled(Gate::CompactHashCheck)
                .then(|| options.compact_hash_check_time.to_std()),
            newest: options
                .corrupt_check_time
                .is_positive()
                .then(|| options.corrupt_check_time.to_std()),
        },
        web: Web {
            cors: options.cors,
            host_whitelist: options.host_whitelist,
            gateway: options.enable_grpc_gateway,
        },
        logging: parts.logging,
        extensive_metrics: options.metrics == "extensive",
        warning_apply_duration: options.warning_apply_duration.to_std(),
        warning_unary_request_duration: or_default(options.warning_unary_request_duration, 300),
        watch_progress_notify_interval: or_default(
            options.watch_progress_notify_interval,
            10 * 60 * 1000,
        )
        .max(WATCH_PROGRESS_MIN),
        downgrade_check_time: options
            .downgrade_check_time
            .is_positive()
            .then(|| options.downgrade_check_time.to_std()),
        gates: parts.gates,
        told,
    }
}

fn raft(options: &Options, from_file: bool) -> Raft {
    // With a file, etcd forgets to raise these; nothing depends on that.
    let timeout = |span: GoDuration| {
        if from_file {
            span.to_std()
        } else {
            span.max(RAFT_TIMEOUT_MIN).to_std()
        }
    };
    let ticks = options.election_timeout_ms / options.heartbeat_interval_ms;
    Raft {
        heartbeat_interval: Duration::from_millis(options.heartbeat_interval_ms),
        election_ticks: u32::try_from(ticks).unwrap_or(u32::MAX),
        election_timeout: Duration::from_millis(options.election_timeout_ms),
        initial_election_tick_advance: options.initial_election_tick_advance,
        pre_vote: options.pre_vote,
        snapshot_count: if options.snapshot_count == 0 {
            10_000
        } else {
            options.snapshot_count
        },
        snapshot_catchup_entries: if options.snapshot_catchup_entries == 0 {
            5_000
        } else {
            options.snapshot_catchup_entries
        },
        read_timeout: timeout(options.raft_read_timeout),
        write_timeout: timeout(options.raft_write_timeout),
    }
}

fn storage(options: &Options) -> Storage {
    let threshold = options.bootstrap_defrag_threshold_megabytes;
    Storage {
        quota: Quota(options.quota_backend_bytes),
        wal_segments_max: (options.max_wals > 0).then_some(options.max_wals),
        no_fsync: options.unsafe_no_fsync,
        bootstrap_defrag_threshold: (threshold > 0).then(|| threshold.saturating_mul(1 << 20)),
    }
}

fn limits(options: &Options) -> Limits {
    // The gRPC library of etcd keeps its own values when one of the two is off.
    let (interval, timeout) = (
        options.grpc_keepalive_interval,
        options.grpc_keepalive_timeout,
    );
    let both = interval.is_positive() && timeout.is_positive();
    Limits {
        request_bytes_max: to_usize(options.max_request_bytes),
        txn_ops_max: to_usize(options.max_txn_ops),
        concurrent_streams_max: options.max_concurrent_streams,
        keepalive_min_time: or_default(options.grpc_keepalive_min_time, 5 * 60 * 1000),
        keepalive_interval: if both {
            interval.to_std()
        } else {
            Duration::from_secs(2 * 60 * 60)
        },
        keepalive_timeout: if both {
            timeout.to_std()
        } else {
            Duration::from_secs(20)
        },
    }
}

/// The span, or the usual number of milliseconds if it is zero.
fn or_default(span: GoDuration, default_millis: u64) -> Duration {
    if span.is_positive() {
        span.to_std()
    } else {
        Duration::from_millis(default_millis)
    }
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
