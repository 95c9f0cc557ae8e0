//! Callers: in a closed loop each waits for its answer before it asks again; in an open loop requests leave on a
//! schedule whatever the server does, and a late one counts from when it should have left.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::link::{Call, Event, Keep, Link};
use super::meter::Meter;
use crate::clock::now;

/// Makes the next request of a caller; shared by the callers of one connection.
pub(crate) trait Requests {
    /// The kind of message sent.
    type Message: prost::Message;
    /// Full path of the method.
    const PATH: &'static str;
    /// Payload bytes sent with each request, for MB/s; zero when what comes back is counted instead.
    const COUNTS_ANSWERS: bool = false;
    /// The next request.
    fn next(&mut self) -> Self::Message;
    /// Payload bytes of a request.
    fn payload(&self) -> u64 {
        0
    }
    /// Number of requests after which the work is done, for work that ends by itself.
    fn left(&self) -> u64 {
        u64::MAX
    }
}

/// How many callers on how many connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) callers: usize,
    pub(crate) connections: usize,
}

/// Connections on which a load runs; dropping them ends it.
pub(crate) type Running = JoinSet<Result<()>>;

/// Starts a closed loop. `requests` is called once for each connection.
pub(crate) async fn closed_loop<R: Requests + 'static>(
    port: u16,
    crowd: Crowd,
    meter: &Meter,
    mut requests: impl FnMut(usize) -> R,
) -> Result<Running> {
    let mut running = JoinSet::new();
    for connection in 0..crowd.connections {
        let callers = crowd.callers / crowd.connections
            + usize::from(connection < crowd.callers % crowd.connections);
        let link = Link::connect(port).await?;
        running.spawn_local(call_in_turn(
            link,
            callers,
            meter.clone(),
            requests(connection),
        ));
    }
    Ok(running)
}

async fn call_in_turn<R: Requests>(
    mut link: Link,
    callers: usize,
    meter: Meter,
    mut requests: R,
) -> Result<()> {
    let mut starts = vec![now(); callers];
    let mut in_flight = 0;
    let mut events = Vec::new();
    for tag in 0..callers {
        in_flight += usize::from(ask(&mut link, tag, &mut starts, &mut requests));
    }
    while in_flight > 0 {
        link.turn(&mut events).await?;
        for event in events.drain(..) {
            let Event::Closed {
                tag,
                messages,
                bytes,
            } = event
            else {
                continue;
            };
            settle::<R>(&meter, starts[tag as usize], messages, bytes, &requests);
            in_flight -= 1;
            if !meter.is_stopped() {
                in_flight += usize::from(ask(&mut link, tag as usize, &mut starts, &mut requests));
            }
        }
    }
    Ok(())
}

fn ask<R: Requests>(link: &mut Link, tag: usize, starts: &mut [Instant], requests: &mut R) -> bool {
    if requests.left() == 0 {
        return false;
    }
    starts[tag] = now();
    link.start(unary(R::PATH, tag as u32), &requests.next());
    true
}

fn settle<R: Requests>(meter: &Meter, start: Instant, messages: u32, bytes: u64, requests: &R) {
    if messages == 0 {
        meter.failed();
    } else {
        meter.done(
            start,
            if R::COUNTS_ANSWERS {
                bytes
            } else {
                requests.payload()
            },
        );
    }
}

/// Starts an open loop of `rate` requests per second over all connections.
pub(crate) async fn open_loop<R: Requests + 'static>(
    port: u16,
    connections: usize,
    rate: f64,
    meter: &Meter,
    mut requests: impl FnMut(usize) -> R,
) -> Result<Running> {
    let mut running = JoinSet::new();
    let interval = Duration::from_secs_f64(connections as f64 / rate);
    for connection in 0..connections {
        let link = Link::connect(port).await?;
        let offset = interval.mul_f64(connection as f64 / connections as f64);
        let first = now() + offset;
        running.spawn_local(call_on_time(
            link,
            first,
            interval,
            meter.clone(),
            requests(connection),
        ));
    }
    Ok(running)
}

async fn call_on_time<R: Requests>(
    mut link: Link,
    first: Instant,
    interval: Duration,
    meter: Meter,
    mut requests: R,
) -> Result<()> {
    let mut due = first;
    // Requests are told apart by the number of intervals since the first one.
    let mut tick = 0u32;
    let mut events = Vec::new();
    while !meter.is_stopped() {
        while due <= now() {
            link.start(unary(R::PATH, tick), &requests.next());
            tick += 1;
            due += interval;
        }
        tokio::select! {
            turned = link.turn(&mut events) => turned?,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        for event in events.drain(..) {
            let Event::Closed {
                tag,
                messages,
                bytes,
            } = event
            else {
                continue;
            };
            settle::<R>(&meter, first + interval * tag, messages, bytes, &requests);
        }
    }
    Ok(())
}

fn unary(path: &'static str, tag: u32) -> Call {
    Call {
        path,
        tag,
        unary: true,
        keep: Keep::Nothing,
    }
}

/// Waits until work that ends by itself has ended.
pub(crate) async fn finish(mut running: Running) -> Result<()> {
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
