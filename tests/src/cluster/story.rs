//! What can happen to a cluster, and how it ends.

use std::time::Duration;

use anyhow::Result;

use super::team::Team;
use super::weather::Weather;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Story {
    /// The leader is killed and started again.
    LeaderKilled,
    /// A follower is killed and started again.
    FollowerKilled,
    /// All are killed at once.
    AllKilled,
    /// The leader stands still, and then goes on as if nothing had been.
    ///
    /// covers: P-09
    LeaderPaused,
    /// A follower stands still.
    FollowerPaused,
    /// The leader loses its peers and its clients.
    LeaderUnplugged,
    /// The leader loses its peers; its clients still reach it.
    LeaderAlone,
    /// What the leader sends to one follower is lost.
    LeaderUnheard,
    /// What one follower sends to the leader is lost.
    FollowerUnheard,
    /// Each sync of one follower takes a second.
    FollowerSlowDisk,
    /// Each sync of the leader takes long.
    LeaderSlowDisk,
    /// Everything between members is late, each piece by 20 to 100 ms.
    Late,
    /// All connections between members break again and again, in the middle of whatever they carry.
    Broken,
    /// One follower hears slowly.
    FollowerThrottled,
    /// One follower hears nothing of the leader; the connections stay open.
    FollowerHalfOpen,
    /// The leader hears nothing of one follower; the connections stay open.
    LeaderHalfOpen,
    /// Two of five are killed, the leader among them.
    TwoOfFiveKilled,
    /// Leader and follower die at each failpoint that they come to, one after the other.
    Deaths,
    /// A follower is killed for so long that the log does not reach back to it.
    FarBehind,
    /// A follower stands still for so long, with its watchers.
    FarBehindPaused,
    /// A follower dies at each place that a copy of the state comes to.
    FarBehindDeaths,
    /// The connection of a copy of the state breaks in the middle.
    FarBehindCut,
    /// A follower loses the leader, and its clients have leases to renew.
    LeasesCutOff,
    /// What is left of a long lease outlives leaders.
    LeasesRecorded,
}

impl Story {
    pub(super) fn name(self) -> String {
        use clap::ValueEnum;
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(super) fn members(self) -> usize {
        if self == Story::TwoOfFiveKilled { 5 } else { 3 }
    }

    /// Whether it is told without being asked for: some write gigabytes, which the judge holds in memory, or take minutes.
    pub(super) fn by_default(self) -> bool {
        !matches!(
            self,
            Story::FarBehindDeaths | Story::FarBehindCut | Story::LeasesRecorded
        )
    }

    /// Whether members reach each other through proxies that can cut connections.
    pub(super) fn has_proxies(self) -> bool {
        self == Story::FarBehindCut
    }

    /// Whether it is about the weather between members.
    pub(super) fn has_weather(self) -> bool {
        matches!(
            self,
            Story::Late
                | Story::Broken
                | Story::FollowerThrottled
                | Story::FollowerHalfOpen
                | Story::LeaderHalfOpen
        )
    }

    /// Whether all that is written is written by the clients, so that others can judge it.
    pub(super) fn has_report(self) -> bool {
        !matches!(
            self,
            Story::FarBehind
                | Story::FarBehindPaused
                | Story::FarBehindDeaths
                | Story::FarBehindCut
                | Story::LeasesCutOff
                | Story::LeasesRecorded
        )
    }

    /// Further flags of all members.
    pub(super) fn flags(self) -> &'static [&'static str] {
        match self {
            Story::LeasesRecorded => {
                &["--feature-gates=LeaseCheckpoint=true,LeaseCheckpointPersist=true"]
            }
            _ => &[],
        }
    }

