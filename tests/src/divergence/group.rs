//! Members on loopback, and what is asked of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, MoveLeaderRequest, PutRequest, RangeRequest,
    StatusRequest, StatusResponse, alarm_request::AlarmAction,
};
use tonic::Status;

use crate::clock::poll;
use crate::member::{Member, Setup};
use crate::pages;
use crate::wire::Wire;

/// How long anything may take that comes by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// The members of one cluster.
#[derive(Debug)]
pub(super) struct Group {
    setups: Vec<Setup>,
    /// `None` while one does not run.
    members: Vec<Option<Member>>,
}

impl Group {
    /// Starts a new cluster.
    pub(super) async fn start(
        binary: &Path,
        folder: &Path,
        count: usize,
        flags: &[&str],
    ) -> Result<Group> {
        let with_flags = |setup: Setup| flags.iter().fold(setup, |setup, flag| setup.flag(*flag));
        let setups = Setup::cluster(binary, folder, count)?;
        let setups: Vec<Setup> = setups.into_iter().map(with_flags).collect();
        let members = setups.iter().map(|setup| setup.spawn().map(Some));
        let group = Group {
            members: members.collect::<Result<_>>()?,
            setups,
        };
        for member in 0..count {
            group.wait_ready(member).await?;
        }
        Ok(group)
    }

    pub(super) fn data_dir(&self, member: usize) -> PathBuf {
        self.setups[member].data_dir()
    }

    pub(super) async fn wire(&self, member: usize) -> Result<Wire> {
        Wire::connect(&self.setups[member].endpoint()).await
    }

    /// Stops a member in good order, so that all it has is in its store.
    pub(super) async fn stop(&mut self, member: usize) -> Result<()> {
        let mut running = self.members[member].take().context("it does not run")?;
        running.ask_to_stop()?;
        // Connections of this thread end only while it waits.
        let ended = poll(PATIENCE, async || (!running.is_running()).then_some(()));
        ended.await.context("it does not stop")?;
        let log = self.setups[member].log_tail(1);
        ensure!(
            log.contains("closed etcd server"),
            "member {member} did not stop well: {log}"
        );
        Ok(())
    }

    pub(super) fn kill(&mut self, member: usize) -> Result<()> {
        self.members[member]
            .take()
            .context("it does not run")?
            .kill()
    }

    /// Starts a member again and waits until it serves.
    pub(super) async fn revive(&mut self, member: usize) -> Result<()> {
        self.members[member] = Some(self.setups[member].spawn()?);
        self.wait_ready(member).await
    }

    async fn wait_ready(&self, member: usize) -> Result<()> {
        let status = poll(PATIENCE, async || {
            let status = self.status(member).await.ok()?;
            (status.leader != 0).then_some(())
        });
        let tail = || self.setups[member].log_tail(12);
        status
            .await
            .with_context(|| format!("member {member} does not serve\n{}", tail()))
    }

    pub(super) async fn status(&self, member: usize) -> Result<StatusResponse> {
        let wire = self.wire(member).await?;
        Ok(wire
            .maintenance()
            .status(StatusRequest {})
            .await?
            .into_inner())
    }

    pub(super) async fn id(&self, member: usize) -> Result<u64> {
        let header = self.status(member).await?.header;
        Ok(header.context("an answer has a header")?.member_id)
    }

    /// A member that follows.
    pub(super) async fn follower(&self) -> Result<usize> {
        for member in 0..self.setups.len() {
            if self.status(member).await?.leader != self.id(member).await? {
                return Ok(member);
            }
        }
        anyhow::bail!("all lead")
    }

    /// Has this member lead, if it comes up soon.
    pub(super) async fn crown(&self, member: usize) {
        const SOON: Duration = Duration::from_secs(4);
        let _in_time = poll(SOON, async || {
            let target_id = self.id(member).await.ok()?;
            for other in 0..self.setups.len() {
                let status = self.status(other).await.ok()?;
                if status.leader == target_id {
                    return Some(());
                }
                let wire = self.wire(other).await.ok()?;
                let request = MoveLeaderRequest { target_id };
                // Only the leader can; the others refuse.
                let _refused = wire.maintenance().move_leader(request).await;
            }
            None
        })
        .await;
    }

