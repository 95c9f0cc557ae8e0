//! What a delivery costs. Measured on demand, never asserted.

use super::store::Store;
use crate::{Change, Create, EventBatch, Hub, KeyRange, Kind, Limits, Options, Revision, StreamId};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BATCHES: i64 = 1000;

fn prefix_watch() -> Create {
    Create {
        range: KeyRange::from_request(Bytes::from("/registry/"), Bytes::from("/registry0")),
        start_revision: 0,
        watch_id: 0,
        options: Options::default(),
        denied: None,
    }
}

fn batch(revision: i64, changes: i64) -> Arc<EventBatch> {
    let change = |n: i64| {
        let key = Bytes::from(format!("/registry/pods/{:08}", revision * changes + n));
        Change::new(Kind::Create, key, Bytes::from(vec![7; 256]))
    };
    Arc::new(EventBatch::new(
        Revision(revision),
        (0..changes).map(change).collect(),
    ))
}

fn hub(streams: usize, watchers: usize) -> (Hub, Vec<StreamId>) {
    let mut hub = Hub::new(Revision(1), Revision(0), Limits::default());
    let streams: Vec<_> = (0..streams).map(|_| hub.open()).collect();
    for n in 0..watchers {
        hub.create(streams[n % streams.len()], prefix_watch());
    }
    drain(&mut hub, &streams);
    (hub, streams)
}

/// Polls and writes prefixes, as the owner of the streams does.
fn drain(hub: &mut Hub, streams: &[StreamId]) -> usize {
    let sender = crate::Sender {
        cluster_id: u64::MAX,
        member_id: u64::MAX,
        raft_term: 3,
    };
    let mut out = BytesMut::with_capacity(1 << 16);
    let mut events = 0;
    hub.take_ready();
    for stream in streams {
        while let Some(response) = hub.poll(*stream) {
            for message in response.messages(&sender, 2 << 20) {
                out.clear();
                message.write_prefix(&sender, &mut out);
                events += message.events_count();
            }
        }
    }
    events
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}

fn live(streams: usize, watchers: usize, changes: i64) {
    let store = Store::new();
    let (mut hub, streams) = hub(streams, watchers);
    let (mut delivering, mut polling, mut events) = (Duration::ZERO, Duration::ZERO, 0);
    for revision in 2..BATCHES + 2 {
        let batch = batch(revision, changes);
        let start = now();
        hub.on_batch(&batch, &store);
        delivering += start.elapsed();
        let start = now();
        events += drain(&mut hub, &streams);
        polling += start.elapsed();
    }
    let each = |spent: Duration| spent.as_nanos() / events as u128;
    println!(
        "live: {} streams, {watchers} watchers, {changes} changes: {events} events, \
         {} ns to deliver, {} ns to poll and frame, each",
        streams.len(),
        each(delivering),
        each(polling)
    );
}

/// Everything is set aside again and again and comes from memory.
fn behind(watchers: usize) {
    let store = Store::new();
    let (mut hub, streams) = hub(4, watchers);
    let (mut spent, mut events) = (Duration::ZERO, 0);
    for revision in 2..BATCHES + 2 {
        let batch = batch(revision, 1);
        let start = now();
        hub.on_batch(&batch, &store);
        if revision % 50 == 0 {
            events += drain(&mut hub, &streams);
            while hub.is_behind() {
                hub.catch_up(&store);
                events += drain(&mut hub, &streams);
            }
        }
        spent += start.elapsed();
    }
    let each = spent.as_nanos() / events as u128;
    println!("behind by 50 each time: {watchers} watchers: {events} events, {each} ns each in all");
}

fn many_ranges(watchers: u32) {
    let store = Store::new();
    let mut hub = Hub::new(Revision(1), Revision(0), Limits::default());
    let stream = hub.open();
    let start = now();
    for n in 0..watchers {
        let key = if n % 2 == 0 {
            "/registry/pods/".into()
        } else {
            format!("/registry/{n:08}")
        };
        let range = match n % 2 {
            0 => KeyRange::Key(Bytes::from(format!("{key}{n:08}"))),
            _ => KeyRange::Span {
                low: Bytes::from(key.clone()),
                high: Bytes::from(key + "0"),
            },
        };
        hub.create(
            stream,
            Create {
                range,
                ..prefix_watch()
            },
        );
    }
    let created = start.elapsed().as_nanos() / u128::from(watchers);
    drain(&mut hub, &[stream]);
    let start = now();
    (2..BATCHES + 2).for_each(|revision| hub.on_batch(&batch(revision, 1), &store));
    let matched = start.elapsed().as_nanos() / BATCHES as u128;
    let start = now();
    hub.close(stream);
    let closed = start.elapsed().as_nanos() / u128::from(watchers);
    println!("{watchers} ranges: {created} ns to create, {closed} to close; {matched} ns a batch");
}

#[test]
#[ignore = "a measurement: run with --release and --nocapture"]
fn speed() {
    live(4, 1000, 1);
    live(1, 1000, 1);
    live(100, 1000, 1);
    live(4, 1000, 10);
    live(1, 1, 1);
    behind(1000);
    many_ranges(100_000);
}
