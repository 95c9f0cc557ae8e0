//! What the store does now, to those who have heard everything before.

use super::groups::GroupKey;
use super::{Hub, Place, WatcherKey};
use crate::{EventBatch, Events, History, Revision};
use std::sync::Arc;

impl Hub {
    /// A revision has been published: [`Hub::on_batches`] with this one.
    ///
    /// # Panics
    /// If the revision is not the one after the last.
    pub fn on_batch(&mut self, batch: &Arc<EventBatch>, history: &(impl History + ?Sized)) {
        self.on_batches(std::slice::from_ref(batch), history);
    }

    /// Revisions have been published, several at once if they came faster than they were taken in. Each
    /// live watcher that they concern gets one response with exactly its events, of a bounded number of
    /// bytes if there are several revisions, or is set aside if its stream's queue is full.
    ///
    /// `history` is asked for previous rows, by whoever is first to need an event with one; it must be at
    /// the last of the revisions or later.
    ///
    /// # Panics
    /// If the revisions do not follow the last one without a hole: an event would be lost or repeated.
    pub fn on_batches(&mut self, batches: &[Arc<EventBatch>], history: &(impl History + ?Sized)) {
        let mut rest = batches;
        while !rest.is_empty() {
            let (span, later) = rest.split_at(self.span_len(rest));
            self.deliver(span, history);
            rest = later;
        }
    }

    /// Revisions before `revision` may be gone from history. Watchers that still need one are told when
    /// their turn comes; those that are up to date, or find it in memory, never notice.
    pub fn on_compaction(&mut self, revision: Revision) {
        self.compacted = self.compacted.max(revision);
    }

    /// The store has been replaced by a later state of itself, without the batches in between. Watchers
    /// that were up to date catch up from history; those that wait for a later revision go on waiting.
    ///
    /// # Panics
    /// If `revision` is before the newest one known here.
    pub fn on_install(&mut self, revision: Revision, compacted: Revision) {
        let first_missed = self.revision().next();
        self.on_compaction(compacted);
        if revision < first_missed {
            assert_eq!(revision, self.revision(), "revisions do not go backwards");
            return;
        }
        self.ring.restart(revision);
        let gap = crate::planted::planted("watch gap after install");
        let missed = |w: &super::Watcher| w.place == Place::Live && w.next <= revision && !gap;
        let keys: Vec<_> = self
            .watchers
            .iter()
            .filter(|(_, w)| missed(w))
            .map(|(k, _)| k)
            .collect();
        for key in keys {
            let watcher = &mut self.watchers[key];
            watcher.next = watcher.next.max(first_missed);
            self.move_to(key, Place::CatchingUp);
        }
    }

    /// How many batches may go into one response; one at least.
    fn span_len(&self, batches: &[Arc<EventBatch>]) -> usize {
        let mut bytes = 0;
        let fits = |batch: &&Arc<EventBatch>| {
            bytes += batch.bytes();
            bytes <= self.limits.response_bytes_max
        };
        batches.iter().take_while(fits).count().max(1)
    }

    fn deliver(&mut self, span: &[Arc<EventBatch>], history: &(impl History + ?Sized)) {
        let Hub {
            ring, live, news, ..
        } = self;
        for batch in span {
            ring.push(batch.clone());
            for change in batch.changes() {
                live.for_each(change.key(), change.kind(), |key, group| {
                    let event = change.event(batch.revision(), group.prev_kv(), history);
                    news.add(key, batch.revision(), event);
                });
            }
        }
        let mut overflow = Vec::new();
        let order = self.news.take_order();
        for group in &order {
            self.tell(*group, &mut overflow);
        }
        self.news.give_back(order);
        let first = span[0].revision();
        for key in overflow {
            let watcher = &mut self.watchers[key];
            watcher.next = watcher.next.max(first);
            self.move_to(key, Place::SetAside);
        }
    }

    /// Queues what was gathered for a group, and names those for whom there was no room.
    fn tell(&mut self, group: GroupKey, overflow: &mut Vec<WatcherKey>) {
        let Some(news) = self.news.take(group) else {
            return;
        };
        let all = Events::new(news.iter().map(|(_, event)| event));
        for key in self.live.members(group) {
            let watcher = &mut self.watchers[*key];
            // One that waits for a later revision may have to hear of the last ones only.
            let skipped = news.partition_point(|(revision, _)| *revision < watcher.next);
            let Some((header_revision, _)) = news[skipped..].last() else {
                continue;
            };
            let stream = &mut self.streams[watcher.stream];
            if stream.is_full(&self.limits) {
                overflow.push(*key);
                continue;
            }
            let events = if skipped == 0 {
                all.clone()
            } else {
                Events::new(news[skipped..].iter().map(|(_, event)| event))
            };
            self.events_total += events.count() as u64;
            let response = watcher.response(*header_revision, events);
            stream.push(watcher.stream, response, &mut self.ready);
        }
    }
}