    /// Waits until a member has ended by itself.
    pub(super) async fn wait_ended(&mut self, member: usize) -> Result<()> {
        let mut running = self.members[member].take().context("it does not run")?;
        let ended = poll(PATIENCE, async || (!running.is_running()).then_some(()));
        ended
            .await
            .with_context(|| format!("member {member} goes on although it is suspect"))
    }

    /// The value of a key in this member's own store.
    pub(super) async fn own_value(&self, member: usize, key: &str) -> Result<String> {
        let request = RangeRequest {
            key: key.to_owned().into(),
            serializable: true,
            ..Default::default()
        };
        let wire = self.wire(member).await?;
        let kvs = wire.kv().range(request).await?.into_inner().kvs;
        let value = kvs.first().context("the key is not there")?.value.to_vec();
        Ok(String::from_utf8(value)?)
    }

    /// Puts once.
    pub(super) async fn put(&self, member: usize, key: &str, value: &str) -> Result<i64, Status> {
        let wire = self.wire(member).await;
        let wire = wire.map_err(|error| Status::unavailable(error.to_string()))?;
        let request = PutRequest {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
            ..Default::default()
        };
        let answer = wire.kv().put(request).await?.into_inner();
        Ok(answer.header.map_or(0, |header| header.revision))
    }

    /// Puts until it is taken: without a leader it is refused, and may be tried again.
    pub(super) async fn put_surely(&self, member: usize, key: &str, value: &str) -> Result<i64> {
        let put = poll(PATIENCE, async || self.put(member, key, value).await.ok());
        put.await
            .with_context(|| format!("put {key} was never taken"))
    }

    pub(super) async fn compact(&self, member: usize, revision: i64) -> Result<()> {
        let request = CompactionRequest {
            revision,
            physical: false,
        };
        self.wire(member).await?.kv().compact(request).await?;
        Ok(())
    }

    /// All alarms that are on, as a member tells them.
    pub(super) async fn alarms(&self, member: usize) -> Result<BTreeSet<(u64, AlarmType)>> {
        let answer = self
            .wire(member)
            .await?
            .maintenance()
            .alarm(AlarmRequest::default())
            .await?;
        let alarms = answer.into_inner().alarms;
        Ok(alarms.iter().map(|a| (a.member_id, a.alarm())).collect())
    }

    /// Waits until an alarm is on, and returns all that are.
    pub(super) async fn alarm(&self, member: usize) -> Result<BTreeSet<(u64, AlarmType)>> {
        let raised = poll(PATIENCE, async || {
            let alarms = self.alarms(member).await.ok()?;
            (!alarms.is_empty()).then_some(alarms)
        });
        raised.await.context("no alarm was raised")
    }

    pub(super) async fn disarm(&self, member: usize, alarm: (u64, AlarmType)) -> Result<()> {
        let request = AlarmRequest {
            action: AlarmAction::Deactivate as i32,
            member_id: alarm.0,
            alarm: alarm.1 as i32,
        };
        self.wire(member)
            .await?
            .maintenance()
            .alarm(request)
            .await?;
        Ok(())
    }

    /// Whether the metrics of `at` count an alarm of a member.
    pub(super) async fn counts_alarm(&self, at: usize, member: u64, alarm: &str) -> Result<bool> {
        let page = pages::get(&self.setups[at].endpoint(), "/metrics").await?;
        let series = format!(
            "etcd_debugging_server_alarms{{alarm_type=\"{alarm}\",server_id=\"{member:x}\"}} "
        );
        let text = page.text();
        let count = text.lines().find_map(|line| line.strip_prefix(&series));
        Ok(count.is_some_and(|count| count != "0"))
    }

    /// How often the members have said something.
    pub(super) fn count_in_logs(&self, message: &str) -> Result<usize> {
        let mut count = 0;
        for setup in &self.setups {
            count += std::fs::read_to_string(setup.log_path())?
                .matches(message)
                .count();
        }
        Ok(count)
    }
}
