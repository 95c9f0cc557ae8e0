//! A member whose store no longer says what the log said is found and named; members that hold the same never are.

mod group;
mod poke;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::AlarmType;
use tonic::Code;

use crate::clock::{now, poll};
use group::Group;
use poke::poke;

const VALUES: i64 = 30;
/// How long anything may take that comes by itself.
const PATIENCE: Duration = Duration::from_secs(60);
const OFTEN: &str = "--compact-hash-check-time=500ms";

/// Runs one scenario with members of this binary, on a runtime of its own.
fn tell(scenario: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let told = runtime.block_on(scenario(folder.path()));
    if told.is_err() {
        eprintln!("data kept in {}", folder.keep().display());
    }
    told
}

/// A value changes in the store of one of three members. When it starts, the alarm names it, and it stops; its next start
/// takes the others' state. The same again with another member that leads, which finds out about itself when history is
/// compacted.
///
/// # Errors
/// If another member is named, or none, or if it does not heal.
pub fn minority_is_named(binary: &Path) -> Result<()> {
    tell(async |folder| {
        let mut group = Group::start(binary, folder, 3, &[OFTEN]).await?;
        let revision = fill(&group).await?;
        let follower = group.follower().await?;
        let other = (follower + 1) % 3;
        let id = group.id(follower).await?;
        change_a_value(&mut group, follower).await?;
        is_named_and_heals(&mut group, follower, id, other).await?;

        let id = group.id(other).await?;
        change_a_value(&mut group, other).await?;
        // If it does not lead in time, it is found as the first was.
        group.crown(other).await;
        // The compaction keeps the value, so its hash tells; unless the alarm has come before.
        let _refused = group.compact(follower, revision).await;
        is_named_and_heals(&mut group, other, id, follower).await
    })
}

async fn is_named_and_heals(group: &mut Group, member: usize, id: u64, other: usize) -> Result<()> {
    let alarms = group.alarm(other).await?;
    let named = (id, AlarmType::Corrupt);
    ensure!(
        alarms == BTreeSet::from([named]),
        "{alarms:x?} are raised, not {named:x?}"
    );
    refuses_writes(group, other).await?;
    group.wait_ended(member).await?;
    group.revive(member).await?;
    group.disarm(other, named).await?;
    group.put_surely(member, "after", "all").await?;
    let value = group.own_value(member, "key-7").await?;
    ensure!(value == "true", "the healed member says {value:?}");
    Ok(())
}

/// Of two members nobody can say which is wrong, so the alarm names neither.
///
/// # Errors
/// If one is named, or there is no alarm.
pub fn nobody_is_named_without_majority(binary: &Path) -> Result<()> {
    tell(async |folder| {
        let mut group = Group::start(binary, folder, 2, &[OFTEN]).await?;
        fill(&group).await?;
        let follower = group.follower().await?;
        change_a_value(&mut group, follower).await?;
        let alarms = group.alarm(0).await?;
        let whole_cluster = BTreeSet::from([(0, AlarmType::Corrupt)]);
        ensure!(alarms == whole_cluster, "{alarms:x?} are raised");
        let counted = group.counts_alarm(0, 0, "CORRUPT").await?;
        ensure!(counted, "the metrics know of no alarm");
        Ok(())
    })
}

/// Keys are written over and over while history is compacted and members stop and die and come back: none is ever
/// accused, and they have been compared.
///
/// # Errors
/// If there is an alarm, or there was no comparison.
pub fn nobody_is_accused_in_peace(binary: &Path, length: Duration) -> Result<()> {
    tell(async |folder| {
        let flags = [
            "--compact-hash-check-time=100ms",
            "--corrupt-check-time=300ms",
        ];
        let mut group = Group::start(binary, folder, 3, &flags).await?;
        let end = now() + length;
        let mut round = 0;
        while now() < end {
            round += 1;
            let victim = round % 3;
            let other = (victim + 1) % 3;
            write_and_compact(&group, other, round).await?;
            match round % 4 {
                1 => group.kill(victim)?,
                3 => group.stop(victim).await?,
                _ => continue,
            }
            write_and_compact(&group, other, round).await?;
            group.revive(victim).await?;
        }
        // On a busy machine there may have been little time between two deaths.
        let compared = poll(PATIENCE, async || {
            let times = group.count_in_logs("successfully checked hash on whole cluster");
            times.is_ok_and(|times| times > 3).then_some(())
        });
        compared.await.context("members are hardly ever compared")?;
        let alarms = group.alarms(0).await?;
        ensure!(alarms.is_empty(), "{alarms:x?} are raised");
        Ok(())
    })
}

async fn write_and_compact(group: &Group, member: usize, round: usize) -> Result<()> {
    let mut revision = 0;
    for key in 0..40 {
        let key = format!("key-{}", key % 25);
        revision = group.put_surely(member, &key, &round.to_string()).await?;
    }
    // One that took two tries may have been compacted already.
    let _compacted = group.compact(member, revision - 7).await;
    Ok(())
}

/// Writes, and returns the revision after which all is written.
async fn fill(group: &Group) -> Result<i64> {
    let mut revision = 0;
    for value in 0..VALUES {
        revision = group.put_surely(0, &format!("key-{value}"), "true").await?;
    }
    Ok(revision)
}

async fn change_a_value(group: &mut Group, member: usize) -> Result<()> {
    group.stop(member).await?;
    poke(&group.data_dir(member), b"key-7", b"lies")?;
    group.revive(member).await
}

/// What the alarm means on every member. The one that it names may have led, so an answer may take an election.
async fn refuses_writes(group: &Group, member: usize) -> Result<()> {
    let refused = poll(PATIENCE, async || {
        match group.put(member, "key-1", "more").await {
            Ok(_) => Some(None),
            Err(status) if status.code() == Code::DataLoss => Some(Some(status)),
            Err(_) => None,
        }
    });
    let refused = refused.await.flatten();
    ensure!(
        refused.is_some_and(|status| status.message() == "etcdserver: corrupt cluster"),
        "a write in a corrupt cluster was taken"
    );
    let read = poll(PATIENCE, async || {
        group.own_value(member, "key-1").await.ok()
    });
    let read = read.await;
    ensure!(
        read.as_deref() == Some("true"),
        "a read in a corrupt cluster: {read:?}"
    );
    Ok(())
}
