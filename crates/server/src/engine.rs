//! What all threads of a member share: the way into the log, and the state that came out of it.

mod changes;
mod flush;
mod leases;
mod lessor;
mod machine;
mod membership;
mod observer;
mod quota;
mod read_rounds;
mod reconfiguration;
mod suspects;
mod waiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use ferrod_env::Clock;
use ferrod_lease::LeaseId;
use ferrod_mvcc::Views;
use ferrod_mvcc::backend::Backend;
use ferrod_node::{MemberId, NodeHandle, Proposal, ProposalId, ReadFailure, Term};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{InternalRaftRequest, RequestHeader, ResponseHeader};
use ferrod_store::{Answer, ClusterView, SharedLeases};
use prost::Message;
use tokio::sync::{Notify, oneshot};
use tonic::Status;

pub(crate) use changes::{PendingChanges, to_entry as change_entry};
pub(crate) use flush::FlushLoop;
pub(crate) use leases::{Forwarded, Renewals, forward_renewals};
pub(crate) use lessor::{KeepAlive, Lessor};
pub(crate) use machine::{Machine, Quota};
pub(crate) use observer::NodeObserver;
pub(crate) use read_rounds::{Passed, ReadRounds};
pub(crate) use reconfiguration::Reachable;
pub(crate) use waiters::{Outcome, Waiters};

use crate::divergence::Comparisons;
use crate::grpc::status;
use crate::ids::{ClusterId, RequestIds};
use crate::mailbox::Mailbox;
use crate::peer::Directory;
use crate::peer::ask::LeaderLine;
use crate::suspect::Suspicion;

/// Committed entries that may wait to be applied before proposals are refused.
const BACKLOG_MAX: u64 = 5000;

/// Pause before something that nobody could take is offered again.
const NO_LEADER_PAUSE: Duration = Duration::from_millis(50);

/// Bounds that the configuration sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of one encoded log entry.
    pub(crate) request_bytes_max: usize,
    /// Operations in one list of a transaction.
    pub(crate) txn_ops_max: usize,
    /// Bytes of backend at which nothing more is stored; `None` is no bound.
    pub(crate) quota_bytes: Option<u64>,
    /// The quota as configured, for those who ask.
    pub(crate) quota_shown: i64,
    /// How long a proposal or a read barrier may take.
    pub(crate) request_timeout: Duration,
    /// Seconds that a lease lives at least.
    pub(crate) lease_ttl_min: i64,
    /// Whether a change of membership must leave a quorum that can be reached.
    pub(crate) strict_reconfig: bool,
    /// Learners that a cluster may have.
    pub(crate) learners_max: usize,
}

impl Limits {
    /// What is added to a request on its way into the log must not make a message too large.
    const MESSAGE_OVERHEAD: usize = 512 << 10;

    /// Bytes of one gRPC message from a client.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.request_bytes_max + Self::MESSAGE_OVERHEAD
    }
}

/// What all threads of a member share.
pub(crate) struct Engine {
    pub(crate) cluster_id: ClusterId,
    pub(crate) member: MemberId,
    pub(crate) limits: Limits,
    pub(crate) election_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    /// A call that takes longer is worth a line in the log.
    pub(crate) slow_call: Duration,
    /// Period of signs of life on watch streams without events.
    pub(crate) watch_progress: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) node: NodeHandle,
    pub(crate) views: Views,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) cluster: ClusterView,
    pub(crate) leases: SharedLeases,
    pub(crate) lessor: Arc<Lessor>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) changes: Arc<PendingChanges>,
    pub(crate) peers: Arc<Directory>,
    /// Where renewals gather that the leader must make.
    pub(crate) renewals: Renewals,
    pub(crate) leader_line: LeaderLine,
    pub(crate) comparisons: Comparisons,
    /// Whether this member is a learner.
    pub(crate) learner: Arc<AtomicBool>,
    pub(crate) read_rounds: Arc<ReadRounds>,
    pub(crate) ids: Arc<RequestIds>,
    /// Something was stored beyond the quota, and the alarm for it is still to be raised.
    pub(crate) quota_exceeded: Arc<AtomicBool>,
    /// There is no room on the disk, so nothing more is accepted.
    pub(crate) disk_full: Arc<AtomicBool>,
    /// Rings when a compaction is through.
    pub(crate) compacted: Arc<Notify>,
    pub(crate) meters: Arc<ferrod_metrics::Metrics>,
    /// Whether this member may be trusted, and what to do when it finds that it may not.
    pub(crate) suspicion: Arc<Suspicion>,
}

impl Engine {
    /// Whether this member only learns; false once it is no member any more.
    pub(crate) fn is_learner(&self) -> bool {
        self.learner.load(Ordering::Relaxed)
    }

