//! Members that die at their failpoints, one after the other, while the others go on.

use std::time::Duration;

use anyhow::Result;

use super::team::Team;
use crate::clock::poll;

/// How long a member may take to come to a place that it passes all the time.
const SOON: Duration = Duration::from_millis(1500);

/// Places on the way of each write, on whatever member.
const OF_ALL: [&str; 15] = [
    "walBeforeWrite",
    "walAfterWrite",
    "walBeforeSync",
    "walAfterSync",
    "walBeforeMark",
    "raftBeforeSave",
    "raftAfterSave",
    "raftBeforeAdvance",
    "raftBeforeApply",
    "raftAfterApply",
    "beforeApplyOneEntryNormal",
    "afterApplyOneEntryNormal",
    "applyBeforePublish",
    "applyBeforeAnswer",
    "raftBeforeReadAnswer",
];

/// Lets leader and follower die at each place, and revives them.
pub(super) async fn bring(team: &mut Team) -> Result<()> {
    for name in OF_ALL {
        let leader = team.leader().await?;
        for member in [leader, team.beside(leader)] {
            die(team, member, name).await?;
        }
    }
    let leader = team.leader().await?;
    die(team, leader, "raftBeforeLeaderSend").await?;
    let leader = team.leader().await?;
    let follower = team.beside(leader);
    die(team, follower, "raftBeforeFollowerSend").await
}

async fn die(team: &mut Team, member: usize, name: &str) -> Result<()> {
    // The member may die before it has answered; that it dies is what counts.
    let _answered = team.fail(member, name, "panic").await;
    let died = poll(SOON, async || (!team.is_running(member)).then_some(())).await;
    anyhow::ensure!(died.is_some(), "member {member} never came to {name}");
    team.kill(member)?;
    team.revive(member)?;
    team.wait_ready().await
}
