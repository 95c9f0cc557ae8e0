//! What a member does by the clock: ends waits, expires leases, compacts.

mod auto_compaction;

use std::sync::Arc;
use std::time::Duration;

use ferrod_lease::LeaseId;
use ferrod_node::Term;
use ferrod_proto::etcdserverpb::LeaseRevokeRequest;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::engine::Engine;
use crate::mailbox::Mailbox;

/// How exactly the end of a wait is kept.
const WAIT_TICK: Duration = Duration::from_millis(100);
/// How often leases are looked at, and how many may end each time.
const LEASE_TICK: Duration = Duration::from_millis(250);
const LEASES_PER_TICK: usize = 1000;

/// Starts everything; it goes on until the set is dropped.
pub(super) fn start(engine: &Arc<Engine>, config: &Config) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(end_waits(engine.clone()));
    tasks.spawn(expire_leases(engine.clone()));
    tasks.spawn(auto_compaction::run(engine.clone(), config.compaction.auto));
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

async fn expire_leases(engine: Arc<Engine>) {
    // Nobody waits for these answers, so the mailbox of no runtime is used.
    let mailbox = Arc::new(Mailbox::default());
    let mut tick = tokio::time::interval(LEASE_TICK);
    loop {
        tick.tick().await;
        // A leader that may have been deposed without noticing must not end anything.
        if engine.barrier(None).await.is_err() {
            continue;
        }
        if let Some((term, expired)) = engine.lessor.expired(engine.clock.now(), LEASES_PER_TICK) {
            for id in expired {
                revoke(&engine, &mailbox, id, term);
            }
        }
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
