//! One watcher.

use super::StreamId;
use crate::{Body, Events, KeyRange, Options, Response, Revision, WatchId};

slotmap::new_key_type! {
    /// Names a watcher within a hub.
    pub(super) struct WatcherKey;
}

/// Where a watcher is looked for when there is something for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Has heard everything; in the live index.
    Live,
    /// Some revisions behind; in the index of those who catch up.
    CatchingUp,
    /// Its stream's queue is full; waits for room.
    SetAside,
    /// Told that its revisions are gone; waits for the client to cancel it.
    Compacted,
    /// Not created yet, or removed.
    Nowhere,
}

/// One watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) stream: StreamId,
    pub(super) id: WatchId,
    pub(super) range: KeyRange,
    pub(super) options: Options,
    /// As requested; 0 for "from now on".
    pub(super) start: Revision,
    /// Every event before this revision has been queued, none from it on; for a live watcher a bound
    /// from below, the truth being the hub's next revision.
    pub(super) next: Revision,
    pub(super) place: Place,
    /// The next response comes out of a backlog of the client's making.
    pub(super) was_set_aside: bool,
    /// Events were queued since the last progress period.
    pub(super) is_busy: bool,
}

impl Watcher {
    /// Whether it has yet to hear of revisions that others have heard of.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self.place, Place::CatchingUp | Place::SetAside)
    }

    /// Whether progress at `now` would be true for it.
    pub(super) fn knows_all(&self, now: Revision) -> bool {
        self.place == Place::Live && self.start <= now
    }

    /// A response with events for it.
    pub(super) fn response(&mut self, header_revision: Revision, events: Events) -> Response {
        self.is_busy = true;
        Response {
            watch_id: self.id,
            header_revision,
            body: Body::Events {
                events,
                may_fragment: self.options.fragment,
            },
        }
    }
}
