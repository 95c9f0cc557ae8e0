//! One member or a cluster under measurement, with the data that a scenario wants.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{CompactionRequest, RangeRequest, StatusRequest};

use super::load::{Crowd, Running, closed_loop, finish};
use super::meter::Meter;
use super::requests::{Fill, PREFIX};
use crate::clock::poll;
use crate::member::{Member, Setup};
use crate::usage::{anonymous_memory, disk_use};
use crate::wire::Wire;

/// How large and how long a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Length of a window in seconds.
    pub(crate) seconds: f64,
    /// Factor on the numbers of keys.
    pub(crate) scale: f64,
    /// Members of the cluster.
    pub(crate) members: usize,
    /// How often a leader is killed or moved.
    pub(crate) repeats: u32,
}

impl Size {
    /// `keys` keys at full scale.
    pub(crate) fn keys(&self, keys: u64) -> u64 {
        ((keys as f64 * self.scale) as u64).max(1_000)
    }

    /// Seconds before a window opens.
    pub(crate) fn warm(&self) -> f64 {
        (self.seconds / 5.0).min(2.0)
    }
}

/// Members that run on data of their own until the stand is dropped.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) size: Size,
    seats: Vec<Seat>,
    folder: PathBuf,
}

/// A place in the cluster.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) setup: Setup,
    /// Absent while it is down.
    pub(crate) member: Option<Member>,
}

/// What a member says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) member_id: u64,
    /// Zero without a leader.
    pub(crate) leader_id: u64,
    pub(crate) term: u64,
    pub(crate) revision: i64,
}

/// How long a cluster may be without a leader.
const LEADER_LIMIT: Duration = Duration::from_secs(60);

