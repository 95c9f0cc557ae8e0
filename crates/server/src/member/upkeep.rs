//! What a member does by the clock: ends waits, expires leases and records what is left of them, compacts, compares itself
//! with the others.

mod auto_compaction;

use std::sync::Arc;
use std::time::Duration;

use ferrod_lease::LeaseId;
use ferrod_node::Term;
use ferrod_proto::etcdserverpb::LeaseRevokeRequest;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::peer::question;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::divergence;
use crate::engine::{Engine, Forwarded, forward_renewals};
use crate::mailbox::Mailbox;
use crate::peer::ask::Asked;

/// How exactly the end of a wait is kept.
const WAIT_TICK: Duration = Duration::from_millis(100);
/// How often leases are looked at, and how many may end each time.
const LEASE_TICK: Duration = Duration::from_millis(250);
const LEASES_PER_TICK: usize = 1000;

/// What comes in for these tasks.
pub(super) struct Inboxes {
    /// Renewals for the leader.
    pub(super) renewals: mpsc::Receiver<Forwarded>,
    /// Questions of other members.
    pub(super) questions: mpsc::Receiver<Asked>,
}

/// Starts everything; it goes on until the set is dropped. A member that had data before asks to be compared.
pub(super) fn start(
    engine: &Arc<Engine>,
    config: &Config,
    inboxes: Inboxes,
    had_data: bool,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(end_waits(engine.clone()));
    tasks.spawn(expire_leases(engine.clone()));
    tasks.spawn(forward_renewals(engine.clone(), inboxes.renewals));
    tasks.spawn(answer_questions(engine.clone(), inboxes.questions));
    tasks.spawn(auto_compaction::run(engine.clone(), config.compaction.auto));
    tasks.spawn(divergence::compare(engine.clone(), config.checks));
    if had_data {
        tasks.spawn(divergence::ask_for_comparison(engine.clone()));
    }
    tasks
}

async fn end_waits(engine: Arc<Engine>) {
    let mailbox = Arc::new(Mailbox::default());
    let mut tick = tokio::time::interval(WAIT_TICK);
    loop {
        tick.tick().await;
        let expired = engine.waiters.expire(engine.clock.now());
        // Apart from this loop, which ends the wait for the alarm too.
        let (raising, mailbox) = (engine.clone(), mailbox.clone());
        tokio::spawn(async move { raising.raise_if_exceeded(&mailbox).await });
        engine.meters.server.proposals_pending.sub(expired as i64);
        engine
            .meters
            .server
            .proposals_failed_total
            .inc_by(expired as u64);
    }
}

/// Answers what other members ask, each question on its own: one may wait for a quorum.
async fn answer_questions(engine: Arc<Engine>, mut questions: mpsc::Receiver<Asked>) {
    let mut answering = JoinSet::new();
    while let Some(asked) = questions.recv().await {
        while answering.try_join_next().is_some() {}
        answering.spawn(answer(engine.clone(), asked));
    }
}

async fn answer(engine: Arc<Engine>, asked: Asked) {
    let timeout = Some(engine.limits.request_timeout);
    // Who asked may have gone away.
    match asked {
        Asked::Question { content, reply } => {
            let answer = match content {
                question::Content::Renew(wanted) => engine.answer_renewals(wanted).await,
                question::Content::TimeToLive(wanted) => engine.answer_time_to_live(wanted).await,
                question::Content::Promote(wanted) => engine.answer_promotion(wanted).await,
                question::Content::Suspect(asked) => engine.answer_suspect(asked).await,
                question::Content::Hash(wanted) => engine.answer_hash(wanted).await,
                question::Content::Diverged(notice) => engine.answer_diverged(notice).await,
                question::Content::Compare(_) => engine.answer_comparison(),
            };
            let _gone = reply.send(answer);
        }
        Asked::Promote { member, reply } => {
            let _gone = reply.send(engine.promote(member, timeout).await);
        }
        Asked::Barrier { reply } => {
            let _gone = reply.send(engine.barrier(timeout).await);
        }
    }
}

async fn expire_leases(engine: Arc<Engine>) {
    // Nobody waits for these answers, so the mailbox of no runtime is used.
    let mailbox = Arc::new(Mailbox::default());
    let mut tick = tokio::time::interval(LEASE_TICK);
    loop {
        tick.tick().await;
        if engine.lessor.leading().is_none() {
            continue;
        }
        // A leader that may have been deposed without noticing must not end anything.
        if engine.barrier(None).await.is_err() {
            continue;
        }
        if let Some((term, expired)) = engine.lessor.expired(engine.clock.now(), LEASES_PER_TICK) {
            for id in expired {
                revoke(&engine, &mailbox, id, term);
            }
        }
        engine.record_remaining(&mailbox);
    }
}

/// Offers a revocation. If it does not come to pass, the lease is named again after a while.
fn revoke(engine: &Engine, mailbox: &Arc<Mailbox>, id: LeaseId, term: Term) {
    fail::fail_point!("leaseBeforeRevokeExpired");
    let request = Request::LeaseRevoke(LeaseRevokeRequest { id: id.0 });
    let timeout = engine.limits.request_timeout;
    let offered = engine.offer_as(engine.ids.next(), request, mailbox, timeout, Some(term));
    if let Err(error) = offered {
        tracing::warn!("lease-id" = %format!("{:016x}", id.0), %error, "failed to revoke lease");
    }
}
