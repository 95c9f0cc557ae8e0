//! A member that has lost its data: removed, added again and started empty, as an operator would.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberRemoveRequest, RangeRequest,
};

use crate::bench::load::{Crowd, closed_loop, finish};
use crate::bench::measure::{Measure, measure};
use crate::bench::meter::Meter;
use crate::bench::requests::{Fill, PREFIX, PREFIX_END, Puts};
use crate::bench::stand::Stand;
use crate::clock::{now, poll};
use crate::member::{Launched, Setup};
use crate::pages;
use crate::usage::usage_of_all;
use crate::wire::Wire;

/// Keys of 1 KiB values: 1 GB at full scale.
const KEYS: u64 = 1_000_000;
/// Puts in a transaction: so few that the entries are more than etcd keeps for a slow member (100,000), and the state
/// must be sent.
const BATCH: u64 = 8;
/// How long the way back may take.
const LIMIT: Duration = Duration::from_secs(600);
/// How long it may take until a copy leaves.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to count the keys of a member that serves.
const PATIENCE: Duration = Duration::from_millis(500);

/// Callers that put while a copy is on its way: too few to fill the processor, which the members share here.
const WRITERS: Crowd = Crowd {
    callers: 16,
    connections: 4,
    pause: Duration::ZERO,
};

/// How long puts are counted while the copy runs, and then while it rests, again and again: short beside the drift of the
/// machine, which is many times what a copy costs.
const TURN: Duration = Duration::from_secs(2);
/// Not counted when it begins to rest: until the buffers between the two are full, its sender works on.
const UNTIL_FULL: Duration = Duration::from_secs(2);
/// Not counted when it goes on: until what is in the buffers has been taken in.
const UNTIL_EMPTY: Duration = Duration::from_millis(500);

pub(crate) async fn rejoin(stand: &mut Stand) -> Result<Vec<Measure>> {
    let keys = stand.size.keys(KEYS);
    let lost = (stand.leader().await? + 1) % stand.seats().len();
    lose(stand, lost)?;
    fill(stand, keys).await?;
    let leader = stand.leader().await?;
    replace(stand, leader, lost).await?;
    let (used, began) = (usage_of_all(&stand.pids())?, now());
    let mut newcomer = Newcomer::launch(stand, lost)?;
    newcomer.arrive(keys).await?;
    let lasted = now() - began;
    let used_us = usage_of_all(&stand.pids())?.cpu_us - used.cpu_us;
    newcomer.sit_down(stand, lost)?;

    lose(stand, lost)?;
    let turns = write_beside(stand, lost, keys).await?;
    let (running, resting) = (turns.running.rate(), turns.resting.rate());
    Ok(vec![
        measure("back in step", "ms", lasted.as_secs_f64() * 1e3),
        measure("cpu of the others", "ms", used_us as f64 / 1e3),
        measure("put rate while the copy rests", "1/s", resting),
        measure("put rate while it runs", "1/s", running),
        measure(
            "loss of put rate",
            "%",
            (1.0 - running / resting).max(0.0) * 100.0,
        ),
        measure("times that it rested", "1", turns.count as f64),
    ])
}

/// A member that has lost everything, started in the place of the one that it was.
struct Newcomer {
    launched: Launched,
    setup: Setup,
}

impl Newcomer {
    fn launch(stand: &mut Stand, lost: usize) -> Result<Self> {
        let setup = stand.seats()[lost].setup.clone();
        let setup = setup.flag("--initial-cluster-state=existing");
        let launched = setup.launch()?;
        Ok(Self { launched, setup })
    }

    /// Whether it holds all keys.
    ///
    /// # Errors
    /// If it has ended.
    async fn has_arrived(&mut self, keys: u64) -> Result<bool> {
        let log = || self.setup.log_tail(5);
        ensure!(self.launched.is_running(), "it has ended\n{}", log());
        // It takes connections before it answers.
        let endpoint = self.setup.endpoint();
        let count = tokio::time::timeout(PATIENCE, local_count(&endpoint)).await;
        Ok(count.is_ok_and(|count| count.is_ok_and(|count| count == keys)))
    }

    async fn arrive(&mut self, keys: u64) -> Result<()> {
        let arrived = async || match self.has_arrived(keys).await {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        let arrived = poll(LIMIT, arrived).await;
        arrived.context("not in step")?
    }

    fn sit_down(self, stand: &mut Stand, lost: usize) -> Result<()> {
        let seat = &mut stand.seats()[lost];
        seat.member = Some(self.launched.wait()?);
        seat.setup = self.setup;
        Ok(())
    }
}

/// Takes everything from a member.
fn lose(stand: &mut Stand, lost: usize) -> Result<()> {
    let seat = &mut stand.seats()[lost];
    seat.member.take().context("all members run")?.kill()?;
    std::fs::remove_dir_all(seat.setup.data_dir())?;
    Ok(())
}

/// Puts at the others while a copy is on its way.
#[derive(Default)]
struct Turns {
    running: PutsCounted,
    resting: PutsCounted,
    /// How often it rested.
    count: u32,
}

#[derive(Default, Clone, Copy)]
struct PutsCounted {
    count: u64,
    took: Duration,
}

impl PutsCounted {
    /// Counts during one turn, after a pause.
    async fn add_turn(&mut self, pause: Duration, meter: &Meter) {
        tokio::time::sleep(pause).await;
        let (count, began) = (meter.total(), now());
        tokio::time::sleep(TURN).await;
        self.count += meter.total() - count;
        self.took += now() - began;
    }

