//! Events gathered for many at once.

use crate::Revision;
use bytes::Bytes;
use slotmap::{Key, SecondaryMap};
use smallvec::SmallVec;

/// Events with their revisions, in order.
pub(super) type News = SmallVec<[(Revision, Bytes); 1]>;

/// The news of each watcher or group, in the order in which they came up. Kept for reuse, empty in between.
#[derive(Debug)]
pub(super) struct Collected<K: Key> {
    news: SecondaryMap<K, News>,
    order: Vec<K>,
}

impl<K: Key> Default for Collected<K> {
    fn default() -> Self {
        Collected {
            news: SecondaryMap::new(),
            order: Vec::new(),
        }
    }
}

impl<K: Key> Collected<K> {
    /// Adds an event.
    pub(super) fn add(&mut self, key: K, revision: Revision, event: &Bytes) {
        let event = (revision, event.clone());
        match self.news.get_mut(key) {
            Some(news) => news.push(event),
            None => {
                self.news.insert(key, News::from_buf([event]));
                self.order.push(key);
            }
        }
    }

    /// Takes what there is for one.
    pub(super) fn take(&mut self, key: K) -> Option<News> {
        self.news.remove(key)
    }

    /// Takes the list of all that came up; [`Collected::give_back`] returns it.
    pub(super) fn take_order(&mut self) -> Vec<K> {
        std::mem::take(&mut self.order)
    }

    /// Returns the list, for its memory.
    pub(super) fn give_back(&mut self, mut order: Vec<K>) {
        order.clear();
        self.order = order;
    }
}
