//! What the store did before, to those who have not heard it yet.
//!
//! All watchers that catch up share one sweep over the past, like passengers of a lift: it starts at the
//! lowest revision anyone needs and goes up to the newest, window by window, and each window serves
//! everybody who needs something in it. Whoever comes in below meanwhile is served by the next sweep. So
//! a thousand watchers behind cost one reading of history, and none of them waits for ever.

use super::collected::News;
use super::{Hub, Place, Watcher, WatcherKey};
use crate::range_index::RangeIndex;
use crate::{Error, Events, History, HistoryRead, Revision, Window};
use bytes::Bytes;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The watchers that catch up, and where the sweep is.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    by_range: RangeIndex<WatcherKey>,
    by_next: BTreeMap<Revision, BTreeSet<WatcherKey>>,
    /// The sweep has passed everything below.
    position: Revision,
    /// Where the sweep ends, so that steady writing cannot make it endless.
    end: Revision,
}

impl CatchUp {
    pub(super) fn insert(&mut self, key: WatcherKey, watcher: &Watcher) {
        self.by_range.insert(&watcher.range, key);
        self.by_next.entry(watcher.next).or_default().insert(key);
    }

    pub(super) fn remove(&mut self, key: WatcherKey, watcher: &Watcher) {
        self.by_range.remove(&watcher.range, key);
        self.leave(key, watcher.next);
    }

    /// Moves a watcher up.
    fn advance(&mut self, key: WatcherKey, watcher: &mut Watcher, next: Revision) {
        self.leave(key, watcher.next);
        watcher.next = next;
        self.by_next.entry(next).or_default().insert(key);
    }

    fn leave(&mut self, key: WatcherKey, next: Revision) {
        if let Some(keys) = self.by_next.get_mut(&next) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_next.remove(&next);
            }
        }
    }

    /// The lowest revision that somebody needs and the sweep has not passed; `now` is the newest one.
    fn next_low(&mut self, now: Revision) -> Option<Revision> {
        let ahead = self
            .by_next
            .range(self.position..)
            .next()
            .map(|(next, _)| *next);
        if let Some(next) = ahead.filter(|next| *next <= self.end) {
            return Some(next);
        }
        let (lowest, _) = self.by_next.first_key_value()?;
        self.position = *lowest;
        self.end = now;
        Some(*lowest)
    }

    /// The first `max` watchers, in order, whose next revision is in `low..=high`.
    fn needing(&self, low: Revision, high: Revision, max: usize) -> Vec<(Revision, WatcherKey)> {
        let groups = self.by_next.range(low..=high);
        groups
            .flat_map(|(next, keys)| keys.iter().map(|key| (*next, *key)))
            .take(max)
            .collect()
    }
}

impl Hub {
    /// Whether some watcher has to catch up, so that [`Hub::catch_up`] should be called. True also while
    /// a read of history is under way.
    pub fn is_behind(&self) -> bool {
        !self.catch_up.by_next.is_empty()
    }

    /// One bounded step of catching up, reading history in place if need be.
    pub fn catch_up(&mut self, history: &(impl History + ?Sized)) {
        if let Some(read) = self.next_history_read(history) {
            self.on_history(read, history.read(read), history);
        }
    }

    /// The first half of [`Hub::catch_up`], for an owner that reads history on another thread: takes one
    /// step if that needs no history, else says what to read for it. Anything may happen before the
    /// result is given to [`Hub::on_history`].
    pub fn next_history_read(&mut self, history: &(impl History + ?Sized)) -> Option<HistoryRead> {
        let low = self.catch_up.next_low(self.revision())?;
        if low < self.compacted.min(self.ring.first()) {
            self.give_up_compacted();
            return None;
        }
        let mut read = HistoryRead {
            low,
            high: self.revision(),
            revisions_max: self.limits.window_revisions_max,
            bytes_max: self.limits.window_bytes_max,
        };
        if let Some(window) = self.ring.window(read) {
            self.serve(&window, history);
            return None;
        }
        read.high = self.ring.first().previous();
        Some(read)
    }

    /// The second half of [`Hub::catch_up`]: history has answered.
    ///
    /// # Panics
    /// If the window does not begin where it was asked for, or covers nothing.
    pub fn on_history(
        &mut self,
        read: HistoryRead,
        result: Result<Window, Error>,
        history: &(impl History + ?Sized),
    ) {
        match result {
            Ok(window) => {
                assert!(
                    window.low == read.low && window.high >= read.low,
                    "{read:?}"
                );
                self.serve(&window, history);
            }
            Err(Error::Compacted(revision)) => {
                self.on_compaction(revision.max(read.low.next()));
                self.give_up_compacted();
            }
        }
    }

