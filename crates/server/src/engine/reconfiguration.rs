//! Whether a change of membership leaves a quorum that can be reached: the strict checks, made before a change is proposed.
//!
//! Source: etcd's `--strict-reconfig-check`. A member counts as started once it has said its name through the log, and as
//! healthy once it has been connected without a break for a while.

use std::time::Duration;

use ferrod_node::MemberId;
use ferrod_proto::ApiError;
use ferrod_store::{Member, Members};

/// How long a peer must have been connected to count as healthy.
const HEALTHY_AFTER: Duration = Duration::from_secs(5);

/// What this member knows of the others at one moment.
pub(crate) struct Reachable<'a> {
    pub(crate) members: &'a Members,
    pub(crate) local: MemberId,
    /// Since when this member is connected to a peer without a break.
    pub(crate) connected_since: &'a dyn Fn(MemberId) -> Option<Duration>,
    pub(crate) now: Duration,
}

impl Reachable<'_> {
    /// Whether a member may be added.
    ///
    /// # Errors
    /// `not enough started members`, `unhealthy cluster`.
    pub(crate) fn check_add(&self, is_learner: bool) -> Result<(), ApiError> {
        let voters = self.voters().count();
        if !is_learner {
            self.check_growth()?;
        }
        // Whoever is new is taken to be down at first. That a learner leaves the quorum as it is plays no part, as in etcd:
        // what is to replace a member of three that is down comes after its removal.
        if voters == 1 || self.healthy() > voters.div_ceil(2) {
            return Ok(());
        }
        tracing::warn!(
            "local-member-id" = %self.local,
            error = ApiError::UnhealthyCluster.text(),
            "rejecting member add request; local member has not been connected to majority peers, reconfigure breaks active quorum"
        );
        Err(ApiError::UnhealthyCluster)
    }

    /// Whether one more voter, which has not started, leaves a quorum of started ones.
    fn check_growth(&self) -> Result<(), ApiError> {
        let (started, voters) = (self.started(), self.voters().count() + 1);
        // From one to two members there is no way but this.
        if started > voters / 2 || (started == 1 && voters == 2) {
            return Ok(());
        }
        self.refuse_for_started("rejecting member add request; not enough healthy members");
        Err(ApiError::NotEnoughStarted)
    }

    /// Whether a learner, which runs, may get a vote.
    ///
    /// # Errors
    /// `not enough started members`.
    pub(crate) fn check_promote(&self) -> Result<(), ApiError> {
        let (started, voters) = (self.started() + 1, self.voters().count() + 1);
        if started > voters / 2 {
            return Ok(());
        }
        self.refuse_for_started("rejecting member promote request; not enough healthy members");
        Err(ApiError::NotEnoughStarted)
    }

    /// Whether this member may be removed.
    ///
    /// # Errors
    /// `not enough started members`, `unhealthy cluster`.
    pub(crate) fn check_remove(&self, id: MemberId) -> Result<(), ApiError> {
        if self
            .members
            .present
            .get(&id.0)
            .is_some_and(|m| m.is_learner)
        {
            return Ok(());
        }
        let others = || self.voters().filter(|voter| voter.id != id.0);
        let started = others().filter(|voter| is_started(voter)).count();
        if started <= others().count() / 2 {
            self.refuse_for_started("rejecting member remove request; not enough healthy members");
            return Err(ApiError::NotEnoughStarted);
        }
        // Who is down is no part of the quorum that works.
        if id != self.local && (self.connected_since)(id).is_none() {
            return Ok(());
        }
        let voters = self.voters().count();
        if self.healthy() > 1 + voters.saturating_sub(1) / 2 {
            return Ok(());
        }
        tracing::warn!(
            "local-member-id" = %self.local,
            "requested-member-remove" = %id,
            "active-peers" = self.healthy(),
            error = ApiError::UnhealthyCluster.text(),
            "rejecting member remove request; local member has not been connected to all peers, reconfigure breaks active quorum"
        );
        Err(ApiError::UnhealthyCluster)
    }

    fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.present.values().filter(|m| !m.is_learner)
    }

    fn started(&self) -> usize {
        self.voters().filter(|voter| is_started(voter)).count()
    }

    /// Voters, this member too, that have been connected for a while.
    fn healthy(&self) -> usize {
        let connected = |voter: &&Member| {
            let since = (self.connected_since)(MemberId(voter.id));
            voter.id == self.local.0 || since.is_some_and(|since| since + HEALTHY_AFTER <= self.now)
        };
        self.voters().filter(connected).count()
    }

    fn refuse_for_started(&self, message: &str) {
        tracing::warn!(
            "local-member-id" = %self.local,
            error = ApiError::NotEnoughStarted.text(),
            "{message}"
        );
    }
}

fn is_started(member: &Member) -> bool {
    !member.name.is_empty()
}

#[cfg(test)]
mod tests;
