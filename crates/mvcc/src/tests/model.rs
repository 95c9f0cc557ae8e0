//! The naive model: a list of all changes, from which every answer is computed anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::{KeyRange, KeyValue, RangeQuery, RecordKey, Revision, SortOrder, SortTarget};

/// One change. A delete has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelChange {
    pub(super) revision: Revision,
    pub(super) key: Vec<u8>,
    /// Value and lease.
    pub(super) put: Option<(Vec<u8>, i64)>,
}

/// The state of a key at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelKey {
    pub(super) revision: Revision,
    pub(super) create: i64,
    pub(super) version: i64,
    pub(super) value: Vec<u8>,
    pub(super) lease: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) changes: Vec<ModelChange>,
    pub(super) revision: i64,
    pub(super) compacted: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Compacted,
    Future,
}

/// Encoded rows with their keys, count, more.
pub(super) type Answer = (Vec<(Vec<u8>, Vec<u8>)>, i64, bool);

impl ModelKey {
    fn row<'a>(&'a self, key: &'a [u8]) -> KeyValue<'a> {
        KeyValue {
            key,
            create_revision: self.create,
            mod_revision: self.revision.main,
            version: self.version,
            value: &self.value,
            lease: self.lease,
        }
    }

    pub(super) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.row(key).encode(&mut out);
        out
    }
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            changes: Vec::new(),
            revision: 1,
            compacted: -1,
        }
    }

    /// The state of all keys after the changes with `main <= at`.
    pub(super) fn state(&self, at: i64) -> BTreeMap<Vec<u8>, ModelKey> {
        let mut state: BTreeMap<Vec<u8>, ModelKey> = BTreeMap::new();
        for change in self
            .changes
            .iter()
            .take_while(|change| change.revision.main <= at)
        {
            let Some((value, lease)) = &change.put else {
                state.remove(&change.key);
                continue;
            };
            let before = state.get(&change.key);
            let create = before.map_or(change.revision.main, |before| before.create);
            let version = before.map_or(0, |before| before.version) + 1;
            let (revision, value, lease) = (change.revision, value.clone(), *lease);
            let now = ModelKey {
                revision,
                create,
                version,
                value,
                lease,
            };
            state.insert(change.key.clone(), now);
        }
        state
    }

    pub(super) fn resolve(&self, revision: i64) -> Result<i64, Refusal> {
        match if revision <= 0 {
            self.revision
        } else {
            revision
        } {
            at if at > self.revision => Err(Refusal::Future),
            at if at < self.compacted => Err(Refusal::Compacted),
            at => Ok(at),
        }
    }

    /// What etcd's API reference says of a range, step by step.
    pub(super) fn range(&self, query: &RangeQuery<'_>) -> Result<Answer, Refusal> {
        let at = self.resolve(query.revision)?;
        let state = self.state(at);
        let mut rows: Vec<_> = state
            .iter()
            .filter(|(key, _)| query.range.contains(key))
            .collect();
        let count = rows.len() as i64;
        if query.count_only {
            return Ok((Vec::new(), count, false));
        }
        let bounds = [
            query.min_mod_revision,
            query.max_mod_revision,
            query.min_create_revision,
            query.max_create_revision,
        ];
        let unsorted = query.order == SortOrder::None
            || (query.order == SortOrder::Ascend && query.target == SortTarget::Key);
        if unsorted && bounds == [0; 4] && query.limit > 0 {
            rows.truncate(query.limit as usize + 1);
        }
        rows.retain(|(_, row)| {
            let main = row.revision.main;
            (bounds[0] == 0 || main >= bounds[0])
                && (bounds[1] == 0 || main <= bounds[1])
                && (bounds[2] == 0 || row.create >= bounds[2])
                && (bounds[3] == 0 || row.create <= bounds[3])
        });
        let descend = query.order == SortOrder::Descend;
        rows.sort_by(|a, b| {
            let (a, b) = if descend { (b, a) } else { (a, b) };
            match query.target {
                SortTarget::Key => a.0.cmp(b.0),
                SortTarget::Version => a.1.version.cmp(&b.1.version),
                SortTarget::Create => a.1.create.cmp(&b.1.create),
                SortTarget::Mod => a.1.revision.main.cmp(&b.1.revision.main),
                SortTarget::Value => a.1.value.cmp(&b.1.value),
            }
        });
        let more = query.limit > 0 && rows.len() as i64 > query.limit;
        if more {
            rows.truncate(query.limit as usize);
        }
        let encode = |(key, row): (&Vec<u8>, &ModelKey)| {
            let mut row = row.clone();
            if query.keys_only {
                row.value.clear();
                if query.target != SortTarget::Value {
                    row.lease = 0;
                }
            }
            (key.clone(), row.encode(key))
        };
        Ok((rows.into_iter().map(encode).collect(), count, more))
    }

    /// All changes with `low <= main <= high`, encoded as they are stored.
    pub(super) fn history(&self, low: i64, high: i64) -> Vec<(RecordKey, Vec<u8>)> {
        let changes = self.changes.iter();
        changes
            .filter(|change| (low..=high).contains(&change.revision.main))
            .map(|change| (record_key(change), self.stored(change)))
            .collect()
    }

    fn stored(&self, change: &ModelChange) -> Vec<u8> {
        let Some((value, lease)) = &change.put else {
            let mut out = Vec::new();
            KeyValue {
                key: &change.key,
                ..KeyValue::default()
            }
            .encode(&mut out);
            return out;
        };
        // The key's generation so far: its puts since the last delete.
        let up_to = self
            .changes
            .iter()
            .filter(|c| c.key == change.key && c.revision <= change.revision);
        let mut generation: Vec<&ModelChange> = Vec::new();
        for change in up_to {
            match change.put {
                Some(_) => generation.push(change),
                None => generation.clear(),
            }
        }
        let row = ModelKey {
            revision: change.revision,
            create: generation[0].revision.main,
            version: generation.len() as i64,
            value: value.clone(),
            lease: *lease,
        };
        row.encode(&change.key)
    }

    /// etcd's rule for the hash of a compaction: the rows from the compaction before, and of the earlier ones those that it
    /// keeps.
    pub(super) fn compaction_hash(&self, previous: i64, revision: i64) -> u32 {
        let kept = self.seen(revision);
        let mut bytes = b"key".to_vec();
        for change in &self.changes {
            let main = change.revision.main;
            if main <= revision && (main > previous || kept.contains(&change.revision)) {
                bytes.extend(record_key(change).encode());
                bytes.extend(self.stored(change));
            }
        }
        crc32c::crc32c(&bytes)
    }

    /// etcd's rule for `HashKV` over the records that are left when a compaction has done all its work.
    pub(super) fn hash(&self, revision: i64) -> u32 {
        let compacted = self.compacted;
        let kept: BTreeSet<Revision> = self.seen(revision);
        let physical = self.seen(compacted);
        let mut bytes = b"key".to_vec();
        for change in &self.changes {
            let (record, main) = (change.revision, change.revision.main);
            let tombstone = change.put.is_none();
            let present = main > compacted
                || physical.contains(&record)
                || (tombstone && main == compacted && self.is_last_at(change, compacted));
            if !present
                || main > revision
                || (main <= compacted && !kept.is_empty() && !kept.contains(&record))
                || (tombstone && main == compacted)
            {
                continue;
            }
            bytes.extend(record_key(change).encode());
            bytes.extend(self.stored(change));
        }
        crc32c::crc32c(&bytes)
    }

    fn is_last_at(&self, change: &ModelChange, at: i64) -> bool {
        let of_key = self
            .changes
            .iter()
            .filter(|c| c.key == change.key && c.revision.main <= at);
        of_key
            .max_by_key(|c| c.revision)
            .is_some_and(|last| last.revision == change.revision)
    }

    fn seen(&self, at: i64) -> BTreeSet<Revision> {
        self.state(at).values().map(|row| row.revision).collect()
    }

    /// Applies one transaction's changes; returns how many there were.
    pub(super) fn delete(&mut self, range: KeyRange<'_>, main: i64, sub: &mut u32) -> usize {
        let keys: Vec<Vec<u8>> = self
            .state(i64::MAX)
            .into_keys()
            .filter(|key| range.contains(key))
            .collect();
        for key in &keys {
            let revision = Revision { main, sub: *sub };
            self.changes.push(ModelChange {
                revision,
                key: key.clone(),
                put: None,
            });
            *sub += 1;
        }
        keys.len()
    }
}

pub(super) fn record_key(change: &ModelChange) -> RecordKey {
    RecordKey {
        revision: change.revision,
        tombstone: change.put.is_none(),
    }
}
