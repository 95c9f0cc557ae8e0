//! `etcd_server_*` and `etcd_cluster_*`.

use std::sync::{Mutex, OnceLock, PoisonError};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::buckets::{fine, milliseconds};
use crate::registrar::Registrar;
use crate::requests::Durations;

/// The member and its part in the cluster: `etcd_server_*` and `etcd_cluster_*`.
#[derive(Debug)]
pub struct Server {
    /// 1 if a leader is known.
    pub has_leader: IntGauge,
    /// 1 if this member leads.
    pub is_leader: IntGauge,
    /// 1 if this member is a learner.
    pub is_learner: IntGauge,
    /// 1 while this member is suspect: it found damage, and heals from its peers.
    pub suspect: IntGauge,
    /// Changes of leader seen, the first election included.
    pub leader_changes_seen_total: IntCounter,
    /// Learners promoted by this member.
    pub learner_promote_successes: IntCounter,
    /// Heartbeats that went out late.
    pub heartbeat_send_failures_total: IntCounter,
    /// 1 while a state from another member is applied.
    pub snapshot_apply_in_progress_total: IntGauge,
    /// The committed index. A gauge in etcd too.
    pub proposals_committed_total: IntGauge,
    /// The applied index. A gauge in etcd too.
    pub proposals_applied_total: IntGauge,
    /// Proposals that wait for their result.
    pub proposals_pending: IntGauge,
    /// Proposals that were refused or got no result in time.
    pub proposals_failed_total: IntCounter,
    /// Requests, from their arrival to their result.
    pub request_duration_seconds: Durations,
    /// Entries in the state machine.
    pub apply_duration_seconds: Durations,
    /// Ranges in the store.
    pub range_duration_seconds: Success,
    /// Entries and ranges that took longer than the warning threshold.
    pub slow_apply_total: IntCounter,
    /// Read indexes that came too late.
    pub slow_read_indexes_total: IntCounter,
    /// Read indexes that were refused.
    pub read_indexes_failed_total: IntCounter,
    /// How large the store may grow; the configured negative number if there is no limit.
    pub quota_backend_bytes: IntGauge,
    /// `/health` answered yes.
    pub health_success: IntCounter,
    /// `/health` answered no.
    pub health_failures: IntCounter,
    /// Results of `/livez` and `/readyz`.
    pub health: Health,
    /// Requests by the version that clients give.
    pub client_requests: ClientRequests,
    /// Revision of users, roles and permissions.
    pub auth_revision: IntGauge,
    learner_promote_failures: IntCounterVec,
    alarms: IntGaugeVec,
    id: IntGaugeVec,
    version: IntGaugeVec,
    go_version: IntGaugeVec,
    feature_enabled: IntGaugeVec,
    cluster_version: IntGaugeVec,
    last_cluster_version: Mutex<Option<String>>,
}

impl Server {
    pub(crate) fn new(r: &Registrar<'_>) -> Server {
        let counter = |name: &str, help| r.counter(&format!("etcd_server_{name}"), help);
        let gauge = |name: &str, help| r.gauge(&format!("etcd_server_{name}"), help);
        let gauges = |name: &str, help, labels: &[&str]| {
            r.gauges(&format!("etcd_server_{name}"), help, labels)
        };
        Server {
            has_leader: gauge("has_leader", "1 if a leader is known."),
            is_leader: gauge("is_leader", "1 if this member leads."),
            is_learner: gauge("is_learner", "1 if this member is a learner."),
            suspect: r.gauge(
                "ferrod_server_suspect",
                "1 while this member heals from its peers what it found damaged.",
            ),
            leader_changes_seen_total: counter(
                "leader_changes_seen_total",
                "Changes of leader seen.",
            ),
            learner_promote_successes: counter(
                "learner_promote_successes",
                "Learners promoted by this member.",
            ),
            heartbeat_send_failures_total: counter(
                "heartbeat_send_failures_total",
                "Heartbeats that went out late.",
            ),
            snapshot_apply_in_progress_total: gauge(
                "snapshot_apply_in_progress_total",
                "1 while a state from another member is applied.",
            ),
            proposals_committed_total: gauge("proposals_committed_total", "The committed index."),
            proposals_applied_total: gauge("proposals_applied_total", "The applied index."),
            proposals_pending: gauge("proposals_pending", "Proposals that wait for their result."),
            proposals_failed_total: counter(
                "proposals_failed_total",
                "Proposals that were refused or got no result in time.",
            ),
            request_duration_seconds: Durations::new(
                r.histograms(
                    "etcd_server_request_duration_seconds",
                    "How long requests took.",
                    &["type", "success"],
                    milliseconds(),
                ),
                &[],
                "Unknown",
            ),
            apply_duration_seconds: Durations::new(
                r.histograms(
                    "etcd_server_apply_duration_seconds",
                    "How long applying an entry took.",
                    &["version", "op", "success"],
                    fine(),
                ),
                &["v3"],
                "unknown",
            ),
            range_duration_seconds: Success::new(r.histograms(
                "etcd_server_range_duration_seconds",
                "How long ranges took in the store.",
                &["success"],
                fine(),
            )),
            slow_apply_total: counter(
                "slow_apply_total",
                "Entries and ranges that took longer than the warning threshold.",
            ),
            slow_read_indexes_total: counter(
                "slow_read_indexes_total",
                "Read indexes that came too late.",
            ),
            read_indexes_failed_total: counter(
                "read_indexes_failed_total",
                "Read indexes that were refused.",
            ),
            quota_backend_bytes: gauge("quota_backend_bytes", "How large the store may grow."),
            health_success: counter("health_success", "Health checks that succeeded."),
            health_failures: counter("health_failures", "Health checks that failed."),
            health: Health {
                last: gauges(
                    "healthcheck",
                    "The last result of a check.",
                    &["type", "name"],
                ),
                total: r.counters(
                    "etcd_server_healthchecks_total",
                    "Results of checks.",
                    &["type", "name", "status"],
                ),
            },
            client_requests: ClientRequests::new(r.counters(
                "etcd_server_client_requests_total",
                "Requests by the version that clients give.",
                &["type", "client_api_version"],
            )),
            auth_revision: r.gauge(
                "etcd_debugging_auth_revision",
                "Revision of users, roles and permissions.",
            ),
            learner_promote_failures: r.counters(
                "etcd_server_learner_promote_failures",
                "Promotions of learners that failed on this member.",
                &["Reason"],
            ),
            alarms: r.gauges(
                "etcd_debugging_server_alarms",
                "Alarms that are on.",
                &["server_id", "alarm_type"],
            ),
            id: gauges("id", "1 for the id of this member.", &["server_id"]),
            version: gauges("version", "1 for the version.", &["server_version"]),
            go_version: gauges(
                "go_version",
                "1 for the language runtime.",
                &["server_go_version"],
            ),
            feature_enabled: gauges(
                "feature_enabled",
                "1 for a feature that is on.",
                &["name", "stage"],
            ),
            cluster_version: r.gauges(
                "etcd_cluster_version",
                "1 for the current version of the cluster.",
                &["cluster_version"],
            ),
            last_cluster_version: Mutex::default(),
        }
    }

