//! A leader that is killed, and one that hands over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::MoveLeaderRequest;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::KEYS;
use crate::bench::link::{Call, Event, Keep, Link};
use crate::bench::load::{Requests, finish, open_loop};
use crate::bench::measure::{Measure, measure};
use crate::bench::meter::Meter;
use crate::bench::requests::Puts;
use crate::bench::stand::Stand;
use crate::clock::{now, poll};

/// A put leaves so often at each survivor, whatever became of those before it.
const PROBE_EVERY: Duration = Duration::from_millis(5);
/// How long a cluster may take to serve again.
const LIMIT: Duration = Duration::from_secs(60);
/// Puts per second while leaders are moved.
const MOVING_RATE: f64 = 500.0;
/// Time between two moves.
const MOVE_EVERY: Duration = Duration::from_millis(500);

/// Kills the leader again and again.
pub(crate) async fn killed(stand: &mut Stand) -> Result<Vec<Measure>> {
    let mut waits = Histogram::<u64>::new(3)?;
    for _ in 0..stand.size.repeats {
        let leader = stand.leader().await?;
        let survivors = probes(stand, leader).await?;
        let seat = &mut stand.seats()[leader];
        let mut member = seat.member.take().context("the leader runs")?;
        let killed = now();
        member.signal_kill()?;
        let waited = first_of(survivors, killed).await?;
        waits.record(u64::try_from(waited.as_micros())?)?;
        drop(member);
        let seat = &mut stand.seats()[leader];
        seat.member = Some(seat.setup.start()?);
        stand.in_step().await?;
    }
    let at = |quantile| waits.value_at_quantile(quantile) as f64 / 1e3;
    Ok(vec![
        measure("p50", "ms", at(0.5)),
        measure("p99", "ms", at(0.99)),
        measure("longest", "ms", waits.max() as f64 / 1e3),
        measure("kills", "1", waits.len() as f64),
    ])
}

/// A connection to each member but the one at `leader`.
async fn probes(stand: &Stand, leader: usize) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    for (at, port) in stand.ports().into_iter().enumerate() {
        if at != leader {
            links.push(Link::connect(port).await?);
        }
    }
    Ok(links)
}

/// Time from `killed` until the first of the members has acknowledged a put that was sent since.
async fn first_of(links: Vec<Link>, killed: Instant) -> Result<Duration> {
    let mut probing = JoinSet::new();
    for (at, link) in links.into_iter().enumerate() {
        probing.spawn_local(first_put(link, Puts::new(at as u64, KEYS, 256)));
    }
    let first = tokio::time::timeout(LIMIT, probing.join_next()).await;
    let first = first.context("no put was acknowledged after a kill")?;
    first.context("somebody survives")???;
    Ok(now() - killed)
}

async fn first_put(mut link: Link, mut puts: Puts) -> Result<()> {
    let (mut events, mut due) = (Vec::new(), now());
    let call = Call {
        path: Puts::PATH,
        tag: 0,
        unary: true,
        keep: Keep::Nothing,
    };
    loop {
        while due <= now() {
            link.start(call, &puts.next());
            due += PROBE_EVERY;
        }
        tokio::select! {
            turned = link.turn(&mut events) => turned?,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        // Refusals are what the wait is made of.
        let acknowledged = |event| matches!(event, Event::Closed(ending) if ending.good);
        if events.drain(..).any(acknowledged) {
            return Ok(());
        }
    }
}

/// Moves the leader around while puts arrive everywhere.
pub(crate) async fn moved(stand: &mut Stand) -> Result<Vec<Measure>> {
    let meter = Meter::new();
    let load = open_loop(&stand.ports(), 30, MOVING_RATE, &meter, |connection| {
        Puts::new(connection as u64, KEYS, 256)
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    meter.open_latencies();
    for _ in 0..stand.size.repeats {
        move_once(stand).await?;
        tokio::time::sleep(MOVE_EVERY).await;
    }
    meter.stop();
    let drained = tokio::time::timeout(LIMIT, finish(load)).await;
    drained.context("some puts were never answered")??;
    let latencies = meter.latencies();
    ensure!(!latencies.is_empty(), "no put was answered");
    Ok(vec![
        measure("requests lost", "1", meter.refused() as f64),
        measure("longest stall", "ms", latencies.max() as f64 / 1e6),
        measure("p99", "ms", latencies.value_at_quantile(0.99) as f64 / 1e6),
        measure("moves", "1", f64::from(stand.size.repeats)),
    ])
}

async fn move_once(stand: &mut Stand) -> Result<()> {
    let leader = stand.leader().await?;
    let next = (leader + 1) % stand.seats().len();
    let target_id = stand.standing(next).await?.member_id;
    let wire = stand.wire_to(leader).await?;
    wire.maintenance()
        .move_leader(MoveLeaderRequest { target_id })
        .await?;
    let arrived = async || (stand.leader().await.ok()? == next).then_some(());
    match poll(LIMIT, arrived).await {
        Some(()) => Ok(()),
        None => bail!("the leader did not move"),
    }
}
