//! Hears what the node has to tell beside the log: refusals, failures, and how long the disk takes.

use std::sync::Arc;
use std::time::Duration;

use ferrod_node::{DropReason, Error, Observer, ProposalId, WriteStats};
use ferrod_proto::ApiError;
use tokio::sync::watch;
use tonic::Status;

use super::Waiters;
use super::changes::{Ending, PendingChanges};
use crate::config::GoDuration;
use crate::grpc::status;
use crate::suspect::Suspicion;

/// A sync that takes longer is worth a line in the log.
const SLOW_SYNC: Duration = Duration::from_secs(1);

/// Hears what the node has to tell.
pub(crate) struct NodeObserver {
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) changes: Arc<PendingChanges>,
    pub(crate) meters: Arc<ferrod_metrics::Metrics>,
    /// Why the member must stop, once it must.
    pub(crate) fatal: watch::Sender<Option<String>>,
    pub(crate) suspicion: Arc<Suspicion>,
}

impl Observer for NodeObserver {
    fn dropped(&self, ids: Vec<ProposalId>, reason: DropReason) {
        for ProposalId(id) in ids {
            // PendingChanges of membership are not counted among proposals.
            if self.changes.end(id, Ending::Dropped(reason)) {
                continue;
            }
            self.meters.server.proposals_failed_total.inc();
            if let Some(waiter) = self.waiters.remove(id) {
                self.meters.server.proposals_pending.dec();
                // A caller that has gone away wants no answer.
                let _gone = waiter.sender.send(Err(refusal(reason)));
            }
        }
    }

    fn failed(&self, error: &Error) {
        if let Error::Forgotten(forgotten) = error {
            return self.suspicion.must_heal(&forgotten.to_string());
        }
        self.suspicion.look_at(error);
        let text = crate::logging::error_chain(error);
        // Nobody listens any more when the member stops anyway.
        let _stopping = self.fatal.send(Some(text));
    }

    fn written(&self, took: Duration, stats: WriteStats) {
        self.meters
            .disk
            .wal_write_bytes_total
            .add(stats.bytes as i64);
        if stats.synced {
            self.meters
                .disk
                .wal_fsync_duration_seconds
                .observe(took.as_secs_f64());
        }
        if took >= SLOW_SYNC {
            tracing::warn!(
                took = %GoDuration::from(took),
                "expected-duration" = %GoDuration::from(SLOW_SYNC),
                "slow fdatasync"
            );
        }
    }
}

/// The proposal is not in the log and will never be, so every one of these is a definite no.
pub(super) fn refusal(reason: DropReason) -> Status {
    match reason {
        DropReason::NoLeader => status::of(ApiError::NoLeader),
        DropReason::Overloaded => status::of(ApiError::TooManyRequests),
        DropReason::NoSpace => status::of(ApiError::NoSpace),
        DropReason::Stopped => status::of(ApiError::Stopped),
        DropReason::WrongTerm
        | DropReason::ConfChangePending
        | DropReason::NotMember
        | DropReason::Malformed => Status::unknown("raft proposal dropped"),
    }
}
