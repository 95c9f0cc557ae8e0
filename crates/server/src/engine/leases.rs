//! Leases in a cluster: only the leader renews, everyone may be asked.
//!
//! The leader renews first and has a quorum confirm it afterwards: who still leads the same term then has led all the
//! while, so the renewal was the legitimate leader's, however long this process was stopped in between. A follower
//! gathers what its clients want renewed and asks the leader for all of it at once.

use std::sync::Arc;
use std::time::Duration;

use ferrod_lease::{Checkpoint, LeaseId, Recording};
use ferrod_node::{MemberId, Role, Term};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{LeaseCheckpoint, LeaseCheckpointRequest};
use ferrod_proto::peer::{
    Answer, RemainingTime, Renewals as WireRenewals, Renewed, TimeToLive, answer, question,
};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::{Engine, KeepAlive, Outcome};
use crate::grpc::status;
use crate::mailbox::Mailbox;

/// Renewals that one question carries.
const BATCH_MAX: usize = 10_000;
/// Leases whose rest one entry records.
const RECORDS_MAX: usize = 1000;
/// Renewals that may wait for the next question.
const WAITING_MAX: usize = 64 << 10;
/// Pause before a leader is looked for again.
const PAUSE: Duration = Duration::from_millis(50);
/// What stands for a lease that has run out and is not gone yet.
const EXPIRED: i64 = -1;

/// One renewal on its way to the leader.
pub(crate) struct Forwarded {
    id: LeaseId,
    reply: oneshot::Sender<Result<KeepAlive, Status>>,
}

/// Where renewals for the leader gather.
#[derive(Clone)]
pub(crate) struct Renewals(mpsc::Sender<Forwarded>);

/// What is left of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remaining {
    /// Whole seconds; negative if it has run out.
    pub(crate) seconds: i64,
    pub(crate) granted: i64,
    pub(crate) keys: Vec<bytes::Bytes>,
}

impl Renewals {
    /// Where they gather, and where they come out.
    pub(crate) fn new() -> (Renewals, mpsc::Receiver<Forwarded>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Renewals(sender), receiver)
    }
}

/// Who can tell about leases.
enum Teller {
    Here,
    There(MemberId),
    Nobody,
}

impl Engine {
    fn teller(&self) -> Teller {
        let soft = self.node.status().soft;
        match soft.leader.known() {
            None => Teller::Nobody,
            Some(leader) if leader == self.member => Teller::Here,
            Some(leader) => Teller::There(leader),
        }
    }

