//! Reads: single keys, one long range, pages over everything.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ferrod_proto::etcdserverpb::{RangeRequest, RangeResponse};
use prost::Message;

use crate::bench::link::{Call, Event, Keep, Link};
use crate::bench::load::{Crowd, THOUSAND, closed_loop, open_loop};
use crate::bench::measure::{Measure, measure};
use crate::bench::meter::Meter;
use crate::bench::requests::{Gets, Lists, PREFIX, PREFIX_END, Puts};
use crate::bench::stand::Stand;
use crate::clock::now;
use crate::usage::{anonymous_memory, usage_of_all};

pub(super) async fn get(stand: &Stand, keys: u64, serializable: bool) -> Result<Vec<Measure>> {
    let meter = Meter::new();
    let load = closed_loop(&stand.ports(), THOUSAND, &meter, |connection| Gets {
        rng: fastrand::Rng::with_seed(connection as u64),
        keys,
        serializable,
    })
    .await?;
    let size = stand.size;
    let window = meter
        .window(&stand.pids(), size.warm(), size.seconds)
        .await?;
    drop(load);
    ensure!(window.failed == 0, "{} gets were refused", window.failed);
    Ok(vec![
        measure("rate", "1/s", window.rate()),
        measure("p50", "µs", window.latency(0.5)),
        measure("p99", "µs", window.latency(0.99)),
        measure("p99.9", "µs", window.latency(0.999)),
        measure("cpu per op", "µs", window.cpu_each()),
        measure("generator per op", "µs", window.own_cpu_each()),
    ])
}

pub(super) async fn list(stand: &Stand, keys: u64) -> Result<Vec<Measure>> {
    let meter = Meter::new();
    let (pids, before) = (stand.pids(), stand.memory()?);
    let crowd = Crowd {
        callers: 4,
        connections: 4,
        pause: Duration::ZERO,
    };
    let load = closed_loop(&stand.ports(), crowd, &meter, |_| Lists { keys }).await?;
    let peak = tokio::task::spawn_local({
        let (meter, pids) = (meter.clone(), pids.clone());
        async move {
            let mut peak = before;
            while !meter.is_stopped() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                peak = peak.max(
                    pids.iter()
                        .filter_map(|pid| anonymous_memory(*pid).ok())
                        .sum(),
                );
            }
            peak
        }
    });
    let size = stand.size;
    let window = meter.window(&pids, size.warm(), size.seconds).await?;
    drop(load);
    let peak = peak.await?;
    ensure!(window.failed == 0, "{} ranges were refused", window.failed);
    // Less than a page of growth cannot be told from none.
    let extra = (peak - before).max(64 * 1024);
    Ok(vec![
        measure("throughput", "MB/s", window.megabytes()),
        measure("p50", "µs", window.latency(0.5)),
        measure("p99", "µs", window.latency(0.99)),
        measure(
            "cpu per MB",
            "µs",
            window.used.cpu_us as f64 * 1e6 / window.bytes.max(1) as f64,
        ),
        measure(
            "generator per MB",
            "µs",
            window.own_cpu_us as f64 * 1e6 / window.bytes.max(1) as f64,
        ),
        measure("extra memory", "MB", extra as f64 / 1e6),
    ])
}

pub(super) async fn pages(stand: &Stand, keys: u64) -> Result<Vec<Measure>> {
    walk(stand, keys, false).await
}

pub(super) async fn pages_pinned(stand: &Stand, keys: u64) -> Result<Vec<Measure>> {
    let meter = Meter::new();
    let load = open_loop(&stand.ports(), 10, 1_000.0, &meter, |connection| {
        Puts::new(connection as u64, keys, 256)
    })
    .await?;
    let measures = walk(stand, keys, true).await;
    drop(load);
    measures
}

async fn walk(stand: &Stand, keys: u64, pinned: bool) -> Result<Vec<Measure>> {
    let mut link = Link::connect(stand.port()).await?;
    let (before, started) = (usage_of_all(&stand.pids())?, now());
    let (mut seen, mut pages) = (0, 0u32);
    let mut request = RangeRequest {
        key: PREFIX.into(),
        range_end: PREFIX_END.into(),
        limit: 500,
        ..Default::default()
    };
    loop {
        let page = fetch(&mut link, &request).await?;
        seen += page.kvs.len() as u64;
        pages += 1;
        let Some(last) = page.kvs.last().filter(|_| page.more) else {
            break;
        };
        request.key = Bytes::from([&last.key[..], b"\0"].concat());
        if pinned && request.revision == 0 {
            request.revision = page.header.context("an answer has a header")?.revision;
        }
    }
    let lasted = now() - started;
    ensure!(seen == keys, "the walk saw {seen} of {keys} keys");
    let cpu_us = usage_of_all(&stand.pids())?.cpu_us - before.cpu_us;
    Ok(vec![
        measure("whole walk", "ms", lasted.as_secs_f64() * 1e3),
        measure(
            "per page",
            "µs",
            lasted.as_secs_f64() * 1e6 / f64::from(pages),
        ),
        measure("cpu per page", "µs", cpu_us as f64 / f64::from(pages)),
    ])
}

async fn fetch(link: &mut Link, request: &RangeRequest) -> Result<RangeResponse> {
    link.start(
        Call {
            path: "/etcdserverpb.KV/Range",
            tag: 0,
            unary: true,
            keep: Keep::Bytes,
        },
        request,
    );
    let (mut events, mut page) = (Vec::new(), None);
    loop {
        link.turn(&mut events).await?;
        for event in events.drain(..) {
            match event {
                Event::Message { body, .. } => page = Some(RangeResponse::decode(&body[..])?),
                Event::Closed(ending) => match page {
                    Some(page) if ending.good => return Ok(page),
                    _ => bail!("a page was refused"),
                },
            }
        }
    }
}