    /// Brings the trouble and lets it last.
    pub(super) async fn bring(self, team: &mut Team, long: Duration) -> Result<()> {
        match self {
            Story::Deaths => return super::deaths::bring(team).await,
            Story::FarBehind => return super::far_behind::killed(team).await,
            Story::FarBehindPaused => return super::far_behind::paused(team).await,
            Story::FarBehindDeaths => return super::far_behind::deaths(team).await,
            Story::FarBehindCut => return super::far_behind::cut(team).await,
            Story::LeasesCutOff => return super::leases::cut_off(team).await,
            Story::LeasesRecorded => return super::leases::recorded(team).await,
            _ => {}
        }
        let leader = team.leader().await?;
        let follower = team.beside(leader);
        let third = team.beside(follower);
        match self {
            Story::LeaderKilled => team.kill(leader)?,
            Story::FollowerKilled => team.kill(follower)?,
            Story::AllKilled => team.members().try_for_each(|member| team.kill(member))?,
            Story::TwoOfFiveKilled => [leader, follower]
                .into_iter()
                .try_for_each(|m| team.kill(m))?,
            Story::LeaderPaused => team.freeze(leader)?,
            Story::FollowerPaused => team.freeze(follower)?,
            Story::LeaderUnplugged => team.network().unplug(leader)?,
            Story::LeaderAlone => {
                for other in [follower, third] {
                    team.network().lose(leader, other)?;
                    team.network().lose(other, leader)?;
                }
            }
            Story::LeaderUnheard => team.network().lose(leader, follower)?,
            Story::FollowerUnheard => team.network().lose(follower, leader)?,
            Story::FollowerSlowDisk => team.fail(follower, "walBeforeSync", "sleep(1000)").await?,
            Story::LeaderSlowDisk => team.fail(leader, "walBeforeSync", "sleep(3000)").await?,
            Story::Late => team.weather()?.set_all(&Weather {
                delay: 20..100,
                ..Weather::default()
            }),
            Story::Broken => {
                team.weather()?.set_all(&Weather {
                    life: Some(100..3000),
                    bytes: Some(1..200_000),
                    ..Weather::default()
                });
                // Those that there are know nothing of it yet.
                team.weather()?.break_all();
            }
            Story::FollowerThrottled => {
                let slow = Weather {
                    bytes_per_second: Some(50_000),
                    ..Weather::default()
                };
                team.weather()?.set(leader, follower, slow);
            }
            Story::FollowerHalfOpen => team.weather()?.set(leader, follower, Weather::stuck()),
            Story::LeaderHalfOpen => team.weather()?.set(follower, leader, Weather::stuck()),
            Story::Deaths
            | Story::FarBehind
            | Story::FarBehindPaused
            | Story::FarBehindDeaths
            | Story::FarBehindCut
            | Story::LeasesCutOff
            | Story::LeasesRecorded => {}
        }
        tokio::time::sleep(long).await;
        self.heal(team, [leader, follower, third]).await
    }

    async fn heal(self, team: &mut Team, [leader, follower, third]: [usize; 3]) -> Result<()> {
        match self {
            Story::LeaderKilled
            | Story::FollowerKilled
            | Story::AllKilled
            | Story::TwoOfFiveKilled => team.members().try_for_each(|member| team.revive(member)),
            Story::LeaderPaused => team.thaw(leader),
            Story::FollowerPaused => team.thaw(follower),
            Story::LeaderUnplugged => team.network().plug(leader),
            Story::LeaderAlone => [follower, third].into_iter().try_for_each(|other| {
                team.network().find(leader, other)?;
                team.network().find(other, leader)
            }),
            Story::LeaderUnheard => team.network().find(leader, follower),
            Story::FollowerUnheard => team.network().find(follower, leader),
            Story::FollowerSlowDisk => team.fail(follower, "walBeforeSync", "off").await,
            Story::LeaderSlowDisk => team.fail(leader, "walBeforeSync", "off").await,
            Story::Late
            | Story::Broken
            | Story::FollowerThrottled
            | Story::FollowerHalfOpen
            | Story::LeaderHalfOpen => {
                team.weather()?.clear();
                Ok(())
            }
            Story::Deaths
            | Story::FarBehind
            | Story::FarBehindPaused
            | Story::FarBehindDeaths
            | Story::FarBehindCut
            | Story::LeasesCutOff
            | Story::LeasesRecorded => Ok(()),
        }
    }
}
