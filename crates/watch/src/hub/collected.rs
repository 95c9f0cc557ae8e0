//! Events gathered for many watchers at once.

use super::WatcherKey;
use crate::Events;
use bytes::Bytes;
use slotmap::SecondaryMap;

/// The events of each watcher, in the order in which watchers came up. Kept for reuse, empty in between.
#[derive(Debug, Default)]
pub(super) struct Collected {
    events: SecondaryMap<WatcherKey, Events>,
    order: Vec<WatcherKey>,
}

impl Collected {
    /// Adds an event for a watcher.
    pub(super) fn add(&mut self, key: WatcherKey, event: &Bytes) {
        match self.events.get_mut(key) {
            Some(events) => events.push(event.clone()),
            None => {
                self.events.insert(key, Events::from_elem(event.clone(), 1));
                self.order.push(key);
            }
        }
    }

    /// Takes the events of one watcher.
    pub(super) fn take(&mut self, key: WatcherKey) -> Option<Events> {
        self.events.remove(key)
    }

    /// Takes the list of watchers; [`Collected::give_back`] returns it.
    pub(super) fn take_order(&mut self) -> Vec<WatcherKey> {
        std::mem::take(&mut self.order)
    }

    /// Returns the list, for its memory.
    pub(super) fn give_back(&mut self, mut order: Vec<WatcherKey>) {
        order.clear();
        self.order = order;
    }
}
