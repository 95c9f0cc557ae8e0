//! Puts: many callers, one caller, beside compaction, of large values.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bench::load::{Crowd, THOUSAND, closed_loop, open_loop};
use crate::bench::measure::{Measure, measure};
use crate::bench::meter::{Meter, Window};
use crate::bench::requests::Puts;
use crate::bench::stand::Stand;

/// Puts per second where the rate is given: a quarter of what etcd can do on two cores.
const STEADY_RATE: f64 = 2_000.0;

/// Puts per second of random overwrites: about half of what etcd can do with a million keys on two cores.
const CHURN_RATE: f64 = 6_000.0;

pub(super) async fn many(stand: &Stand) -> Result<Vec<Measure>> {
    let window = closed(
        stand,
        &stand.ports(),
        THOUSAND,
        1_000_000,
        256,
        None,
        stand.size.seconds,
    )
    .await?;
    let mut measures = common(stand, &window)?;
    measures.push(measure("written per op", "B", written_each(&window)));
    Ok(measures)
}

pub(super) async fn one(stand: &Stand) -> Result<Vec<Measure>> {
    let crowd = Crowd {
        callers: 1,
        connections: 1,
        pause: Duration::ZERO,
    };
    let leader = stand.leader().await?;
    let ports = [stand.ports()[leader]];
    let window = closed(
        stand,
        &ports,
        crowd,
        1_000_000,
        256,
        None,
        stand.size.seconds,
    )
    .await?;
    common(stand, &window)
}

pub(super) async fn churn(stand: &Stand, keys: u64) -> Result<Vec<Measure>> {
    let seconds = stand.size.seconds * 12.0;
    let every = Some(Duration::from_secs(10));
    let window = closed(stand, &stand.ports(), THOUSAND, keys, 256, every, seconds).await?;
    let mut measures = common(stand, &window)?;
    measures.push(measure("written per op", "B", written_each(&window)));
    measures.push(measure("file size", "MB", stand.file_size()? as f64 / 1e6));
    Ok(measures)
}

pub(super) async fn churn_steady(stand: &Stand, keys: u64) -> Result<Vec<Measure>> {
    let meter = Meter::new();
    let load = open_loop(&stand.ports(), 100, CHURN_RATE, &meter, |connection| {
        Puts::new(connection as u64, keys, 256)
    })
    .await?;
    let compactor = stand.compact_every(Duration::from_secs(10), &meter).await?;
    let seconds = stand.size.seconds * 12.0;
    let window = meter
        .window(&stand.pids(), stand.size.warm(), seconds)
        .await?;
    let file = stand.file_size()?;
    drop((load, compactor));
    check(&window)?;
    let mut measures = vec![
        measure("file size", "MB", file as f64 / 1e6),
        measure("puts", "1", meter.total() as f64),
    ];
    measures.extend(common(stand, &window)?);
    Ok(measures)
}

pub(super) async fn large(stand: &Stand, keys: u64, len: usize) -> Result<Vec<Measure>> {
    let crowd = Crowd {
        callers: 64,
        connections: 16,
        pause: Duration::ZERO,
    };
    let every = Some(Duration::from_secs(5));
    let window = closed(
        stand,
        &stand.ports(),
        crowd,
        keys,
        len,
        every,
        stand.size.seconds * 2.0,
    )
    .await?;
    let mut measures = vec![measure("throughput", "MB/s", window.megabytes())];
    measures.extend(common(stand, &window)?);
    measures.push(measure("written per op", "B", written_each(&window)));
    measures.push(measure("file size", "MB", stand.file_size()? as f64 / 1e6));
    Ok(measures)
}

pub(super) async fn compacting(stand: &Stand, keys: u64) -> Result<Vec<Measure>> {
    let meter = Meter::new();
    let load = open_loop(&stand.ports(), 50, STEADY_RATE, &meter, |connection| {
        Puts::new(connection as u64, keys, 256)
    })
    .await?;
    let compactor = stand.compact_every(Duration::from_secs(2), &meter).await?;
    let size = stand.size;
    let window = meter
        .window(&stand.pids(), size.warm(), size.seconds * 2.0)
        .await?;
    drop((load, compactor));
    check(&window)?;
    common(stand, &window)
}

async fn closed(
    stand: &Stand,
    ports: &[u16],
    crowd: Crowd,
    keys: u64,
    value_len: usize,
    compact_every: Option<Duration>,
    seconds: f64,
) -> Result<Window> {
    let meter = Meter::new();
    let load = closed_loop(ports, crowd, &meter, |connection| {
        Puts::new(connection as u64, keys, value_len)
    })
    .await?;
    let compactor = match compact_every {
        Some(every) => Some(stand.compact_every(every, &meter).await?),
        None => None,
    };
    let window = meter
        .window(&stand.pids(), stand.size.warm(), seconds)
        .await?;
    drop((load, compactor));
    check(&window)?;
    Ok(window)
}

fn check(window: &Window) -> Result<()> {
    ensure!(window.failed == 0, "{} puts were refused", window.failed);
    ensure!(window.count > 0, "no put was answered");
    Ok(())
}

fn common(stand: &Stand, window: &Window) -> Result<Vec<Measure>> {
    Ok(vec![
        measure("rate", "1/s", window.rate()),
        measure("p50", "µs", window.latency(0.5)),
        measure("p99", "µs", window.latency(0.99)),
        measure("p99.9", "µs", window.latency(0.999)),
        measure("cpu per op", "µs", window.cpu_each()),
        measure("generator per op", "µs", window.own_cpu_each()),
        measure("memory", "MB", stand.memory()? as f64 / 1e6),
    ])
}

fn written_each(window: &Window) -> f64 {
    window.used.written as f64 / window.count.max(1) as f64
}
