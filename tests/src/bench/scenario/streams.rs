//! Long-lived streams: watchers and keep-alives.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use ferrod_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse, WatchCreateRequest,
    WatchRequest, watch_request::RequestUnion,
};
use prost::Message;

use crate::bench::link::{Call, Event, Keep, Link};
use crate::bench::load::{CHECK_EVERY, Crowd, Running, closed_loop, finish};
use crate::bench::measure::{Measure, measure};
use crate::bench::meter::Meter;
use crate::bench::requests::{PREFIX, PREFIX_END, Puts};
use crate::bench::stand::Stand;
use crate::clock::{now, poll};

const WATCHERS: u32 = 1_000;
const WATCH_STREAMS: u32 = 20;
const WATCH_PAUSE: Duration = Duration::from_millis(1);
const LEASES: i64 = 1_000;
const KEEP_ALIVE_STREAMS: i64 = 100;
/// Number of the field `events` in a watch response, as it begins on the wire: length-delimited.
const EVENTS_TAG: u64 = (11 << 3) | 2;

pub(super) async fn watch(stand: &Stand) -> Result<Vec<Measure>> {
    let meter = Meter::new();
    let mut watching = Running::new();
    for _ in 0..WATCH_STREAMS {
        let link = watch_link(stand.port()).await?;
        watching.spawn_local(count_events(link, meter.clone()));
    }
    let writes = Meter::new();
    let crowd = Crowd {
        callers: 16,
        connections: 4,
        pause: Duration::ZERO,
    };
    let writers = closed_loop(&stand.ports(), crowd, &writes, |connection| {
        Puts::new(connection as u64, 10_000, 256)
    })
    .await?;
    let size = stand.size;
    let window = meter
        .window(&stand.pids(), size.warm(), size.seconds)
        .await?;
    writes.stop();
    finish(writers).await?;
    delivered(&writes, &meter).await?;
    drop(watching);
    ensure!(window.count > 0, "no event was delivered");
    Ok(vec![
        measure("rate", "events/s", window.rate()),
        measure("cpu per event", "µs", window.cpu_each()),
        measure("generator per event", "µs", window.own_cpu_each()),
    ])
}

/// Waits until each watcher has seen each write once: what was counted without decoding is then right.
async fn delivered(writes: &Meter, events: &Meter) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    let expected = writes.total() * u64::from(WATCHERS);
    let all = async || (events.total() >= expected).then_some(());
    let waited = poll(LIMIT, all).await;
    ensure!(
        waited.is_some() && events.total() == expected,
        "{} events were delivered of {expected}",
        events.total()
    );
    Ok(())
}

/// Opens a stream with its share of the watchers and waits until all are created.
async fn watch_link(port: u16) -> Result<Link> {
    let mut link = Link::connect(port).await?;
    let create = WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(WatchCreateRequest {
            key: PREFIX.into(),
            range_end: PREFIX_END.into(),
            ..Default::default()
        })),
    };
    let call = Call {
        path: "/etcdserverpb.Watch/Watch",
        tag: 0,
        unary: false,
        keep: Keep::Count(created_or_events),
    };
    let stream = link.start(call, &create);
    for _ in 1..WATCHERS / WATCH_STREAMS {
        link.send(stream, &create);
    }
    let (mut events, mut created) = (Vec::new(), 0);
    while created < u64::from(WATCHERS / WATCH_STREAMS) {
        link.turn(&mut events).await?;
        ensure!(events.is_empty(), "the watch stream was refused");
        created += link.take_counted();
    }
    Ok(link)
}

async fn count_events(mut link: Link, meter: Meter) -> Result<()> {
    let mut events = Vec::new();
    loop {
        // Events gather meanwhile, so that the generator does not wake for each.
        tokio::time::sleep(WATCH_PAUSE).await;
        link.turn(&mut events).await?;
        ensure!(events.is_empty(), "the watch stream ended");
        meter.count(link.take_counted(), 0);
    }
}

/// Counts a message without events as one: while watchers are created there are no others.
fn created_or_events(body: &[u8]) -> u64 {
    events_in(body).unwrap_or(0).max(1)
}

/// Counts the events of an encoded response without decoding them.
fn events_in(mut body: &[u8]) -> Option<u64> {
    let mut count = 0;
    while !body.is_empty() {
        let tag = prost::encoding::decode_varint(&mut body).ok()?;
        let value = prost::encoding::decode_varint(&mut body).ok()?;
        if tag & 7 == 2 {
            body = body.get(usize::try_from(value).ok()?..)?;
        }
        count += u64::from(tag == EVENTS_TAG);
    }
    Some(count)
}

pub(super) async fn keep_alive(stand: &Stand) -> Result<Vec<Measure>> {
    let mut lease = stand.wire().await?.lease();
    for id in 1..=LEASES {
        lease
            .lease_grant(LeaseGrantRequest { ttl: 600, id })
            .await?;
    }
    let meter = Meter::new();
    let mut running = Running::new();
    let each = LEASES / KEEP_ALIVE_STREAMS;
    for stream in 0..KEEP_ALIVE_STREAMS {
        let link = Link::connect(stand.port()).await?;
        running.spawn_local(renew(link, stream * each + 1, each, meter.clone()));
    }
    let size = stand.size;
    let window = meter
        .window(&stand.pids(), size.warm(), size.seconds)
        .await?;
    drop(running);
    ensure!(window.count > 0, "no keep-alive was answered");
    Ok(vec![
        measure("rate", "1/s", window.rate()),
        measure("p50", "µs", window.latency(0.5)),
        measure("p99", "µs", window.latency(0.99)),
        measure("cpu per op", "µs", window.cpu_each()),
        measure("generator per op", "µs", window.own_cpu_each()),
    ])
}

/// Renews each of `count` leases again as soon as its answer is there; answers come in the order of the requests.
async fn renew(mut link: Link, first: i64, count: i64, meter: Meter) -> Result<()> {
    let call = Call {
        path: "/etcdserverpb.Lease/LeaseKeepAlive",
        tag: 0,
        unary: false,
        keep: Keep::Bytes,
    };
    let mut starts: Vec<_> = (0..count).map(|_| now()).collect();
    let stream = link.start(call, &LeaseKeepAliveRequest { id: first });
    for id in first + 1..first + count {
        link.send(stream, &LeaseKeepAliveRequest { id });
    }
    let (mut events, mut turn, mut turns) = (Vec::new(), 0, 0u64);
    loop {
        link.turn(&mut events).await?;
        for event in events.drain(..) {
            let Event::Message { body, .. } = event else {
                bail!("the keep-alive stream ended")
            };
            let id = first + turn as i64;
            if !body.is_empty() {
                let answer = LeaseKeepAliveResponse::decode(&body[..])?;
                ensure!(answer.id == id && answer.ttl > 0, "lease {id}: {answer:?}");
                link.keep(stream, Keep::Nothing);
            } else if turns.is_multiple_of(CHECK_EVERY) {
                link.keep(stream, Keep::Bytes);
            }
            turns += 1;
            meter.done(starts[turn], 0);
            starts[turn] = now();
            link.send(stream, &LeaseKeepAliveRequest { id });
            turn = (turn + 1) % starts.len();
        }
    }
}
