//! A follower so far behind that it needs a copy of the leader's state.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use ferrod_proto::etcdserverpb::PutRequest;

use super::team::Team;
use crate::check::history::{Operation, Outcome};
use crate::check::{Change, Request};
use crate::clock::poll;

/// More than any member keeps of the log for those who lag: 256 MiB on disk, and what the open segments hold besides.
const WRITES: usize = 480;
const VALUE_BYTES: usize = 1 << 20;
/// Few keys, so that the copy is far smaller than the log.
const KEYS: usize = 10;

/// Where a connection of a copy breaks: some way into it, and far from its end.
const CUT_AT: u64 = 200 << 20;

/// What all those keys begin with.
const PREFIX: &[u8] = b"big/";

/// A copy takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const RECEIVED: &str = "etcd_network_snapshot_receive_success";

/// Places that a copy comes to, from its arrival to its use.
const PLACES: [&str; 5] = [
    "stateBeforeFinish",
    "stateAfterFinish",
    "stateBeforeRename",
    "stateAfterRename",
    "stateBeforePublish",
];

/// covers: N-09, P-03
pub(super) async fn killed(team: &mut Team) -> Result<()> {
    let follower = fall_behind(team).await?;
    team.revive(follower)?;
    received(team, follower).await
}

/// covers: P-W-05, P-W-07, R-028, R-032
pub(super) async fn paused(team: &mut Team) -> Result<()> {
    let leader = team.leader().await?;
    let follower = team.beside(leader);
    team.freeze(follower)?;
    write_much(team, leader).await?;
    team.thaw(follower)?;
    received(team, follower).await
}

/// covers: P-03, D-21, R-004, Q-16
pub(super) async fn deaths(team: &mut Team) -> Result<()> {
    for place in PLACES {
        let follower = fall_behind(team).await?;
        team.revive(follower)?;
        let armed = poll(PATIENCE, async || {
            team.fail(follower, place, "panic").await.ok()
        })
        .await;
        armed.context("the follower does not start")?;
        let died = poll(PATIENCE, async || {
            (!team.is_running(follower)).then_some(())
        })
        .await;
        ensure!(died.is_some(), "member {follower} never came to {place}");
        team.kill(follower)?;
        team.revive(follower)?;
        team.wait_ready().await?;
    }
    Ok(())
}

/// The copy goes on where its connection broke, and does not begin again.
// covers: N-09
pub(super) async fn cut(team: &mut Team) -> Result<()> {
    let leader = team.leader().await?;
    let follower = team.beside(leader);
    team.kill(follower)?;
    // So many keys that the copy is as large as the log.
    write(team, leader, WRITES).await?;
    let proxy = team.proxy(follower);
    let before = proxy.carried();
    proxy.cut_at(CUT_AT);
    team.revive(follower)?;
    received(team, follower).await?;
    let proxy = team.proxy(follower);
    ensure!(proxy.cuts() == 1, "no connection carried {CUT_AT} bytes");
    let carried = proxy.carried() - before;
    let whole = (WRITES * VALUE_BYTES) as u64;
    ensure!(
        carried < whole + CUT_AT / 2,
        "the copy began again: {carried} bytes for {whole}"
    );
    Ok(())
}

/// Kills a follower and writes more than the others keep for it.
async fn fall_behind(team: &mut Team) -> Result<usize> {
    let leader = team.leader().await?;
    let follower = team.beside(leader);
    team.kill(follower)?;
    write_much(team, leader).await?;
    Ok(follower)
}

/// The write that made these changes, if it was one of this story's own: nobody noted them down.
pub(super) fn operation(changes: &[Change]) -> Option<Operation> {
    let [
        Change {
            key,
            row: Some(row),
        },
    ] = changes
    else {
        return None;
    };
    let put = PutRequest {
        key: key.clone(),
        value: row.value.clone(),
        ..Default::default()
    };
    key.starts_with(PREFIX).then_some(Operation {
        client: u64::MAX,
        request: Request::Put(put),
        called: 0,
        returned: u64::MAX,
        outcome: Outcome::Unknown,
    })
}

/// A large value that nobody else writes.
fn value() -> Bytes {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let padding = vec![b'x'; VALUE_BYTES];
    [number.to_string().as_bytes(), &padding].concat().into()
}

async fn write_much(team: &Team, member: usize) -> Result<()> {
    write(team, member, KEYS).await
}

/// Writes so many keys again and again, beside those that the clients write.
async fn write(team: &Team, member: usize, keys: usize) -> Result<()> {
    let wire = team.wire(member).await?;
    let mut writes = 0;
    while writes < WRITES {
        let put = PutRequest {
            key: [PREFIX, (writes % keys).to_string().as_bytes()]
                .concat()
                .into(),
            value: value(),
            ..Default::default()
        };
        // Another leader may be elected meanwhile.
        match wire.kv().put(put).await {
            Ok(_) => writes += 1,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Ok(())
}

/// Waits until a member has been given a copy.
async fn received(team: &Team, member: usize) -> Result<()> {
    let copies = poll(PATIENCE, async || {
        let copies = team.metric(member, RECEIVED).await.ok()?;
        (copies > 0.0).then_some(())
    });
    copies
        .await
        .with_context(|| format!("member {member} was given no copy of the state"))
}
