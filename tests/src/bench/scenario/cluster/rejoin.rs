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
use crate::usage::usage_of_all;
use crate::wire::Wire;

/// Keys of 1 KiB values: 1 GB at full scale.
const KEYS: u64 = 1_000_000;
/// Puts in a transaction: so few that the entries are more than etcd keeps for a slow member (100,000), and the state
/// must be sent.
const BATCH: u64 = 8;
/// How long the way back may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Callers that put while a copy is on its way: too few to fill the processor, which the members share here.
const WRITERS: Crowd = Crowd {
    callers: 16,
    connections: 4,
    pause: Duration::ZERO,
};

pub(crate) async fn rejoin(stand: &mut Stand) -> Result<Vec<Measure>> {
    let keys = stand.size.keys(KEYS);
    let lost = (stand.leader().await? + 1) % stand.seats().len();
    lose(stand, lost)?;
    fill(stand, keys).await?;
    let quiet = come_back(stand, lost, keys, &Meter::new()).await?;
    lose(stand, lost)?;
    let rates = write_beside(stand, lost, keys).await?;
    let loss = |without: f64| (1.0 - rates.meanwhile / without).max(0.0) * 100.0;
    Ok(vec![
        measure("back in step", "ms", quiet.lasted.as_secs_f64() * 1e3),
        measure("cpu of the others", "ms", quiet.used_us as f64 / 1e3),
        measure("put rate of two members before", "1/s", rates.before),
        measure("put rate meanwhile", "1/s", rates.meanwhile),
        measure("put rate of all members after", "1/s", rates.after),
        measure("loss of put rate against before", "%", loss(rates.before)),
        measure("loss of put rate against after", "%", loss(rates.after)),
    ])
}

/// How a member came back.
struct Return {
    lasted: Duration,
    /// Processor time of the others, in microseconds.
    used_us: u64,
    /// What a meter has counted meanwhile.
    counted: u64,
}

/// Starts a member that has lost everything, in the place of the one that it was.
async fn come_back(stand: &mut Stand, lost: usize, keys: u64, meter: &Meter) -> Result<Return> {
    let leader = stand.leader().await?;
    let wire = Wire::connect(&stand.seats()[leader].setup.endpoint()).await?;
    let seat = &stand.seats()[lost];
    let (name, setup) = (seat.setup.place().name.clone(), seat.setup.clone());
    replace(&wire, &name, &setup.peer_url()).await?;
    let setup = setup.flag("--initial-cluster-state=existing");
    let (used, counted, started) = (usage_of_all(&stand.pids())?, meter.total(), now());
    let mut launched = setup.launch()?;
    let endpoint = setup.endpoint();
    let outcome = async || {
        let arrived = local_count(&endpoint)
            .await
            .is_ok_and(|count| count == keys);
        (arrived || !launched.is_running()).then_some(arrived)
    };
    let back = poll(LIMIT, outcome).await.unwrap_or(false);
    let lasted = now() - started;
    let returned = Return {
        lasted,
        used_us: usage_of_all(&stand.pids())?.cpu_us - used.cpu_us,
        counted: meter.total() - counted,
    };
    ensure!(back, "not in step after {lasted:?}\n{}", setup.log_tail(5));
    let seat = &mut stand.seats()[lost];
    seat.member = Some(launched.wait()?);
    seat.setup = setup;
    Ok(returned)
}

/// Takes everything from a member.
fn lose(stand: &mut Stand, lost: usize) -> Result<()> {
    let seat = &mut stand.seats()[lost];
    seat.member.take().context("all members run")?.kill()?;
    std::fs::remove_dir_all(seat.setup.data_dir())?;
    Ok(())
}

/// Puts per second at the others.
struct Rates {
    /// While one member is gone.
    before: f64,
    /// From the start of its successor until that is in step.
    meanwhile: f64,
    /// With all members, on the same processor.
    after: f64,
}

/// Writes before a member comes back, until it is in step, and when it is.
async fn write_beside(stand: &mut Stand, lost: usize, keys: u64) -> Result<Rates> {
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
    let size = stand.size;
    let rate = async || {
        tokio::time::sleep(Duration::from_secs_f64(size.warm())).await;
        let (count, began) = (meter.total(), now());
        tokio::time::sleep(Duration::from_secs_f64(size.seconds)).await;
        (meter.total() - count) as f64 / (now() - began).as_secs_f64()
    };
    let before = rate().await;
    let back = come_back(stand, lost, keys, &meter).await?;
    let meanwhile = back.counted as f64 / back.lasted.as_secs_f64();
    let after = rate().await;
    meter.stop();
    finish(writing).await?;
    ensure!(
        meter.refused() == 0,
        "{} puts were refused",
        meter.refused()
    );
    Ok(Rates {
        before,
        meanwhile,
        after,
    })
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
async fn replace(wire: &Wire, name: &str, peer_url: &str) -> Result<()> {
    let mut cluster = wire.cluster();
    let list = cluster.member_list(MemberListRequest::default()).await?;
    let members = list.into_inner().members;
    let old = members
        .iter()
        .find(|m| m.name == name)
        .context("the member is listed")?;
    cluster
        .member_remove(MemberRemoveRequest { id: old.id })
        .await?;
    // Refused for a while where the quorum of the smaller cluster has not been seen together for long enough.
    let add = async || {
        let request = MemberAddRequest {
            peer_ur_ls: vec![peer_url.to_owned()],
            is_learner: false,
        };
        wire.cluster().member_add(request).await.ok()
    };
    let added = poll(Duration::from_secs(30), add).await;
    added
        .context("the member could not be added again")
        .map(drop)
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
