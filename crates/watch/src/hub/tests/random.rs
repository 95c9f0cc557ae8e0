//! Random changes, watchers, slow readers and compactions against the model.

use super::model::Model;
use super::store::Store;
use crate::{
    Create, Error, EventBatch, HistoryRead, Hub, KeyRange, Limits, Options, Revision, StreamId,
    WatchId, Window,
};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

/// A put or a delete of one of the keys.
type Edit = (u8, Option<u8>);

#[derive(Debug, Clone)]
enum Op {
    /// Published together.
    Txns(Vec<Vec<Edit>>),
    Open,
    Close(usize),
    Create(usize, Wish),
    Cancel(usize, usize),
    Progress(usize),
    Tick(usize),
    Poll(usize, usize),
    CatchUp,
    /// Asks for history now, and gets the answer at the next of these.
    ReadElsewhere,
    Compact(i64),
    Install(usize),
}

/// A create; the start is relative to the current revision.
#[derive(Debug, Clone)]
struct Wish {
    low: u8,
    high: Option<Option<u8>>,
    start: Option<i64>,
    id: i64,
    options: Options,
}

const KEYS: [&str; 6] = ["a", "aa", "b", "ba", "c", "d"];

fn wish() -> impl Strategy<Value = Wish> {
    let options = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let options = options.prop_map(|(no_put, no_delete, prev_kv, progress_notify)| Options {
        no_put: no_put && no_delete,
        no_delete: no_delete && prev_kv,
        prev_kv,
        progress_notify,
        fragment: false,
    });
    let high = prop::option::of(prop::option::of(0..6u8));
    let start = prop::option::of(prop_oneof![4 => -9..3i64, 1 => Just(-1000)]);
    // Not -1: progress for it could not be told from progress for the stream.
    let id = prop_oneof![4 => Just(0i64), 1 => 1..5i64, 1 => -4..-1i64];
    (0..6u8, high, start, id, options).prop_map(|(low, high, start, id, options)| Wish {
        low,
        high,
        start,
        id,
        options,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let stream = 0..3usize;
    let edit = (0..6u8, prop::option::weighted(0.7, 0..9u8));
    prop_oneof![
        12 => prop::collection::vec(prop::collection::vec(edit, 1..4), 1..4).prop_map(Op::Txns),
        1 => Just(Op::Open),
        1 => stream.clone().prop_map(Op::Close),
        6 => (stream.clone(), wish()).prop_map(|(s, wish)| Op::Create(s, wish)),
        2 => (stream.clone(), 0..9usize).prop_map(|(s, n)| Op::Cancel(s, n)),
        2 => stream.clone().prop_map(Op::Progress),
        2 => stream.clone().prop_map(Op::Tick),
        5 => (stream, 1..9usize).prop_map(|(s, n)| Op::Poll(s, n)),
        5 => Just(Op::CatchUp),
        4 => Just(Op::ReadElsewhere),
        1 => (0..6i64).prop_map(Op::Compact),
        1 => (0..3usize).prop_map(Op::Install),
    ]
}

fn limits() -> impl Strategy<Value = (Limits, usize)> {
    (
        1..6usize,
        1..2000usize,
        0..2000usize,
        1..5usize,
        1..1000usize,
        1..4usize,
        1..4usize,
    )
        .prop_map(
            |(queue, bytes, ring, revisions, window, watchers, read_max)| {
                let limits = Limits {
                    queue_responses_max: queue,
                    queue_bytes_max: bytes,
                    queue_answers_max: 1,
                    response_bytes_max: bytes,
                    ring_bytes_max: ring,
                    window_revisions_max: revisions,
                    window_bytes_max: window,
                    window_watchers_max: watchers,
                };
                (limits, read_max)
            },
        )
}

struct World {
    store: Store,
    hub: Hub,
    streams: Vec<(StreamId, Model)>,
    elsewhere: Option<(HistoryRead, Result<Window, Error>)>,
}

impl World {
    fn new(limits: Limits, read_max: usize) -> World {
        let mut hub = Hub::new(Revision(1), Revision(0), limits);
        let streams = vec![(hub.open(), Model::default())];
        World {
            store: Store {
                read_max,
                ..Store::new()
            },
            hub,
            streams,
            elsewhere: None,
        }
    }

    fn step(&mut self, op: Op) {
        let now = self.store.revision();
        match op {
            Op::Txns(txns) => {
                let batches: Vec<_> = txns.iter().filter_map(|edits| self.txn(edits)).collect();
                self.hub.on_batches(&batches, &self.store);
            }
            Op::Open => self.streams.push((self.hub.open(), Model::default())),
            Op::Close(n) if self.streams.len() > 1 => {
                let (stream, _) = self.streams.remove(n % self.streams.len());
                self.hub.close(stream);
            }
            Op::Close(_) => {}
            Op::Create(n, wish) => {
                let create = wish.create(now);
                let (stream, model) = self.stream(n);
                model.create(&create, now);
                let stream = *stream;
                self.hub.create(stream, create);
            }
            Op::Cancel(n, which) => {
                let (stream, model) = self.stream(n);
                let id = model.some_number(which).unwrap_or(WatchId(77));
                model.cancel(id, now);
                let stream = *stream;
                self.hub.cancel(stream, id);
            }
            Op::Progress(n) => {
                let stream = self.stream(n).0;
                self.hub.request_progress(stream);
            }
            Op::Tick(n) => {
                let stream = self.stream(n).0;
                self.hub.progress_tick(stream);
            }
            Op::Poll(n, count) => self.poll(n, count),
            Op::CatchUp => self.hub.catch_up(&self.store),
            Op::ReadElsewhere => self.read_elsewhere(),
            Op::Compact(back) => {
                self.store.compacted = self.store.compacted.max(Revision(now.0 - back));
                self.hub.on_compaction(self.store.compacted);
            }
            Op::Install(ahead) => {
                for key in KEYS.iter().take(ahead) {
                    self.store.apply(&[(key, Some("installed"))]);
                }
                self.hub
                    .on_install(self.store.revision(), self.store.compacted);
            }
        }
        assert_eq!(self.hub.revision(), self.store.revision());
    }

    fn txn(&mut self, edits: &[Edit]) -> Option<Arc<EventBatch>> {
        let values: Vec<_> = edits
            .iter()
            .map(|(_, v)| v.map(|v| v.to_string()))
            .collect();
        let key = |n: &u8| KEYS[usize::from(*n)];
        let ops = edits
            .iter()
            .zip(&values)
            .map(|((k, _), v)| (key(k), v.as_deref()));
        self.store.apply(&ops.collect::<Vec<_>>())
    }

    fn stream(&mut self, n: usize) -> &mut (StreamId, Model) {
        let count = self.streams.len();
        &mut self.streams[n % count]
    }

    fn poll(&mut self, n: usize, count: usize) {
        let n = n % self.streams.len();
        for _ in 0..count {
            let Some(response) = self.hub.poll(self.streams[n].0) else {
                break;
            };
            self.streams[n].1.read(response, &self.store);
        }
    }

    fn read_elsewhere(&mut self) {
        match self.elsewhere.take() {
            Some((read, result)) => self.hub.on_history(read, result, &self.store),
            None => {
                let read = self.hub.next_history_read(&self.store);
                self.elsewhere = read.map(|read| (read, crate::History::read(&self.store, read)));
            }
        }
    }

    /// Everybody reads until nothing comes any more, always woken by the list of ready streams.
    fn finish(mut self) {
        while self.hub.is_behind() || !self.drain() {
            self.hub.catch_up(&self.store);
        }
        let stats = self.hub.stats();
        assert_eq!((stats.slow_watchers, stats.pending_responses), (0, 0));
        for n in 0..self.streams.len() {
            let deserves_progress = self.streams[n].1.deserves_progress(&self.store);
            self.streams[n].1.finish(&self.store);
            let stream = self.streams[n].0;
            self.hub.request_progress(stream);
            assert_eq!(
                self.hub.take_ready(),
                vec![stream; usize::from(deserves_progress)]
            );
            self.poll(n, usize::MAX);
        }
        self.streams
            .iter()
            .for_each(|(stream, _)| self.hub.close(*stream));
        assert_eq!(self.hub.stats().watchers, 0);
    }

    /// Whether there was nothing to read.
    fn drain(&mut self) -> bool {
        let before = self.hub.stats().pending_responses;
        for ready in self.hub.take_ready() {
            if let Some(n) = self.streams.iter().position(|(stream, _)| *stream == ready) {
                self.poll(n, usize::MAX);
            }
        }
        // Those that were polled in part before were not named again.
        (0..self.streams.len()).for_each(|n| self.poll(n, usize::MAX));
        before == 0
    }
}

impl Wish {
    fn create(self, now: Revision) -> Create {
        let key = |n: u8| Bytes::from(KEYS[usize::from(n)]);
        let end = match self.high {
            None => Bytes::new(),
            Some(None) => Bytes::from("\0"),
            Some(Some(high)) => key(high),
        };
        Create {
            range: KeyRange::from_request(key(self.low), end),
            start_revision: self.start.map_or(0, |start| now.0 + start),
            watch_id: self.id,
            options: self.options,
            denied: None,
        }
    }
}

proptest! {
    // Cheap, so four times the default; PROPTEST_CASES sets the base.
    #![proptest_config(ProptestConfig::with_cases(4 * ProptestConfig::default().cases))]

    /// covers: P-W-01 to P-W-10, R-027 to
    #[test]
    fn agrees_with_the_model(
        (limits, read_max) in limits(),
        ops in prop::collection::vec(op(), 0..150),
    ) {
        let mut world = World::new(limits, read_max);
        for op in ops {
            world.step(op);
        }
        world.finish();
    }
}
