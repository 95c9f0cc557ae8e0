//! A member's watch hub, fed and polled as the server does it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ferrod_mvcc::{Change, ChangeKind, ChangeRef, Changes, KeyValue, Reader};
use ferrod_proto::etcdserverpb::WatchResponse;
use ferrod_proto::mvccpb::Event;
use ferrod_watch::{
    Body, Create, EventBatch, Events, History, HistoryRead, Hub, Kind, Limits, Response, Revision,
    StreamId, Window,
};
use prost::Message;

use crate::check::watch::Heard;

/// A member's hub, with the streams of its subscribers.
pub(super) struct Watching {
    hub: Hub,
    history: StoreHistory,
    streams: BTreeMap<usize, (StreamId, i64)>,
}

impl Watching {
    pub(super) fn new(reader: Reader) -> Watching {
        let view = reader.view();
        // Small, so that slow subscribers are set aside and the past is read from history.
        let limits = Limits {
            queue_responses_max: 4,
            ring_bytes_max: 4 << 10,
            window_revisions_max: 7,
            ..Limits::default()
        };
        let hub = Hub::new(
            Revision(view.revision()),
            Revision(view.compacted()),
            limits,
        );
        Watching {
            hub,
            history: StoreHistory(RefCell::new(reader)),
            streams: BTreeMap::new(),
        }
    }

    /// Revisions were published.
    pub(super) fn heard(&mut self, changes: &[Changes], compacted: i64) {
        for changes in changes {
            let events = changes.list.iter().map(event).collect();
            let batch = Arc::new(EventBatch::new(Revision(changes.revision), events));
            self.hub.on_batch(&batch, &self.history);
        }
        self.hub.on_compaction(Revision(compacted));
    }

    /// The state was replaced by a later one.
    pub(super) fn installed(&mut self, revision: i64, compacted: i64) {
        self.hub.on_install(Revision(revision), Revision(compacted));
    }

    /// Opens a stream with one watcher for a subscriber.
    pub(super) fn open(&mut self, subscriber: usize, create: Create) {
        self.close(subscriber);
        let start = create.start_revision;
        let stream = self.hub.open();
        self.hub.create(stream, create);
        self.streams.insert(subscriber, (stream, start));
    }

    pub(super) fn close(&mut self, subscriber: usize) {
        if let Some((stream, _)) = self.streams.remove(&subscriber) {
            self.hub.close(stream);
        }
    }

    /// A period of the progress timer is over for a subscriber.
    pub(super) fn progress_tick(&mut self, subscriber: usize) {
        if let Some((stream, _)) = self.streams.get(&subscriber) {
            self.hub.progress_tick(*stream);
        }
    }

    /// A step of catching up, if somebody is behind.
    pub(super) fn catch_up(&mut self) {
        if self.hub.is_behind() {
            self.hub.catch_up(&self.history);
        }
    }

    /// The next message for a subscriber.
    pub(super) fn poll(&mut self, subscriber: usize) -> Option<Heard> {
        let (stream, start) = self.streams.get(&subscriber)?;
        let response = self.hub.poll(*stream)?;
        Some(translate(response, *start))
    }
}

fn translate(response: Response, start: i64) -> Heard {
    let revision = response.header_revision.0;
    match response.body {
        Body::Created => Heard::Created { start, revision },
        Body::Events { events, .. } => Heard::Events {
            revision,
            events: decode(&events),
        },
        Body::Progress => Heard::Progress(revision),
        Body::Compacted(revision) => Heard::Compacted(revision.0),
        Body::Canceled | Body::Refused(_) => Heard::Disconnected,
    }
}

/// Events come as fields of a response.
fn decode(events: &Events) -> Vec<Event> {
    let response = WatchResponse::decode(events.bytes().clone());
    response.expect("events are fields of a response").events
}

fn event(change: &Change) -> ferrod_watch::Change {
    let key = change.key();
    match change.kind {
        ChangeKind::Put if change.is_create() => {
            ferrod_watch::Change::new(Kind::Create, key, change.row.clone())
        }
        ChangeKind::Put => ferrod_watch::Change::new(Kind::Update, key, change.row.clone()),
        ChangeKind::Delete => {
            let row = delete_row(&key, change.revision.main);
            ferrod_watch::Change::new(Kind::Delete, key, row)
        }
    }
}

fn delete_row(key: &[u8], mod_revision: i64) -> Bytes {
    let row = KeyValue {
        key,
        mod_revision,
        ..KeyValue::default()
    };
    let mut encoded = BytesMut::with_capacity(row.encoded_len());
    row.encode(&mut encoded);
    encoded.freeze()
}

/// The kept history of the store, as a hub reads it.
struct StoreHistory(RefCell<Reader>);

impl History for StoreHistory {
    fn read(&self, read: HistoryRead) -> Result<Window, ferrod_watch::Error> {
        let mut reader = self.0.borrow_mut();
        let view = reader.view();
        let mut batches: BTreeMap<i64, Vec<ferrod_watch::Change>> = BTreeMap::new();
        let mut visit = |change: ChangeRef<'_>| {
            let changes = batches.entry(change.revision.main).or_default();
            changes.push(past_event(&change));
        };
        let (low, high) = (read.low.0, read.high.0);
        match reader.changes(&view, low, high, read.revisions_max, &mut visit) {
            Ok(next) => Ok(Window {
                low: read.low,
                high: Revision(next - 1).min(read.high),
                batches: batches
                    .into_iter()
                    .map(|(revision, changes)| {
                        Arc::new(EventBatch::new(Revision(revision), changes))
                    })
                    .collect(),
            }),
            Err(ferrod_mvcc::Error::Compacted) => Err(ferrod_watch::Error::Compacted(Revision(
                reader.view().compacted(),
            ))),
            Err(error) => panic!("history cannot be read: {error}"),
        }
    }

    fn previous(&self, key: &[u8], at: Revision) -> Option<Bytes> {
        let mut reader = self.0.borrow_mut();
        let view = reader.view();
        if at.0 < 1 {
            return None;
        }
        let row = reader.get(&view, key, at.0, |row| Bytes::copy_from_slice(row.encoded));
        row.ok().flatten()
    }
}

fn past_event(change: &ChangeRef<'_>) -> ferrod_watch::Change {
    let key = Bytes::copy_from_slice(change.key);
    if change.tombstone {
        let row = delete_row(&key, change.revision.main);
        return ferrod_watch::Change::new(Kind::Delete, key, row);
    }
    let created = KeyValue::decode(change.encoded).is_some_and(|row| row.version == 1);
    let kind = if created { Kind::Create } else { Kind::Update };
    ferrod_watch::Change::new(kind, key, Bytes::copy_from_slice(change.encoded))
}
