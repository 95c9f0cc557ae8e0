//! The streams and watchers of one thread.
//!
//! A watcher is in one of four places, see [`Place`]. It is *live* while it has heard everything: each
//! batch finds it, by its group, in the live index. When its stream's queue is full it is *set aside* at the revision it
//! could not take, and costs nothing until the client has read. Then, like a watcher that begins in the
//! past, it *catches up*: windows of revisions, from the ring or from history, are matched against the
//! second index, until the last window ends at the newest revision and it is live again. One whose next
//! revision is compacted stays *compacted*, its number reserved, until the client cancels it.
//!
//! There is no seam to miss at: batches and windows both run up to the one newest revision of this hub,
//! and every watcher knows its next revision.
//!
//! Reading order: this file for what is asked, `live` for what is delivered at once, `catch_up` for what
//! is delivered later, `stream` and `watcher` for what they keep.

mod catch_up;
mod collected;
mod groups;
mod live;
mod stream;
#[cfg(test)]
mod tests;
mod watcher;

use crate::ring::Ring;
use crate::{Body, Create, Limits, Response, Revision, WatchId};
use catch_up::CatchUp;
use collected::Collected;
use groups::{GroupKey, Groups};
use slotmap::SlotMap;
use std::borrow::Cow;
use stream::Stream;
pub use stream::StreamId;
use watcher::{Place, Watcher, WatcherKey};

const NEGATIVE_START: &str = "etcdserver: mvcc: required revision has been compacted";
const EMPTY_RANGE: &str = "mvcc: watcher range is empty";
const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";

/// The streams and watchers of one thread, and all that they have yet to hear.
///
/// What the store has published must come in by [`Hub::on_batch`], in revision order, before anything is
/// asked: then "now" here is no earlier than what the client has seen elsewhere.
#[derive(Debug)]
pub struct Hub {
    limits: Limits,
    /// The newest revisions; the last one is "now".
    ring: Ring,
    /// Revisions before this one may be gone from history. It never goes back.
    compacted: Revision,
    streams: SlotMap<StreamId, Stream>,
    watchers: SlotMap<WatcherKey, Watcher>,
    live: Groups,
    /// What live watchers are being told.
    news: Collected<GroupKey>,
    catch_up: CatchUp,
    /// What watchers that catch up are being told.
    collected: Collected<WatcherKey>,
    /// Streams that have something to be polled, each once.
    ready: Vec<StreamId>,
    events_total: u64,
}

/// How much there is in a hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Streams.
    pub streams: usize,
    /// Watchers.
    pub watchers: usize,
    /// Watchers that have yet to hear of revisions that others have heard of.
    pub slow_watchers: usize,
    /// Events queued since the hub exists, counted for each watcher.
    pub events_total: u64,
    /// Responses that wait to be polled.
    pub pending_responses: usize,
}

impl Hub {
    /// A hub without streams, at the newest revision of the store and its compacted one (0 or less:
    /// never compacted).
    pub fn new(revision: Revision, compacted: Revision, limits: Limits) -> Hub {
        Hub {
            limits,
            ring: Ring::new(revision, limits.ring_bytes_max),
            compacted,
            streams: SlotMap::with_key(),
            watchers: SlotMap::with_key(),
            live: Groups::default(),
            news: Collected::default(),
            catch_up: CatchUp::default(),
            collected: Collected::default(),
            ready: Vec::new(),
            events_total: 0,
        }
    }

    /// The newest revision that this hub has heard of.
    pub fn revision(&self) -> Revision {
        self.ring.last()
    }

    /// Opens a stream without watchers.
    pub fn open(&mut self) -> StreamId {
        self.streams.insert(Stream::default())
    }

    /// Ends a stream with its watchers; what waits is dropped. Nothing happens if it has ended before.
    pub fn close(&mut self, stream: StreamId) {
        for key in self.watchers_of(stream) {
            self.remove(key);
        }
        self.streams.remove(stream);
    }

    /// Creates a watcher, or refuses to; either way the stream gets one answer and stays usable.
    pub fn create(&mut self, stream: StreamId, create: Create) {
        if !self.streams.contains_key(stream) {
            return;
        }
        match self.admit(stream, &create) {
            Ok(id) => self.add(stream, id, create),
            Err(reason) => self.answer(stream, WatchId::NONE, Body::Refused(reason)),
        }
    }

    /// Cancels a watcher. No event follows the answer; a number that is not in use gets no answer.
    pub fn cancel(&mut self, stream: StreamId, id: WatchId) {
        let key = self
            .streams
            .get(stream)
            .and_then(|stream| stream.watchers.get(&id));
        if let Some(key) = key.copied() {
            self.remove(key);
            self.answer(stream, id, Body::Canceled);
        }
    }

    /// Answers a client's request for progress with one message for the whole stream, or with none: if
    /// the stream has no watcher, if one of them is not up to date or waits for a future revision, or if
    /// the queue is full. The client asks again.
    pub fn request_progress(&mut self, stream: StreamId) {
        let Some(asked) = self.streams.get(stream) else {
            return;
        };
        let now = self.revision();
        let knows_all = |key: &WatcherKey| self.watchers[*key].knows_all(now);
        if !asked.watchers.is_empty() && asked.watchers.values().all(knows_all) {
            self.offer_progress(stream, WatchId::NONE);
        }
    }

    /// One period of a stream's progress timer is over: each watcher that wants a sign of life, had no
    /// events since the last period and is up to date gets one.
    pub fn progress_tick(&mut self, stream: StreamId) {
        let now = self.revision();
        for key in self.watchers_of(stream) {
            let watcher = &mut self.watchers[key];
            let was_busy = std::mem::take(&mut watcher.is_busy);
            if watcher.options.progress_notify && !was_busy && watcher.knows_all(now) {
                let id = watcher.id;
                self.offer_progress(stream, id);
            }
        }
    }