impl Stand {
    /// Starts as many members as `size` says of `binary` on fresh data directories in `folder`.
    pub(crate) fn start(binary: &Path, folder: &Path, size: Size) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder).context("remove the last run")?;
        }
        // Everything else at its default; the default quota is too small for some scenarios of minutes.
        let mut launched = Vec::new();
        for setup in Setup::cluster(binary, folder, size.members)? {
            let setup = setup.flag("--quota-backend-bytes=8589934592");
            launched.push((setup.launch()?, setup));
        }
        let seats = launched
            .into_iter()
            .map(|(launched, setup)| {
                let member = Some(launched.wait()?);
                Ok(Seat { setup, member })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            size,
            seats,
            folder: folder.to_owned(),
        })
    }

    /// All places, of running members and others.
    pub(crate) fn seats(&mut self) -> &mut [Seat] {
        &mut self.seats
    }

    /// The client port of the first member.
    pub(crate) fn port(&self) -> u16 {
        self.seats[0].setup.client_port()
    }

    /// The client ports of the running members.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let running = self.seats.iter().filter(|seat| seat.member.is_some());
        running.map(|seat| seat.setup.client_port()).collect()
    }

    /// The process ids of the running members.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let running = self.seats.iter().filter_map(|seat| seat.member.as_ref());
        running.map(Member::pid).collect()
    }

    /// Anonymous memory of all running members, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        self.pids().into_iter().map(anonymous_memory).sum()
    }

    /// The end of what each member has said.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let tails = self.seats.iter().map(|seat| seat.setup.log_tail(lines));
        tails.collect::<Vec<_>>().join("\n--\n")
    }

    /// Where clients of the first member connect.
    pub(crate) fn endpoint(&self) -> String {
        self.seats[0].setup.endpoint()
    }

    pub(crate) async fn wire(&self) -> Result<Wire> {
        Wire::connect(&self.endpoint()).await
    }

    /// The folder of the members' data, which goes with the stand.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A connection to the member at `seat`.
    pub(crate) async fn wire_to(&self, seat: usize) -> Result<Wire> {
        Wire::connect(&self.seats[seat].setup.endpoint()).await
    }

    /// What the member at `seat` says of itself.
    pub(crate) async fn standing(&self, seat: usize) -> Result<Standing> {
        let mut maintenance = self.wire_to(seat).await?.maintenance();
        let status = maintenance.status(StatusRequest {}).await?.into_inner();
        let header = status.header.context("an answer has a header")?;
        Ok(Standing {
            member_id: header.member_id,
            leader_id: status.leader,
            term: status.raft_term,
            revision: header.revision,
        })
    }

    /// The seat of the leader, once there is one.
    pub(crate) async fn leader(&self) -> Result<usize> {
        let find = async || {
            for (at, seat) in self.seats.iter().enumerate() {
                if seat.member.is_some()
                    && let Ok(standing) = self.standing(at).await
                    && standing.leader_id == standing.member_id
                {
                    return Some(at);
                }
            }
            None
        };
        let found = poll(LEADER_LIMIT, find).await;
        found.context("the cluster has no leader")
    }

    /// Waits until all members name the same leader and have the same revision.
    pub(crate) async fn in_step(&self) -> Result<()> {
        let alike = async || {
            let first = self.standing(0).await.ok()?;
            for at in 1..self.seats.len() {
                let other = self.standing(at).await.ok()?;
                if (other.leader_id, other.revision) != (first.leader_id, first.revision) {
                    return None;
                }
            }
            (first.leader_id != 0).then_some(())
        };
        let waited = poll(LEADER_LIMIT, alike).await;
        waited.context("the members are not in step")
    }

    /// Stops all members.
    pub(crate) fn stop(&mut self) -> Result<()> {
        for seat in &mut self.seats {
            if let Some(member) = seat.member.take() {
                member.stop()?;
            }
        }
        Ok(())
    }

    /// Starts the only member again after [`Stand::stop`].
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let seat = &mut self.seats[0];
        seat.member = Some(seat.setup.start()?);
        Ok(())
    }

    /// Puts `keys` keys with values of `value_len` bytes.
    pub(crate) async fn fill(&self, keys: u64, value_len: usize) -> Result<()> {
        const CONNECTIONS: u64 = 8;
        let meter = Meter::new();
        let crowd = Crowd {
            callers: 16,
            connections: CONNECTIONS as usize,
            pause: Duration::ZERO,
        };
        let running = closed_loop(&self.ports(), crowd, &meter, |connection| {
            let connection = connection as u64;
            Fill {
                next: keys * connection / CONNECTIONS,
                end: keys * (connection + 1) / CONNECTIONS,
                rng: fastrand::Rng::with_seed(connection),
                value_len,
                batch_max: 100,
            }
        })
        .await?;
        finish(running).await?;
        let count = self.count().await?;
        ensure!(
            meter.refused() == 0,
            "{} transactions were refused",
            meter.refused()
        );
        ensure!(count == keys, "{count} keys are there after putting {keys}");
        Ok(())
    }

    async fn count(&self) -> Result<u64> {
        let request = RangeRequest {
            key: PREFIX.into(),
            range_end: super::requests::PREFIX_END.into(),
            count_only: true,
            ..Default::default()
        };
        let answer = self.wire().await?.kv().range(request).await?;
        Ok(answer.into_inner().count.try_into()?)
    }

    /// Starts compacting everything but the newest revision every `every`.
    pub(crate) async fn compact_every(&self, every: Duration, meter: &Meter) -> Result<Running> {
        let (wire, meter) = (self.wire().await?, meter.clone());
        let mut running = Running::new();
        running.spawn_local(async move {
            while !meter.is_stopped() {
                tokio::time::sleep(every).await;
                let probe = RangeRequest {
                    key: "/".into(),
                    ..Default::default()
                };
                let answer = wire.kv().range(probe).await?.into_inner();
                let revision = answer.header.context("an answer has a header")?.revision;
                let request = CompactionRequest {
                    revision,
                    physical: false,
                };
                wire.kv().compact(request).await?;
            }
            Ok(())
        });
        Ok(running)
    }

    /// Bytes on disk of all members without their logs.
    pub(crate) fn file_size(&self) -> Result<u64> {
        let sizes = self.seats.iter();
        sizes
            .map(|seat| disk_use(&seat.setup.data_dir(), "wal"))
            .sum()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.seats.clear();
        // What is left is only in the way of the next run, which removes it.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
