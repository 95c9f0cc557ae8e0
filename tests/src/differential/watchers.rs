//! What the watchers of a run should have seen, judged by a witness that watches everything.

use ferrod_proto::etcdserverpb::{WatchCreateRequest, watch_create_request::FilterType};
use ferrod_proto::mvccpb::{Event, event::EventType};

use super::side::Item;

/// The stream on which the witness is alone.
pub(crate) const WITNESS_STREAM: usize = 0;

/// One watcher, the same on both servers.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    pub(crate) stream: usize,
    /// Which create request of its stream made it, on either side.
    pub(crate) instance: [usize; 2],
    pub(crate) id: i64,
    pub(crate) create: WatchCreateRequest,
    /// The first revision that it should see.
    pub(crate) from: i64,
    /// The compacted revision when it was made.
    pub(crate) compacted: i64,
    /// Items of both sides that were compared already.
    pub(crate) verified: [usize; 2],
    /// It is told of revisions up to this one already.
    pub(crate) settled: i64,
    /// It asked for forgotten history, so the server cancels it.
    pub(crate) doomed: bool,
    /// The client has cancelled it.
    pub(crate) ended: bool,
}

impl Watcher {
    /// Whether the watcher may hear of `event`, as far as it is not compacted.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let Some(kv) = &event.kv else { return false };
        let filter = match event.r#type() {
            EventType::Put => FilterType::Noput,
            EventType::Delete => FilterType::Nodelete,
        };
        kv.mod_revision >= self.from
            && kv.mod_revision > self.settled
            && contains(&self.create.key, &self.create.range_end, &kv.key)
            && !self.create.filters.contains(&(filter as i32))
    }

    /// Whether the watcher waits for a revision beyond `current`.
    pub(crate) fn is_ahead(&self, current: i64) -> bool {
        self.create.start_revision > current
    }

    /// Whether only some versions of etcd still know `event`: a tombstone at the compacted revision.
    pub(crate) fn is_uncertain(&self, event: &Event) -> bool {
        let revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
        revision == self.compacted && event.r#type() == EventType::Delete
    }
}

/// Whether the range of a watcher contains `key`.
fn contains(low: &[u8], high: &[u8], key: &[u8]) -> bool {
    let low = if low.is_empty() { b"\0" } else { low };
    match high {
        b"" => key == low,
        b"\0" => key >= low,
        high => low <= key && key < high,
    }
}

/// An event without its previous value, which depends on what was compacted when it was sent.
pub(crate) fn without_prev(event: &Event) -> Event {
    Event {
        prev_kv: None,
        ..event.clone()
    }
}

/// The events among `items`.
pub(crate) fn events(items: &[Item]) -> impl Iterator<Item = &Event> {
    items.iter().filter_map(|item| match item {
        Item::Event(event) => Some(event),
        Item::Cancelled { .. } => None,
    })
}
