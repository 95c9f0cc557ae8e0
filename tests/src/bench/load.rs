//! Callers: in a closed loop each waits for its answer before it asks again; in an open loop requests leave on a
//! schedule whatever the server does, and a late one counts from when it should have left.
//!
//! Of a closed loop one answer in a thousand is decoded and checked; the others count when their status is good.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::link::{Call, Ending, Event, Keep, Link};
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
    /// Whether `answer` is a right answer to `request`.
    fn check(&self, request: &Self::Message, answer: &[u8]) -> Result<()>;
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
    /// How long a connection that has sent its requests lets answers gather before it looks for them.
    ///
    /// A large crowd on few cores would otherwise wake the generator for each answer, at more than the server's cost of
    /// making it. Far below the time an answer takes under such a load, and the same for every server.
    pub(crate) pause: Duration,
}

/// A thousand callers on a hundred connections.
pub(crate) const THOUSAND: Crowd = Crowd {
    callers: 1000,
    connections: 100,
    pause: Duration::from_millis(2),
};

/// One call in so many is checked.
pub(crate) const CHECK_EVERY: u64 = 1_000;

/// Connections on which a load runs; dropping them ends it.
pub(crate) type Running = JoinSet<Result<()>>;

/// Starts a closed loop, its connections spread over `ports`. `requests` is called once for each connection.
pub(crate) async fn closed_loop<R: Requests + 'static>(
    ports: &[u16],
    crowd: Crowd,
    meter: &Meter,
    mut requests: impl FnMut(usize) -> R,
) -> Result<Running> {
    let mut running = JoinSet::new();
    for connection in 0..crowd.connections {
        let callers = crowd.callers / crowd.connections
            + usize::from(connection < crowd.callers % crowd.connections);
        let link = Link::connect(ports[connection % ports.len()]).await?;
        running.spawn_local(call_in_turn(
            link,
            callers,
            crowd.pause,
            meter.clone(),
            requests(connection),
        ));
    }
    Ok(running)
}

async fn call_in_turn<R: Requests>(
    mut link: Link,
    callers: usize,
    pause: Duration,
    meter: Meter,
    requests: R,
) -> Result<()> {
    let mut callers = Callers {
        requests,
        starts: vec![now(); callers],
        asked: 0,
        in_flight: 0,
        checked: None,
    };
    let mut events = Vec::new();
    for tag in 0..callers.starts.len() {
        callers.ask(&mut link, tag as u32);
    }
    while callers.in_flight > 0 {
        if !pause.is_zero() {
            link.flush()?;
            tokio::time::sleep(pause).await;
        }
        link.turn(&mut events).await?;
        for event in events.drain(..) {
            match event {
                Event::Message { tag, body } => callers.check(tag, &body)?,
                Event::Closed(ending) => {
                    settle(
                        &meter,
                        callers.starts[ending.tag as usize],
                        ending,
                        &callers.requests,
                    );
                    callers.in_flight -= 1;
                    if !meter.is_stopped() {
                        callers.ask(&mut link, ending.tag);
                    }
                }
            }
        }
    }
    Ok(())
}

/// The callers of one connection.
struct Callers<R: Requests> {
    requests: R,
    /// When each has asked last.
    starts: Vec<Instant>,
    asked: u64,
    in_flight: usize,
    /// The call whose answer will be checked.
    checked: Option<(u32, R::Message)>,
}

impl<R: Requests> Callers<R> {
    fn ask(&mut self, link: &mut Link, tag: u32) {
        if self.requests.left() == 0 {
            return;
        }
        let request = self.requests.next();
        let checked = self.checked.is_none() && self.asked.is_multiple_of(CHECK_EVERY);
        self.asked += 1;
        self.in_flight += 1;
        self.starts[tag as usize] = now();
        let keep = if checked { Keep::Bytes } else { Keep::Nothing };
        link.start(unary(R::PATH, tag, keep), &request);
        if checked {
            self.checked = Some((tag, request));
        }
    }

    fn check(&mut self, tag: u32, answer: &[u8]) -> Result<()> {
        match self.checked.take_if(|(checked, _)| *checked == tag) {
            Some((_, request)) => self.requests.check(&request, answer),
            None => Ok(()),
        }
    }
}

fn settle<R: Requests>(meter: &Meter, start: Instant, ending: Ending, requests: &R) {
    if ending.messages != 1 || !ending.good {
        meter.failed();
    } else if R::COUNTS_ANSWERS {
        meter.done(start, ending.bytes);
    } else {
        meter.done(start, requests.payload());
    }
}

/// Starts an open loop of `rate` requests per second over all connections, which are spread over `ports`.
///
/// When it is told to stop it still waits for the answers to what it has asked.
pub(crate) async fn open_loop<R: Requests + 'static>(
    ports: &[u16],
    connections: usize,
    rate: f64,
    meter: &Meter,
    mut requests: impl FnMut(usize) -> R,
) -> Result<Running> {
    let mut running = JoinSet::new();
    let interval = Duration::from_secs_f64(connections as f64 / rate);
    for connection in 0..connections {
        let link = Link::connect(ports[connection % ports.len()]).await?;
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
    let mut in_flight = 0u32;
    while !meter.is_stopped() || in_flight > 0 {
        while due <= now() {
            if !meter.is_stopped() {
                link.start(unary(R::PATH, tick, Keep::Nothing), &requests.next());
                in_flight += 1;
            }
            tick += 1;
            due += interval;
        }
        tokio::select! {
            turned = link.turn(&mut events) => turned?,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        for event in events.drain(..) {
            if let Event::Closed(ending) = event {
                settle(&meter, first + interval * ending.tag, ending, &requests);
                in_flight -= 1;
            }
        }
    }
    Ok(())
}

fn unary(path: &'static str, tag: u32, keep: Keep) -> Call {
    Call {
        path,
        tag,
        unary: true,
        keep,
    }
}

/// Waits until work that ends by itself has ended.
pub(crate) async fn finish(mut running: Running) -> Result<()> {
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
