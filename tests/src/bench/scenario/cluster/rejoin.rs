//! A member that has lost its data: removed, added again and started empty, as an operator would.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberRemoveRequest, RangeRequest,
};

use crate::bench::load::{Crowd, closed_loop, finish};
use crate::bench::measure::{Measure, measure};
use crate::bench::meter::Meter;
use crate::bench::requests::{Fill, PREFIX, PREFIX_END};
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

pub(crate) async fn rejoin(stand: &mut Stand) -> Result<Vec<Measure>> {
    let keys = stand.size.keys(KEYS);
    let leader = stand.leader().await?;
    let lost = (leader + 1) % stand.seats().len();
    let seat = &mut stand.seats()[lost];
    seat.member.take().context("all members run")?.kill()?;
    std::fs::remove_dir_all(seat.setup.data_dir())?;
    let (name, setup) = (seat.setup.place().name.clone(), seat.setup.clone());
    fill(stand, keys).await?;

    let leader = stand.leader().await?;
    let wire = Wire::connect(&stand.seats()[leader].setup.endpoint()).await?;
    replace(&wire, &name, &setup.peer_url()).await?;
    let setup = setup.flag("--initial-cluster-state=existing");
    let (before, started) = (usage_of_all(&stand.pids())?, now());
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
    let used = usage_of_all(&stand.pids())?.cpu_us - before.cpu_us;
    ensure!(back, "not in step after {lasted:?}\n{}", setup.log_tail(5));
    let seat = &mut stand.seats()[lost];
    seat.member = Some(launched.wait()?);
    seat.setup = setup;
    Ok(vec![
        measure("back in step", "ms", lasted.as_secs_f64() * 1e3),
        measure("cpu of the others", "ms", used as f64 / 1e3),
    ])
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