    /// Renews a lease wherever the leader is, and returns its time to live; 0 if there is no such lease.
    ///
    /// # Errors
    /// `no leader`, `request timed out`, or that this member leads and cannot confirm it.
    pub(crate) async fn renew(&self, id: LeaseId) -> Result<i64, Status> {
        let mut last = status::of(ApiError::Timeout);
        let renewal = async {
            loop {
                let change = self.lessor.change();
                let renewed = match self.teller() {
                    Teller::Here => self.renew_here(&[id]).await.map(|renewed| renewed[0]),
                    Teller::There(_) => self.forward(id).await,
                    Teller::Nobody => Err(status::of(ApiError::NoLeader)),
                };
                match renewed {
                    Ok(KeepAlive::Renewed(ttl)) => return ttl,
                    Ok(KeepAlive::Unknown) => return 0,
                    // It will be gone in a moment, here too.
                    Ok(KeepAlive::Expired) => {
                        let _gone = tokio::time::timeout(PAUSE, change).await;
                        continue;
                    }
                    Ok(KeepAlive::NotLeader) => last = not_primary(),
                    Err(error) => last = error,
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let renewed = tokio::time::timeout(self.limits.request_timeout, renewal).await;
        renewed.map_err(|_| match last.message() {
            text if text == ApiError::NoLeader.text() || text == NOT_PRIMARY => last,
            _ => status::of(ApiError::Timeout),
        })
    }

    async fn forward(&self, id: LeaseId) -> Result<KeepAlive, Status> {
        let (reply, receiver) = oneshot::channel();
        let forwarded = Forwarded { id, reply };
        let stopped = || status::of(ApiError::Stopped);
        self.renewals
            .0
            .send(forwarded)
            .await
            .map_err(|_| stopped())?;
        receiver.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Renews leases if this member leads, one result for each, after a quorum has confirmed that it does.
    ///
    /// # Errors
    /// That leadership could not be confirmed.
    pub(crate) async fn renew_here(&self, ids: &[LeaseId]) -> Result<Vec<KeepAlive>, Status> {
        let Some(term) = self.lessor.leading() else {
            return Ok(vec![KeepAlive::NotLeader; ids.len()]);
        };
        let mut recorded = Vec::new();
        let mut renew = |id: &LeaseId| {
            let (renewed, recording) = self.lessor.renew(*id, self.clock.now());
            recorded.extend(recording.map(|recording| (*id, recording)));
            renewed
        };
        let mut renewed: Vec<_> = ids.iter().map(&mut renew).collect();
        self.barrier(None).await?;
        // What was granted through another member may have been committed and not applied before.
        let mut again = false;
        for (id, renewed) in ids.iter().zip(&mut renewed) {
            if *renewed == KeepAlive::Unknown {
                *renewed = renew(id);
                again |= matches!(renewed, KeepAlive::Renewed(_));
            }
        }
        if again {
            self.barrier(None).await?;
        }
        self.clear_records(term, &recorded).await?;
        if self.lessor.leading() != Some(term) {
            return Ok(vec![KeepAlive::NotLeader; ids.len()]);
        }
        let count = renewed
            .iter()
            .filter(|r| matches!(r, KeepAlive::Renewed(_)));
        self.meters.lease.renewed_total.inc_by(count.count() as u64);
        Ok(renewed)
    }

    /// Takes what was recorded as left of leases back through the log: the next leader gives them their full time.
    async fn clear_records(
        &self,
        term: Term,
        recorded: &[(LeaseId, Recording)],
    ) -> Result<(), Status> {
        let mailbox = Arc::new(Mailbox::default());
        for batch in recorded.chunks(RECORDS_MAX) {
            let full = |(id, _): &(LeaseId, Recording)| (*id, 0);
            let waiting = self.offer_records(term, batch.iter().map(full), &mailbox)?;
            let stopped = || status::of(ApiError::Stopped);
            waiting.await.unwrap_or_else(|_| Err(stopped()))?;
            self.lessor.cleared(term, batch);
        }
        Ok(())
    }

    /// Records what is left of leases that have long to live, if this member leads.
    pub(crate) fn record_remaining(&self, mailbox: &Arc<Mailbox>) {
        loop {
            let offer = |term, due: Vec<Checkpoint>| {
                let due = due.into_iter();
                let seconds = due.map(|due| (due.id, due.remaining.seconds()));
                // What is not recorded now is recorded the next time.
                if let Err(error) = self.offer_records(term, seconds, mailbox) {
                    tracing::warn!(%error, "failed to record what is left of leases");
                }
            };
            if self.lessor.record(self.clock.now(), RECORDS_MAX, offer) < RECORDS_MAX {
                return;
            }
        }
    }

    fn offer_records(
        &self,
        term: Term,
        seconds: impl Iterator<Item = (LeaseId, i64)>,
        mailbox: &Arc<Mailbox>,
    ) -> Result<oneshot::Receiver<Outcome>, Status> {
        let checkpoint = |(id, remaining_ttl): (LeaseId, i64)| LeaseCheckpoint {
            id: id.0,
            remaining_ttl,
        };
        let request = Request::LeaseCheckpoint(LeaseCheckpointRequest {
            checkpoints: seconds.map(checkpoint).collect(),
        });
        let timeout = self.limits.request_timeout;
        self.offer_as(self.ids.next(), request, mailbox, timeout, Some(term))
    }

    /// What is left of a lease, as the leader knows it; `None` if there is no such lease.
    ///
    /// # Errors
    /// `no leader`, `leader changed`, `request timed out`.
    pub(crate) async fn time_to_live(
        &self,
        id: LeaseId,
        keys: bool,
    ) -> Result<Option<Remaining>, Status> {
        let mut last = status::of(ApiError::Timeout);
        let lookup = async {
            loop {
                let found = match self.teller() {
                    Teller::Here => self.time_to_live_here(id, keys).await,
                    Teller::There(leader) => self.time_to_live_there(leader, id, keys).await,
                    Teller::Nobody => Err(status::of(ApiError::NoLeader)),
                };
                match found {
                    Ok(found) => return found,
                    Err(error) => last = error,
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let found = tokio::time::timeout(self.limits.request_timeout, lookup).await;
        found.map_err(|_| match ApiError::from_text(last.message()) {
            Some(ApiError::NoLeader | ApiError::LeaderChanged) => last,
            _ => status::of(ApiError::Timeout),
        })
    }

    async fn time_to_live_here(
        &self,
        id: LeaseId,
        keys: bool,
    ) -> Result<Option<Remaining>, Status> {
        let changed = || status::of(ApiError::LeaderChanged);
        let term = self.lessor.leading().ok_or_else(changed)?;
        self.barrier(None).await?;
        let found = self.look_up(id, keys);
        if found.is_none() {
            // A lease goes when its end is applied, and its keys are seen to go when the batch is published, a moment
            // later. Who hears that it is gone must not find them any more.
            self.read_rounds.see_all().await;
        }
        if self.lessor.leading() == Some(term) {
            Ok(found)
        } else {
            Err(changed())
        }
    }

    /// What is applied of a lease here, and how long it has if this member leads.
    fn look_up(&self, id: LeaseId, keys: bool) -> Option<Remaining> {
        let seconds = self.lessor.remaining(id, self.clock.now())?;
        let leases = self.leases.read();
        let lease = leases.get(id)?;
        Some(Remaining {
            seconds,
            granted: lease.ttl().seconds(),
            keys: if keys {
                lease.keys().cloned().collect()
            } else {
                Vec::new()
            },
        })
    }

    async fn time_to_live_there(
        &self,
        leader: MemberId,
        id: LeaseId,
        keys: bool,
    ) -> Result<Option<Remaining>, Status> {
        let question = question::Content::TimeToLive(TimeToLive { id: id.0, keys });
        match self.leader_line.ask(leader, question).await?.content {
            Some(answer::Content::Remaining(found)) if found.known => Ok(Some(Remaining {
                seconds: found.seconds,
                granted: found.granted,
                keys: found.keys,
            })),
            Some(answer::Content::Remaining(_)) => Ok(None),
            _ => Err(nonsense()),
        }
    }

    /// Answers another member's renewals.
    pub(crate) async fn answer_renewals(&self, wanted: WireRenewals) -> Result<Answer, Status> {
        let ids: Vec<_> = wanted.leases.into_iter().map(LeaseId).collect();
        let mut ttls = Vec::with_capacity(ids.len());
        for renewed in self.renew_here(&ids).await? {
            ttls.push(match renewed {
                KeepAlive::Renewed(ttl) => ttl,
                KeepAlive::Unknown => 0,
                KeepAlive::Expired => EXPIRED,
                KeepAlive::NotLeader => return Err(not_primary()),
            });
        }
        Ok(Answer {
            content: Some(answer::Content::Renewed(Renewed { ttls })),
        })
    }

    /// Answers another member's question about one lease.
    pub(crate) async fn answer_time_to_live(&self, wanted: TimeToLive) -> Result<Answer, Status> {
        let found = self
            .time_to_live_here(LeaseId(wanted.id), wanted.keys)
            .await?;
        let remaining = found.map_or_else(RemainingTime::default, |found| RemainingTime {
            known: true,
            seconds: found.seconds,
            granted: found.granted,
            keys: found.keys,
        });
        Ok(Answer {
            content: Some(answer::Content::Remaining(remaining)),
        })
    }
}

/// etcd's words for a leader that cannot confirm that it leads.
const NOT_PRIMARY: &str = "not a primary lessor";

fn not_primary() -> Status {
    Status::unknown(NOT_PRIMARY)
}

fn nonsense() -> Status {
    Status::unavailable("the leader answered another question")
}

/// Takes renewals to the leader, for ever: all that have gathered since the last answer go together.
pub(crate) async fn forward_renewals(engine: Arc<Engine>, mut waiting: mpsc::Receiver<Forwarded>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let results = ask_leader(&engine, &batch).await;
        for (at, forwarded) in batch.drain(..).enumerate() {
            let result = match &results {
                Ok(renewed) => Ok(renewed[at]),
                Err(error) => Err(error.clone()),
            };
            // Who asked may have gone away.
            let _gone = forwarded.reply.send(result);
        }
    }
}

/// One result for each renewal.
async fn ask_leader(engine: &Engine, batch: &[Forwarded]) -> Result<Vec<KeepAlive>, Status> {
    let soft = engine.node.status().soft;
    let leader = soft.leader.known().filter(|_| soft.role != Role::Leader);
    let leader = leader.ok_or_else(|| status::of(ApiError::NoLeader))?;
    let leases = batch.iter().map(|forwarded| forwarded.id.0).collect();
    let question = question::Content::Renew(WireRenewals { leases });
    let answer = engine.leader_line.ask(leader, question).await?;
    let Some(answer::Content::Renewed(Renewed { ttls })) = answer.content else {
        return Err(nonsense());
    };
    if ttls.len() != batch.len() {
        return Err(nonsense());
    }
    let result = |ttl: i64| match ttl {
        EXPIRED => KeepAlive::Expired,
        0 => KeepAlive::Unknown,
        ttl => KeepAlive::Renewed(ttl),
    };
    Ok(ttls.into_iter().map(result).collect())
}