    /// Tells watchers that need a compacted revision; those that find theirs in memory do not.
    fn give_up_compacted(&mut self) {
        let last_gone = self.compacted.min(self.ring.first()).previous();
        let max = self.limits.window_watchers_max;
        for (_, key) in self.catch_up.needing(Revision(i64::MIN), last_gone, max) {
            self.give_up(key);
        }
    }

    /// Gives all watchers that need something in the window what they need of it, and moves them up.
    fn serve(&mut self, window: &Window, history: &(impl History + ?Sized)) {
        let max = self.limits.window_watchers_max.max(1);
        let riders = self.catch_up.needing(window.low, window.high, max);
        let Some(last) = riders.last() else { return };
        self.collect(window, *last, history);
        let mut shared = Shared::default();
        for (_, key) in &riders {
            // A client that has fallen behind gets no revision in the header that it has yet to hear of.
            let was_set_aside = std::mem::take(&mut self.watchers[*key].was_set_aside);
            let header_revision = if was_set_aside {
                window.high
            } else {
                self.revision()
            };
            if self.queue_collected(*key, header_revision, &mut shared) {
                self.move_up(*key, window.high.next());
            } else {
                self.move_to(*key, Place::SetAside);
            }
        }
        if riders.len() < max {
            self.catch_up.position = window.high.next();
        }
    }

    /// Gathers the events of the window for all watchers from its low end up to `last`.
    fn collect(
        &mut self,
        window: &Window,
        last: (Revision, WatcherKey),
        history: &(impl History + ?Sized),
    ) {
        let Hub {
            catch_up,
            watchers,
            collected,
            compacted,
            ..
        } = self;
        for batch in &window.batches {
            // A batch from the ring may still hold an event that was encoded before the compaction.
            let has_previous = batch.revision() > *compacted;
            for change in batch.changes() {
                catch_up.by_range.for_each(change.key(), |key| {
                    let watcher = &watchers[key];
                    let rides = window.low <= watcher.next && (watcher.next, key) <= last;
                    let needs = watcher.next <= batch.revision();
                    if rides && needs && watcher.options.wants(change.kind()) {
                        let prev_kv = watcher.options.prev_kv && has_previous;
                        let event = change.event(batch.revision(), prev_kv, history);
                        collected.add(key, batch.revision(), event);
                    }
                });
            }
        }
        let order = collected.take_order();
        collected.give_back(order);
    }

    /// Queues what was collected for a watcher, if anything; false if the queue is full, and the events
    /// are dropped.
    fn queue_collected(
        &mut self,
        key: WatcherKey,
        header_revision: Revision,
        shared: &mut Shared,
    ) -> bool {
        let Some(news) = self.collected.take(key) else {
            return true;
        };
        let watcher = &mut self.watchers[key];
        let stream = &mut self.streams[watcher.stream];
        if stream.is_full(&self.limits) {
            return false;
        }
        let events = shared.events(news);
        self.events_total += events.count() as u64;
        let response = watcher.response(header_revision, events);
        stream.push(watcher.stream, response, &mut self.ready);
        true
    }

    /// A watcher has been given everything before `next`.
    fn move_up(&mut self, key: WatcherKey, next: Revision) {
        if next > self.revision() {
            self.move_to(key, Place::Nowhere);
            self.watchers[key].next = next;
            self.move_to(key, Place::Live);
        } else {
            self.catch_up.advance(key, &mut self.watchers[key], next);
        }
    }
}

/// Runs of events that were put together for some watcher of a window, for others who hear of the same.
#[derive(Default)]
struct Shared {
    /// By where the bytes of the first event lie, and how many events there are. Never iterated.
    runs: HashMap<(usize, usize), (News, Events)>,
}

impl Shared {
    fn events(&mut self, news: News) -> Events {
        let place = |(_, event): &(Revision, Bytes)| event.as_ptr().addr();
        let known = self.runs.entry((place(&news[0]), news.len()));
        if let Entry::Occupied(run) = &known {
            let (others, events) = run.get();
            if others.iter().map(place).eq(news.iter().map(place)) {
                return events.clone();
            }
        }
        let events = Events::new(news.iter().map(|(_, event)| event));
        known.insert_entry((news, events.clone()));
        events
    }
}
