//! What a configuration means for the parts of a member.

use std::sync::Arc;
use std::time::Duration;

use ferrod_node::{MemberId, Severity};

use crate::config::{Config, Gate, MemberUrl};
use crate::engine::Limits;
use crate::peer::PARCEL_BYTES;

/// How leases end; what is left of long ones is recorded now and then if the gate for it is open.
pub(super) fn lease_pace(config: &Config) -> ferrod_lease::Pace {
    const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5 * 60);
    let records = config.gates.is_enabled(Gate::LeaseCheckpoint);
    ferrod_lease::Pace {
        retry: config.request_timeout(),
        checkpoint_interval: records.then_some(CHECKPOINT_INTERVAL),
        ..ferrod_lease::Pace::default()
    }
}

/// The largest parcel: what fits in beside the largest batch of proposals, or beside one request of the largest kind.
pub(super) fn parcel_bytes_max(config: &Config) -> usize {
    let limits = node_limits(config);
    let batch = limits.batch_bytes_max.max(limits.message_bytes_max);
    let largest = batch.max(limits.proposal_bytes_max) as usize;
    2 * PARCEL_BYTES + largest + config.limits.request_bytes_max
}

pub(super) fn node_config(
    config: &Config,
    member: MemberId,
    boot_nonce: u64,
) -> ferrod_node::Config {
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
        // Copies leave at twice the pace at which the log grows, and no state is larger than the quota.
        copying_bytes_max: match config.storage.quota.bytes() {
            Some(quota) => (quota / 2).max(limits.lagging_bytes_max),
            None => limits.copying_bytes_max,
        },
        ..limits
    }
}

/// As long as etcd lets a proposal wait: five seconds and two elections.
fn proposal_wait_ticks(config: &Config) -> u32 {
    let wait = Duration::from_secs(5) + 2 * config.raft.election_timeout;
    let ticks = wait.as_millis() / config.raft.heartbeat_interval.as_millis().max(1);
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

pub(super) fn limits(config: &Config) -> Limits {
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
pub(in super::super) fn texts(urls: &[MemberUrl]) -> Vec<String> {
    urls.iter().map(|url| url.as_str().to_owned()).collect()
}