    /// The time of day in seconds, for ids alone.
    pub(crate) fn unix_seconds(&self) -> i64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs().cast_signed())
    }

    /// Counts a promotion that this member was asked for.
    pub(crate) fn count_promotion(&self, outcome: &Result<(), Status>) {
        match outcome {
            Ok(()) => self.meters.server.learner_promote_successes.inc(),
            Err(error) if error.message() == ApiError::NotLeader.text() => {}
            Err(error) => self.meters.server.count_promote_failure(error.message()),
        }
    }

    /// A header that speaks for this member.
    pub(crate) fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.cluster_id.0,
            member_id: self.member.0,
            revision,
            raft_term: self.node.status().soft.term.0,
        }
    }

    /// Fills in what only the serving member knows. A revision that is there stays.
    pub(crate) fn fill(&self, header: &mut Option<ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        let revision = if revision == 0 {
            self.views.load().revision()
        } else {
            revision
        };
        *header = Some(self.header(revision));
    }

    /// A request as an entry.
    ///
    /// # Errors
    /// `request is too large`.
    fn to_entry(&self, id: u64, request: Request) -> Result<Bytes, Status> {
        let payload = encode(id, request);
        if payload.len() > self.limits.request_bytes_max {
            return Err(status::of(ApiError::RequestTooLarge));
        }
        Ok(payload)
    }

    /// Offers a request to the log. The answer comes through `mailbox`, or not before `timeout`. With a term, only the leader
    /// of that term may put it into the log.
    ///
    /// Nothing that follows depends on the caller: it may go away at any time.
    ///
    /// # Errors
    /// `too many requests` or `request is too large`: then it is not in the log.
    pub(crate) fn offer_as(
        &self,
        id: u64,
        request: Request,
        mailbox: &Arc<Mailbox>,
        timeout: Duration,
        term: Option<Term>,
    ) -> Result<oneshot::Receiver<Outcome>, Status> {
        self.check_backlog()?;
        let payload = self.to_entry(id, request)?;
        let deadline = self.clock.now() + timeout;
        self.offer_entry(id, payload, mailbox, deadline, term)
    }

    fn check_backlog(&self) -> Result<(), Status> {
        let state = self.node.status();
        if state.committed.0 > state.applied.0 + BACKLOG_MAX {
            return Err(status::of(ApiError::TooManyRequests));
        }
        Ok(())
    }

    fn offer_entry(
        &self,
        id: u64,
        payload: Bytes,
        mailbox: &Arc<Mailbox>,
        deadline: Duration,
        term: Option<Term>,
    ) -> Result<oneshot::Receiver<Outcome>, Status> {
        let receiver = self.waiters.insert(id, mailbox.clone(), deadline);
        let proposal = match term {
            None => Proposal::normal(ProposalId(id), payload),
            Some(term) => Proposal::in_term(ProposalId(id), payload, term),
        };
        self.meters.server.proposals_pending.inc();
        if self.node.propose_as(proposal).is_err() {
            self.waiters.remove(id);
            self.meters.server.proposals_pending.dec();
            return Err(status::of(ApiError::Stopped));
        }
        Ok(receiver)
    }

    /// Puts a request through the log and waits for its answer. While nobody leads, it waits for a leader.
    pub(crate) async fn propose(
        &self,
        request: Request,
        mailbox: &Arc<Mailbox>,
        timeout: Option<Duration>,
    ) -> Result<Answer, Status> {
        let longest = self.limits.request_timeout;
        let timeout = timeout.map_or(longest, |timeout| timeout.min(longest));
        self.check_backlog()?;
        let id = self.ids.next();
        let entry = self.to_entry(id, request)?;
        let deadline = self.clock.now() + timeout;
        loop {
            let offered = self.offer_entry(id, entry.clone(), mailbox, deadline, None)?;
            let outcome = offered.await;
            match outcome.unwrap_or_else(|_| Err(status::of(ApiError::Stopped))) {
                // It is in no log, so it may be offered again.
                Err(refused) if refused.message() == ApiError::NoLeader.text() => {
                    if self.clock.now() + NO_LEADER_PAUSE >= deadline {
                        return Err(Status::deadline_exceeded("context deadline exceeded"));
                    }
                    tokio::time::sleep(NO_LEADER_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits until a read here sees everything that was acknowledged before the call.
    pub(crate) async fn barrier(&self, timeout: Option<Duration>) -> Result<(), Status> {
        self.barrier_by(None, timeout).await
    }

    /// As [`Engine::barrier`], for a reader on the runtime of this mailbox: all of its readers are woken at once.
    pub(crate) async fn barrier_by(
        &self,
        mailbox: Option<&Arc<Mailbox>>,
        timeout: Option<Duration>,
    ) -> Result<(), Status> {
        if self.node.reads_alone() {
            return Ok(());
        }
        let longest = self.limits.request_timeout;
        let timeout = timeout.map_or(longest, |timeout| timeout.min(longest));
        let passed = self.read_rounds.join(&self.node, mailbox);
        match tokio::time::timeout(timeout, passed).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(ReadFailure::LeaderChanged))) => Err(status::of(ApiError::LeaderChanged)),
            Ok(Ok(Err(ReadFailure::Overloaded))) => Err(status::of(ApiError::TooManyRequests)),
            Ok(Ok(Err(ReadFailure::Stopped)) | Err(_)) => Err(status::of(ApiError::Stopped)),
            Err(_) => Err(status::of(ApiError::Timeout)),
        }
    }

    /// Waits until the rows that the compaction at `revision` superseded are deleted, durably.
    pub(crate) async fn wait_compacted(&self, revision: i64) {
        loop {
            let change = self.compacted.notified();
            if self.views.compaction_finished() >= revision {
                return;
            }
            change.await;
        }
    }

    /// The period of one stream's signs of life: up to a tenth longer than configured, by its salt.
    pub(crate) fn watch_progress_interval(&self, salt: u64) -> Duration {
        let base = self.watch_progress.max(Duration::from_millis(100));
        base + base.mul_f64((salt % 1000) as f64 / 10_000.0)
    }

    /// A lease id that nobody has used, for a client that wants one chosen. Positive.
    pub(crate) fn new_lease_id(&self) -> LeaseId {
        LeaseId((self.ids.next() & (u64::MAX >> 1)).cast_signed())
    }
}

fn encode(id: u64, request: Request) -> Bytes {
    let header = Some(RequestHeader {
        id,
        ..RequestHeader::default()
    });
    let entry = InternalRaftRequest {
        header,
        id: 0,
        request: Some(request),
    };
    entry.encode_to_vec().into()
}
