//! What the store does now, to those who have heard everything before.

use super::{Hub, Place, WatcherKey};
use crate::{Body, Change, EventBatch, Events, History, Response, Revision};
use std::sync::Arc;

impl Hub {
    /// A revision has been published. Each live watcher that it concerns gets one response with exactly
    /// its events, or is set aside if its stream's queue is full.
    ///
    /// `history` is asked for previous rows, by whoever is first to need an event with one; it must be at
    /// this revision or later.
    ///
    /// # Panics
    /// If the revision is not the one after the last: an event would be lost or repeated.
    pub fn on_batch(&mut self, batch: &Arc<EventBatch>, history: &(impl History + ?Sized)) {
        self.ring.push(batch.clone());
        let now = batch.revision();
        let mut overflow = Vec::new();
        match batch.changes() {
            [change] => self.deliver_one(now, change, history, &mut overflow),
            changes => self.deliver_many(now, changes, history, &mut overflow),
        }
        for key in overflow {
            self.watchers[key].next = now;
            self.move_to(key, Place::SetAside);
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
        let missed = |w: &super::Watcher| w.place == Place::Live && w.next <= revision;
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

    /// The usual case, without a detour: one change, so one event for each watcher.
    fn deliver_one(
        &mut self,
        now: Revision,
        change: &Change,
        history: &(impl History + ?Sized),
        overflow: &mut Vec<WatcherKey>,
    ) {
        let Hub {
            live,
            watchers,
            streams,
            ready,
            limits,
            events_total,
            ..
        } = self;
        live.for_each(change.key(), |key| {
            let watcher = &mut watchers[key];
            if watcher.next > now || !watcher.options.wants(change.kind()) {
                return;
            }
            let stream = &mut streams[watcher.stream];
            if stream.is_full(limits) {
                overflow.push(key);
                return;
            }
            let event = change.event(now, watcher.options.prev_kv, history);
            watcher.is_busy = true;
            *events_total += 1;
            let events = Events::from_elem(event.clone(), 1);
            let body = Body::Events {
                events,
                may_fragment: watcher.options.fragment,
            };
            let response = Response {
                watch_id: watcher.id,
                header_revision: now,
                body,
            };
            stream.push(watcher.stream, response, ready);
        });
    }

    fn deliver_many(
        &mut self,
        now: Revision,
        changes: &[Change],
        history: &(impl History + ?Sized),
        overflow: &mut Vec<WatcherKey>,
    ) {
        let Hub {
            live,
            watchers,
            collected,
            ..
        } = self;
        for change in changes {
            live.for_each(change.key(), |key| {
                let watcher = &watchers[key];
                if watcher.next <= now && watcher.options.wants(change.kind()) {
                    collected.add(key, change.event(now, watcher.options.prev_kv, history));
                }
            });
        }
        let order = self.collected.take_order();
        for key in &order {
            if !self.queue_collected(*key, now) {
                overflow.push(*key);
            }
        }
        self.collected.give_back(order);
    }

    /// Queues what was collected for a watcher, if anything; false if the queue is full, and the events
    /// are dropped.
    pub(super) fn queue_collected(&mut self, key: WatcherKey, header_revision: Revision) -> bool {
        let Some(events) = self.collected.take(key) else {
            return true;
        };
        let watcher = &mut self.watchers[key];
        let stream = &mut self.streams[watcher.stream];
        if stream.is_full(&self.limits) {
            return false;
        }
        watcher.is_busy = true;
        self.events_total += events.len() as u64;
        let body = Body::Events {
            events,
            may_fragment: watcher.options.fragment,
        };
        let response = Response {
            watch_id: watcher.id,
            header_revision,
            body,
        };
        stream.push(watcher.stream, response, &mut self.ready);
        true
    }
}
