//! Changing who is in the cluster, and who leads it.

use std::time::Duration;

use ferrod_node::{DropReason, MemberId, Progress, Proposal, ProposalId, Role};
use ferrod_proto::ApiError;
use ferrod_proto::peer::{Answer, Promoted, Promotion, answer, question};
use ferrod_store::MemberChange;
use tokio::sync::oneshot;
use tonic::Status;

use super::changes::{self, Ending};
use super::{Engine, NO_LEADER_PAUSE, Reachable};
use crate::grpc::status;

/// How long a change waits for the state machine to have applied what is committed.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);
/// A learner must have this share of the leader's log, as numerator and denominator.
const READY_SHARE: (u64, u64) = (9, 10);

impl Engine {
    /// Puts a change of membership through the log; returns when it is in force here. Without `timeout` it waits for a
    /// quorum for as long as it takes, as etcd does.
    ///
    /// # Errors
    /// Why the change is refused; that it may be lost, or that the time is up: then it may still come.
    pub(crate) async fn change_members(
        &self,
        change: &MemberChange,
        timeout: Option<Duration>,
    ) -> Result<(), Status> {
        let proposing = self.propose_change(change);
        match timeout {
            None => proposing.await,
            Some(timeout) => tokio::time::timeout(timeout, proposing)
                .await
                .unwrap_or_else(|_| Err(status::of(ApiError::Timeout))),
        }
    }

    async fn propose_change(&self, change: &MemberChange) -> Result<(), Status> {
        loop {
            let id = self.ids.next();
            let term = self.node.status().soft.term;
            let entry = changes::to_entry(id, change);
            let mut wait = self.changes.begin(id, term);
            let proposal = Proposal::conf_change(ProposalId(id), &entry);
            if self.node.propose_as(proposal).is_err() {
                return Err(status::of(ApiError::Stopped));
            }
            return match wait.ending().await {
                Some(Ending::Applied(result)) => result.map_err(status::of),
                // It is certain that this one never comes, so another may be made.
                Some(Ending::Dropped(DropReason::NoLeader)) => {
                    tokio::time::sleep(NO_LEADER_PAUSE).await;
                    continue;
                }
                Some(Ending::Dropped(reason)) => Err(super::observer::refusal(reason)),
                Some(Ending::TermEnded) => Err(status::of(ApiError::TimeoutLeaderFailure)),
                None => Err(status::of(ApiError::Stopped)),
            };
        }
    }