    fn rate(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

/// Writes until a member has come back that is halted every other turn, and all that is done for it with it.
async fn write_beside(stand: &mut Stand, lost: usize, keys: u64) -> Result<Turns> {
    let ports = stand.ports();
    let others: Vec<u16> = (0..ports.len())
        .filter(|at| *at != lost)
        .map(|at| ports[at])
        .collect();
    let meter = Meter::new();
    let writing = closed_loop(&others, WRITERS, &meter, |connection| {
        Puts::new(connection as u64, keys, 256)
    })
    .await?;
    tokio::time::sleep(Duration::from_secs_f64(stand.size.warm())).await;
    let leader = stand.leader().await?;
    replace(stand, leader, lost).await?;
    let mut newcomer = Newcomer::launch(stand, lost)?;
    let (mut turns, deadline) = (Turns::default(), now() + LIMIT);
    let sender = stand.seats()[leader].setup.endpoint();
    poll(BEGIN_LIMIT, async || {
        sends_copy(&sender).await.ok()?.then_some(())
    })
    .await
    .context("no copy leaves: with so few keys the log has everything")?;
    loop {
        ensure!(now() < deadline, "not in step");
        let mut turn = turns.running;
        turn.add_turn(UNTIL_EMPTY, &meter).await;
        // What comes after the copy is another matter.
        if !sends_copy(&sender).await? {
            break;
        }
        turns.running = turn;
        newcomer.launched.member().freeze()?;
        turns.resting.add_turn(UNTIL_FULL, &meter).await;
        turns.count += 1;
        newcomer.launched.member().thaw()?;
    }
    ensure!(
        turns.count > 0,
        "the copy was there before it could be halted"
    );
    newcomer.arrive(keys).await?;
    meter.stop();
    finish(writing).await?;
    ensure!(
        meter.refused() == 0,
        "{} puts were refused",
        meter.refused()
    );
    newcomer.sit_down(stand, lost)?;
    Ok(turns)
}

async fn fill(stand: &Stand, keys: u64) -> Result<()> {
    let meter = Meter::new();
    let crowd = Crowd {
        callers: 128,
        connections: 8,
        pause: Duration::ZERO,
    };
    let connections = crowd.connections as u64;
    let running = closed_loop(&stand.ports(), crowd, &meter, |connection| {
        let connection = connection as u64;
        Fill {
            next: keys * connection / connections,
            end: keys * (connection + 1) / connections,
            rng: fastrand::Rng::with_seed(connection),
            value_len: 1 << 10,
            batch_max: BATCH,
        }
    })
    .await?;
    finish(running).await?;
    ensure!(
        meter.refused() == 0,
        "{} puts were refused",
        meter.refused()
    );
    Ok(())
}

/// Gives the place of a member to a new one that begins with nothing.
async fn replace(stand: &mut Stand, leader: usize, lost: usize) -> Result<()> {
    let wire = Wire::connect(&stand.seats()[leader].setup.endpoint()).await?;
    let setup = &stand.seats()[lost].setup;
    let (name, peer_url) = (&setup.place().name, setup.peer_url());
    let mut cluster = wire.cluster();
    let list = cluster.member_list(MemberListRequest::default()).await?;
    let members = list.into_inner().members;
    let old = members
        .iter()
        .find(|m| m.name == *name)
        .context("the member is listed")?;
    cluster
        .member_remove(MemberRemoveRequest { id: old.id })
        .await?;
    // Refused for a while where the quorum of the smaller cluster has not been seen together for long enough.
    let add = async || {
        let request = MemberAddRequest {
            peer_ur_ls: vec![peer_url.clone()],
            is_learner: false,
        };
        wire.cluster().member_add(request).await.ok()
    };
    let added = poll(Duration::from_secs(30), add).await;
    added
        .context("the member could not be added again")
        .map(drop)
}

/// Whether a member sends a copy of its state to another one.
async fn sends_copy(endpoint: &str) -> Result<bool> {
    let page = pages::get(endpoint, "/metrics").await?.text();
    let sends = |line: &str| {
        line.starts_with("etcd_network_snapshot_send_inflights_total{") && !line.ends_with(" 0")
    };
    Ok(page.lines().any(sends))
}

/// How many keys the member holds itself.
async fn local_count(endpoint: &str) -> Result<u64> {
    let request = RangeRequest {
        key: PREFIX.into(),
        range_end: PREFIX_END.into(),
        count_only: true,
        serializable: true,
        ..Default::default()
    };
    let answer = Wire::connect(endpoint).await?.kv().range(request).await?;
    Ok(answer.into_inner().count.try_into()?)
}
