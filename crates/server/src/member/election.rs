//! The first election after a start, which need not wait for a whole timeout.
//!
//! The timeout is there to hear of a leader that exists. A member that is connected to others hears of one within a
//! heartbeat or two, so most of its first timeout is of no use.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{GoDuration, Raft};
use crate::engine::Engine;

/// How often connections are looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Lets most of the first election timeout pass at once, as soon as this member is connected to two others. If that takes
/// too long, it waits like any member that hears nothing.
pub(super) async fn hasten_first(engine: Arc<Engine>, raft: Raft, members_count: usize) {
    if members_count == 1 {
        let ticks = raft.election_ticks.saturating_sub(1);
        tracing::info!(
            "local-member-id" = %engine.member,
            "forward-ticks" = ticks,
            "forward-duration" = %span(&raft, ticks),
            "election-ticks" = raft.election_ticks,
            "election-timeout" = %span(&raft, raft.election_ticks),
            "started as single-node; fast-forwarding election ticks"
        );
        // The only voter campaigns at once by itself.
        return;
    }
    if !raft.initial_election_tick_advance {
        tracing::info!(
            "election-ticks" = raft.election_ticks,
            "skipping initial election tick advance"
        );
        return;
    }
    tracing::info!(
        "election-ticks" = raft.election_ticks,
        "starting initial election tick advance"
    );
    let connected = tokio::time::timeout(raft.read_timeout, two_peers(&engine)).await;
    let Ok(active) = connected else { return };
    let ticks = raft.election_ticks.saturating_sub(2);
    tracing::info!(
        "local-member-id" = %engine.member,
        "forward-ticks" = ticks,
        "forward-duration" = %span(&raft, ticks),
        "election-ticks" = raft.election_ticks,
        "election-timeout" = %span(&raft, raft.election_ticks),
        "active-remote-members" = active,
        "initialized peer connections; fast-forwarding election ticks"
    );
    engine.node.hasten(ticks);
}

/// Returns how many peers are connected, once it is more than one.
async fn two_peers(engine: &Engine) -> usize {
    loop {
        let peers = engine.peers.all();
        let active = peers.iter().filter(|peer| peer.active_since().is_some());
        let count = active.count();
        if count > 1 {
            return count;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

fn span(raft: &Raft, ticks: u32) -> GoDuration {
    GoDuration::from(raft.heartbeat_interval * ticks)
}