    /// What strict checks look at, handed to `check`; nothing is looked at if they are off.
    pub(crate) fn strictly(
        &self,
        check: impl FnOnce(&Reachable<'_>) -> Result<(), ApiError>,
    ) -> Result<(), Status> {
        if !self.limits.strict_reconfig {
            return Ok(());
        }
        let cluster = self.cluster.load();
        let reachable = Reachable {
            members: &cluster.members,
            local: self.member,
            connected_since: &|peer| self.connected_since(peer),
            now: self.clock.now(),
        };
        check(&reachable).map_err(status::of)
    }

    /// Since when this member is connected to a peer without a break.
    fn connected_since(&self, peer: MemberId) -> Option<Duration> {
        self.peers.get(peer)?.active_since()
    }

    /// Whether a learner may get a vote, as only the leader knows.
    ///
    /// # Errors
    /// `not leader`; `member not found`; that the learner lags; those of the strict checks.
    pub(crate) async fn judge_promotion(&self, id: MemberId) -> Result<(), Status> {
        self.catch_up().await?;
        let leads = self.node.status().soft.role == Role::Leader;
        let Some(progress) = self.progress().await.filter(|_| leads) else {
            return Err(status::of(ApiError::NotLeader));
        };
        let matched = |member: MemberId| {
            let of_member = progress.iter().find(|p| p.member == member);
            of_member.map(|p| p.matched.0)
        };
        let Some(learner) = matched(id) else {
            return Err(status::of(ApiError::MemberNotFound));
        };
        let leader = matched(self.member).unwrap_or_default();
        let (part, whole) = READY_SHARE;
        if learner.saturating_mul(whole) < leader.saturating_mul(part) {
            return Err(status::of(ApiError::LearnerNotReady));
        }
        self.strictly(|reachable| reachable.check_promote())
    }

    /// Gives a learner a vote, by way of the leader.
    ///
    /// # Errors
    /// Those of [`Engine::judge_promotion`] and [`Engine::change_members`].
    pub(crate) async fn promote(
        &self,
        id: MemberId,
        timeout: Option<Duration>,
    ) -> Result<(), Status> {
        match self.promote_here(id, timeout).await {
            Err(refused) if refused.message() == ApiError::NotLeader.text() => {
                self.promote_there(id).await
            }
            promoted => promoted,
        }
    }

    /// As [`Engine::promote`], on the leader alone.
    ///
    /// # Errors
    /// Also `not leader`.
    pub(crate) async fn promote_here(
        &self,
        id: MemberId,
        timeout: Option<Duration>,
    ) -> Result<(), Status> {
        let promoted = async {
            self.judge_promotion(id).await?;
            self.change_members(&MemberChange::Promote(id.0), timeout)
                .await
        }
        .await;
        self.count_promotion(&promoted);
        promoted
    }

    /// Asks whoever leads, again and again; only what says something about the learner ends that early.
    async fn promote_there(&self, id: MemberId) -> Result<(), Status> {
        let mut last = ApiError::Timeout;
        let asking = async {
            loop {
                let question = question::Content::Promote(Promotion { member: id.0 });
                let leader = self.node.status().soft.leader.known();
                let Some(leader) = leader.filter(|leader| *leader != self.member) else {
                    last = ApiError::NoLeader;
                    tokio::time::sleep(NO_LEADER_PAUSE).await;
                    continue;
                };
                last = ApiError::Timeout;
                let refused = match self.leader_line.ask(leader, question).await {
                    // The answer lists the members as this one knows them, so it must have heard.
                    Ok(_) => return self.barrier(None).await,
                    Err(refused) => refused,
                };
                let final_word = [
                    ApiError::MemberNotFound,
                    ApiError::LearnerNotReady,
                    ApiError::NotLearner,
                ];
                if final_word
                    .iter()
                    .any(|error| error.text() == refused.message())
                {
                    return Err(refused);
                }
                tokio::time::sleep(NO_LEADER_PAUSE).await;
            }
        };
        let asked = tokio::time::timeout(self.limits.request_timeout, asking).await;
        asked.unwrap_or_else(|_| Err(status::of(last)))
    }

    /// Answers another member that wants a learner promoted.
    pub(crate) async fn answer_promotion(&self, wanted: Promotion) -> Result<Answer, Status> {
        let id = MemberId(wanted.member);
        let timeout = self.limits.request_timeout;
        self.promote_here(id, Some(timeout)).await?;
        Ok(Answer {
            content: Some(answer::Content::Promoted(Promoted {})),
        })
    }

    /// How far each member is; `None` if this member does not lead.
    pub(crate) async fn progress(&self) -> Option<Vec<Progress>> {
        let (sender, receiver) = oneshot::channel();
        self.node.progress(Box::new(move |progress| {
            // Who asked may have gone away.
            let _gone = sender.send(progress);
        }));
        receiver.await.ok().flatten()
    }

    /// Waits a little for everything committed to be applied here.
    ///
    /// # Errors
    /// `waiting for the applied index took too long`.
    pub(crate) async fn catch_up(&self) -> Result<(), Status> {
        let committed = self.node.status().committed;
        let caught_up = async {
            while self.node.status().applied < committed {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(CATCH_UP_MAX, caught_up)
            .await
            .map_err(|_| status::of(ApiError::TimeoutWaitAppliedIndex))
    }

    /// Hands leadership to this member and waits until it leads.
    ///
    /// # Errors
    /// `not leader`; `bad leader transferee`; that it took longer than `timeout`.
    pub(crate) async fn move_leader(
        &self,
        target: MemberId,
        timeout: Option<Duration>,
    ) -> Result<(), Status> {
        if self.node.status().soft.leader != self.member {
            return Err(status::of(ApiError::NotLeader));
        }
        let cluster = self.cluster.load();
        if cluster
            .members
            .present
            .get(&target.0)
            .is_none_or(|m| m.is_learner)
        {
            return Err(status::of(ApiError::BadLeaderTransferee));
        }
        tracing::info!(
            "local-member-id" = %self.member,
            "transferee-member-id" = %target,
            "leadership transfer starting"
        );
        let moving = self.await_leader(target);
        let moved = match timeout {
            None => {
                moving.await;
                Ok(())
            }
            Some(timeout) => tokio::time::timeout(timeout, moving).await,
        };
        let took_too_long = "etcdserver: request timed out, leader transfer took too long";
        moved.map_err(|_| Status::unknown(took_too_long))?;
        tracing::info!(
            "local-member-id" = %self.member,
            "transferee-member-id" = %target,
            "leadership transfer finished"
        );
        Ok(())
    }

    /// Asks again once raft has given up, for as long as this member leads.
    async fn await_leader(&self, target: MemberId) {
        let mut asked = None;
        loop {
            let soft = self.node.status().soft;
            if soft.leader == target {
                return;
            }
            let now = self.clock.now();
            let given_up = asked.is_none_or(|asked| asked + 2 * self.election_timeout <= now);
            if soft.role == Role::Leader && given_up {
                self.node.transfer_leader(target);
                asked = Some(now);
            }
            tokio::time::sleep(self.heartbeat_interval).await;
        }
    }
}