    /// Shows the id of this member, in hexadecimal.
    pub fn set_id(&self, id: &str) {
        self.id.with_label_values(&[id]).set(1);
    }

    /// Shows the version and the runtime.
    pub fn set_version(&self, version: &str, runtime: &str) {
        self.version.with_label_values(&[version]).set(1);
        self.go_version.with_label_values(&[runtime]).set(1);
    }

    /// Shows whether a feature is on.
    pub fn set_feature(&self, name: &str, stage: &str, enabled: bool) {
        self.feature_enabled
            .with_label_values(&[name, stage])
            .set(i64::from(enabled));
    }

    /// Shows the version of the cluster, such as `3.7`; the one before drops to zero.
    pub fn set_cluster_version(&self, version: &str) {
        let mut last = self
            .last_cluster_version
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = last.replace(version.to_owned()) {
            self.cluster_version.with_label_values(&[&before]).set(0);
        }
        self.cluster_version.with_label_values(&[version]).set(1);
    }

    /// Counts a promotion that failed, by the text of its error.
    pub fn count_promote_failure(&self, reason: &str) {
        self.learner_promote_failures
            .with_label_values(&[reason])
            .inc();
    }

    /// Counts an alarm up, or down again: by the id of the member in hexadecimal and the kind.
    pub fn add_alarm(&self, server_id: &str, alarm_type: &str, change: i64) {
        self.alarms
            .with_label_values(&[server_id, alarm_type])
            .add(change);
    }
}

/// Durations by success alone.
#[derive(Debug)]
pub struct Success {
    family: HistogramVec,
    series: [OnceLock<Histogram>; 2],
}

impl Success {
    fn new(family: HistogramVec) -> Success {
        Success {
            family,
            series: Default::default(),
        }
    }

    /// Adds one observation.
    pub fn observe(&self, success: bool, seconds: f64) {
        let label = if success { "true" } else { "false" };
        self.series[usize::from(success)]
            .get_or_init(|| self.family.with_label_values(&[label]))
            .observe(seconds);
    }
}

/// Results of `/livez` and `/readyz`.
#[derive(Debug)]
pub struct Health {
    last: IntGaugeVec,
    total: IntCounterVec,
}

impl Health {
    /// Notes the result of one check of a page.
    pub fn note(&self, page: &str, check: &str, good: bool) {
        let status = if good { "success" } else { "error" };
        self.last
            .with_label_values(&[page, check])
            .set(i64::from(good));
        self.total.with_label_values(&[page, check, status]).inc();
    }
}

/// Requests by the version that clients give.
#[derive(Debug)]
pub struct ClientRequests {
    family: IntCounterVec,
    unknown: [OnceLock<IntCounter>; 2],
    /// Versions that have a series. Clients choose the text, so their number is bounded.
    versions: Mutex<Vec<String>>,
}

const VERSIONS_MAX: usize = 64;
const UNKNOWN: &str = "unknown";

impl ClientRequests {
    fn new(family: IntCounterVec) -> ClientRequests {
        ClientRequests {
            family,
            unknown: Default::default(),
            versions: Mutex::default(),
        }
    }

    /// The counter of a kind of request and a version. Keep it for the life of a connection.
    #[must_use]
    pub fn counter(&self, stream: bool, version: Option<&str>) -> IntCounter {
        let kind = if stream { "stream" } else { "unary" };
        match version.filter(|version| self.has_room_for(version)) {
            Some(version) => self.family.with_label_values(&[kind, version]),
            None => self.unknown[usize::from(stream)]
                .get_or_init(|| self.family.with_label_values(&[kind, UNKNOWN]))
                .clone(),
        }
    }

    fn has_room_for(&self, version: &str) -> bool {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if versions.iter().any(|known| known == version) {
            return true;
        }
        let room = versions.len() < VERSIONS_MAX;
        if room {
            versions.push(version.to_owned());
        }
        room
    }
}
