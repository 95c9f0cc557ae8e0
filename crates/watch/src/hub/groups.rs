//! Live watchers, by what they hear of.
//!
//! A thousand watchers of one prefix are one group: it is found once for each change, and what it hears is
//! put together once for all of them.

use super::WatcherKey;
use crate::range_index::RangeIndex;
use crate::{KeyRange, Kind, Options};
use slotmap::SlotMap;
use std::collections::HashMap;

slotmap::new_key_type! {
    /// Names a group.
    pub(super) struct GroupKey;
}

/// Live watchers, by what they hear of.
#[derive(Debug, Default)]
pub(super) struct Groups {
    index: RangeIndex<GroupKey>,
    groups: SlotMap<GroupKey, Group>,
    /// Never iterated, so that hash order is not seen.
    by_topic: HashMap<Topic, GroupKey>,
}

/// What decides which events a watcher gets, and in which form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Topic {
    range: KeyRange,
    no_put: bool,
    no_delete: bool,
    prev_kv: bool,
}

/// Watchers that hear of the same.
#[derive(Debug)]
pub(super) struct Group {
    topic: Topic,
    /// Invariant: not empty, in order.
    members: Vec<WatcherKey>,
}

impl Groups {
    pub(super) fn insert(&mut self, range: &KeyRange, options: &Options, watcher: WatcherKey) {
        let topic = Topic::new(range, options);
        let key = *self.by_topic.entry(topic).or_insert_with_key(|topic| {
            let key = self.groups.insert(Group {
                topic: topic.clone(),
                members: Vec::new(),
            });
            self.index.insert(range, key);
            key
        });
        let members = &mut self.groups[key].members;
        if let Err(at) = members.binary_search(&watcher) {
            members.insert(at, watcher);
        }
    }

    pub(super) fn remove(&mut self, range: &KeyRange, options: &Options, watcher: WatcherKey) {
        let topic = Topic::new(range, options);
        let Some(key) = self.by_topic.get(&topic).copied() else {
            return;
        };
        let members = &mut self.groups[key].members;
        if let Ok(at) = members.binary_search(&watcher) {
            members.remove(at);
        }
        if members.is_empty() {
            self.index.remove(range, key);
            self.groups.remove(key);
            self.by_topic.remove(&topic);
        }
    }

    /// Calls `visit` for each group that wants to hear of a change.
    pub(super) fn for_each(&self, key: &[u8], kind: Kind, mut visit: impl FnMut(GroupKey, &Group)) {
        self.index.for_each(key, |group_key| {
            let group = &self.groups[group_key];
            if group.topic.wants(kind) {
                visit(group_key, group);
            }
        });
    }

    /// The watchers of a group.
    pub(super) fn members(&self, group: GroupKey) -> &[WatcherKey] {
        &self.groups[group].members
    }
}

impl Group {
    /// Whether its events carry the row that they replaced.
    pub(super) fn prev_kv(&self) -> bool {
        self.topic.prev_kv
    }
}

impl Topic {
    fn new(range: &KeyRange, options: &Options) -> Topic {
        Topic {
            range: range.clone(),
            no_put: options.no_put,
            no_delete: options.no_delete,
            prev_kv: options.prev_kv,
        }
    }

    fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Create | Kind::Update => !self.no_put,
            Kind::Delete => !self.no_delete,
        }
    }
}
