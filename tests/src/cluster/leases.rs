//! Leases whose clients ask a member that does not lead.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseTimeToLiveRequest, MoveLeaderRequest,
};
use tonic::Status;

use super::team::Team;
use crate::clock::poll;

const LEASE: i64 = 815;
/// Long enough for any trouble here.
const TTL: i64 = 120;
/// As long as anything may take that must come to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// A follower that has lost the leader, and not the third member, renews nothing; and it does again once it has found
/// the leader.
// covers: P-L-04, P-L-06, N-02
pub(super) async fn cut_off(team: &mut Team) -> Result<()> {
    let leader = team.leader().await?;
    let follower = team.beside(leader);
    grant(team, follower, TTL).await?;
    let renewed = renew(team, follower).await??;
    ensure!(renewed == TTL, "a follower renewed for {renewed} s");

    for (from, to) in [(leader, follower), (follower, leader)] {
        team.network().lose(from, to)?;
    }
    // What is on its way when the network breaks may still come through, so the second answer counts.
    let _either = renew(team, follower).await?;
    let renewed = renew(team, follower).await?;
    ensure!(
        renewed.is_err(),
        "without the leader a follower renewed for {renewed:?} s"
    );
    let renewed = renew(team, leader).await??;
    ensure!(renewed == TTL, "the leader renewed for {renewed} s");
    for (from, to) in [(leader, follower), (follower, leader)] {
        team.network().find(from, to)?;
    }
    let again = poll(PATIENCE, async || {
        let renewed = renew(team, follower).await.ok()?.ok()?;
        (renewed == TTL).then_some(())
    });
    again.await.context("a follower renews nothing any more")?;
    let left = left(team, team.beside(follower)).await?;
    ensure!((1..=TTL).contains(&left), "{left} s are left");
    Ok(())
}

/// Long enough that what is left of it is recorded, twice.
const LONG_TTL: i64 = 1500;
/// When that has happened: it is recorded every five minutes.
const RECORDED_AFTER: Duration = Duration::from_secs(310);

/// What is left of a long lease goes on falling when another member takes the lead, and after a restart of all; a renewal
/// gives it its full time again, whoever leads.
// covers: P-L-01, P-L-03, P-L-06, R-041
pub(super) async fn recorded(team: &mut Team) -> Result<()> {
    let leader = team.leader().await?;
    grant(team, leader, LONG_TTL).await?;
    tokio::time::sleep(RECORDED_AFTER).await;
    let before = left(team, leader).await?;
    move_leader(team).await?;
    let after = left(team, leader).await?;
    // The new leader knows what was left at the record, which is less than what the lease was granted for.
    let recorded = LONG_TTL - 300 + 5;
    ensure!(
        before < after && after <= recorded,
        "{before} s were left, and {after} s with another leader"
    );

    team.members().try_for_each(|member| team.kill(member))?;
    team.members().try_for_each(|member| team.revive(member))?;
    team.wait_ready().await?;
    let restarted = left(team, leader).await?;
    ensure!(
        restarted <= recorded,
        "{after} s were left, and {restarted} s after a restart"
    );

    let renewed = renew(team, team.beside(leader)).await??;
    ensure!(renewed == LONG_TTL, "renewed for {renewed} s");
    move_leader(team).await?;
    let full = left(team, leader).await?;
    ensure!(full > recorded, "{full} s are left after a renewal");
    Ok(())
}

async fn grant(team: &Team, member: usize, ttl: i64) -> Result<()> {
    let wire = team.wire(member).await?;
    let grant = LeaseGrantRequest { id: LEASE, ttl };
    let granted = wire.lease().lease_grant(grant).await?.into_inner();
    ensure!(granted.ttl == ttl, "{granted:?}");
    Ok(())
}

/// Renews the lease through a member: for how long, or why not.
async fn renew(team: &Team, member: usize) -> Result<Result<i64, Status>> {
    let wire = team.wire(member).await?;
    let request = tokio_stream::once(LeaseKeepAliveRequest { id: LEASE });
    let asking = async {
        let mut answers = wire.lease().lease_keep_alive(request).await?.into_inner();
        let answer = answers.message().await?;
        answer.map_or_else(
            || Err(Status::aborted("no answer")),
            |answer| Ok(answer.ttl),
        )
    };
    let asked = tokio::time::timeout(PATIENCE, asking).await;
    asked.context("a renewal is neither made nor refused")
}

/// Seconds that the lease has left.
async fn left(team: &Team, member: usize) -> Result<i64> {
    let request = LeaseTimeToLiveRequest {
        id: LEASE,
        keys: false,
    };
    let found = poll(PATIENCE, async || {
        let wire = team.wire(member).await.ok()?;
        wire.lease().lease_time_to_live(request).await.ok()
    });
    let found = found.await.context("nobody knows what is left")?;
    Ok(found.into_inner().ttl)
}

async fn move_leader(team: &Team) -> Result<()> {
    let leader = team.leader().await?;
    let heir = team.status(team.beside(leader)).await?;
    let request = MoveLeaderRequest {
        target_id: heir.header.context("no header")?.member_id,
    };
    let wire = team.wire(leader).await?;
    wire.maintenance().move_leader(request).await?;
    Ok(())
}