    /// The next message of a stream, `None` if there is none now.
    pub fn poll(&mut self, stream: StreamId) -> Option<Response> {
        let polled = self.streams.get_mut(stream)?;
        let response = polled.pop();
        if polled.has_room_again(&self.limits) {
            for key in std::mem::take(&mut polled.set_aside) {
                self.move_to(key, Place::CatchingUp);
            }
        }
        response
    }

    /// Bytes that wait in the queue of this stream, about.
    pub fn queued_bytes(&self, stream: StreamId) -> usize {
        self.streams.get(stream).map_or(0, Stream::queued_bytes)
    }

    /// The streams that have got something to be polled since the last call, each once. A stream that
    /// was named is not named again before [`Hub::poll`] has answered `None` for it.
    pub fn take_ready(&mut self) -> Vec<StreamId> {
        let ready = std::mem::take(&mut self.ready);
        for stream in &ready {
            if let Some(stream) = self.streams.get_mut(*stream) {
                stream.unlist();
            }
        }
        ready
    }

    /// Whether further requests of this stream should be read: a client that asks and does not read the
    /// answers has to wait.
    pub fn accepts_requests(&self, stream: StreamId) -> bool {
        let limit = self.limits.queue_answers_max;
        self.streams
            .get(stream)
            .is_some_and(|stream| stream.answers() < limit)
    }

    /// Counts. Costs a look at every stream and watcher.
    pub fn stats(&self) -> Stats {
        Stats {
            streams: self.streams.len(),
            watchers: self.watchers.len(),
            slow_watchers: self.watchers.values().filter(|w| w.is_slow()).count(),
            events_total: self.events_total,
            pending_responses: self.streams.values().map(Stream::queued).sum(),
        }
    }

    /// Checks a request, in the order that clients know, and finds the watcher's number.
    fn admit(&mut self, stream: StreamId, create: &Create) -> Result<WatchId, Cow<'static, str>> {
        if create.start_revision < 0 {
            return Err(NEGATIVE_START.into());
        }
        if let Some(reason) = &create.denied {
            return Err(reason.clone());
        }
        if create.range.is_empty() {
            return Err(EMPTY_RANGE.into());
        }
        self.streams[stream]
            .number(create.watch_id)
            .ok_or(DUPLICATE_ID.into())
    }

    fn add(&mut self, stream: StreamId, id: WatchId, create: Create) {
        let now = self.revision();
        let start = Revision(create.start_revision);
        let is_past = create.start_revision != 0 && start <= now;
        let key = self.watchers.insert(Watcher {
            stream,
            id,
            range: create.range,
            options: create.options,
            start,
            next: if is_past {
                start
            } else {
                start.max(now.next())
            },
            place: Place::Nowhere,
            was_set_aside: false,
            is_busy: false,
        });
        self.streams[stream].watchers.insert(id, key);
        self.answer(stream, id, Body::Created);
        if !is_past {
            self.move_to(key, Place::Live);
        } else if start < self.compacted {
            self.give_up(key);
        } else {
            self.move_to(key, Place::CatchingUp);
        }
    }

    /// The watcher's next revision is gone.
    fn give_up(&mut self, key: WatcherKey) {
        self.move_to(key, Place::Compacted);
        let Watcher { stream, id, .. } = self.watchers[key];
        self.answer(stream, id, Body::Compacted(self.compacted));
    }

    fn remove(&mut self, key: WatcherKey) {
        self.move_to(key, Place::Nowhere);
        let Some(watcher) = self.watchers.remove(key) else {
            return;
        };
        self.streams[watcher.stream].watchers.remove(&watcher.id);
    }

    /// Moves a watcher between the places, and in and out of what finds it there.
    fn move_to(&mut self, key: WatcherKey, place: Place) {
        let watcher = &mut self.watchers[key];
        let left = std::mem::replace(&mut watcher.place, place);
        match left {
            Place::Live => self.live.remove(&watcher.range, &watcher.options, key),
            Place::CatchingUp => self.catch_up.remove(key, watcher),
            Place::SetAside => {
                self.streams[watcher.stream].set_aside.remove(&key);
            }
            Place::Compacted | Place::Nowhere => {}
        }
        match place {
            Place::Live => self.live.insert(&watcher.range, &watcher.options, key),
            Place::CatchingUp => self.catch_up.insert(key, watcher),
            Place::SetAside => {
                watcher.was_set_aside = true;
                self.streams[watcher.stream].set_aside.insert(key);
            }
            Place::Compacted | Place::Nowhere => {}
        }
    }

    /// Answers are never refused by a full queue; see [`Hub::accepts_requests`].
    fn answer(&mut self, stream: StreamId, watch_id: WatchId, body: Body) {
        let header_revision = match body {
            Body::Compacted(_) => Revision(0),
            _ => self.revision(),
        };
        let response = Response {
            watch_id,
            header_revision,
            body,
        };
        self.streams[stream].push(stream, response, &mut self.ready);
    }

    fn offer_progress(&mut self, stream: StreamId, id: WatchId) {
        if !self.streams[stream].is_full(&self.limits) {
            self.answer(stream, id, Body::Progress);
        }
    }

    fn watchers_of(&self, stream: StreamId) -> Vec<WatcherKey> {
        let stream = self.streams.get(stream);
        stream.map_or_else(Vec::new, |stream| {
            stream.watchers.values().copied().collect()
        })
    }
}
