//! Whether there is room for a request.

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{AlarmRequest, AlarmType, alarm_request::AlarmAction};
use tonic::Status;

use super::Engine;
use crate::grpc::status;
use crate::mailbox::Mailbox;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Engine {
    /// Bytes of the backend, what waits to be written included.
    pub(crate) fn backend_bytes(&self) -> Result<u64, Status> {
        let sizes = self
            .backend
            .sizes()
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(sizes.allocated_bytes + self.views.unflushed_bytes() as u64)
    }

    /// Refuses a request for which there is no room, and raises the alarm for it.
    ///
    /// A full disk raises no alarm: it concerns this member alone, and ends by itself.
    ///
    /// # Errors
    /// `database space exceeded`; the request was not offered to the log.
    pub(crate) async fn make_room(&self, cost: u64, mailbox: &Arc<Mailbox>) -> Result<(), Status> {
        if cost > 0 && self.disk_full.load(Ordering::Relaxed) {
            return Err(status::of(ApiError::NoSpace));
        }
        let Some(quota) = self.limits.quota_bytes else {
            return Ok(());
        };
        if cost == 0 || self.backend_bytes()? + cost < quota {
            return Ok(());
        }
        self.raise_no_space(mailbox).await;
        Err(status::of(ApiError::NoSpace))
    }

    /// Raises the alarm for what was stored beyond the quota, if anything was.
    pub(crate) async fn raise_if_exceeded(&self, mailbox: &Arc<Mailbox>) {
        if self.quota_exceeded.swap(false, Ordering::Relaxed)
            && !self.cluster.is_raised(AlarmType::Nospace)
        {
            self.raise_no_space(mailbox).await;
        }
    }

    async fn raise_no_space(&self, mailbox: &Arc<Mailbox>) {
        let alarm = AlarmRequest {
            action: AlarmAction::Activate as i32,
            member_id: self.member.0,
            alarm: AlarmType::Nospace as i32,
        };
        if let Err(error) = self.propose(Request::Alarm(alarm), mailbox, None).await {
            // The answer is the same; the next request raises the alarm again.
            tracing::warn!(%error, "failed to raise alarm");
        }
    }
}
