//! Every change of every revision, and the state at each of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use ferrod_proto::mvccpb::KeyValue;

use super::Violation;

/// What happened to one key in one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// What it is now; `None` if it was deleted.
    pub row: Option<KeyValue>,
}

/// Every change of every revision, from the first one on. Revision 1 is the empty store.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Changes of revision 2, 3, ...
    revisions: Vec<Vec<Change>>,
    /// What each key was from which revision on, ascending.
    keys: BTreeMap<Bytes, Vec<(i64, Option<KeyValue>)>>,
}

impl Timeline {
    /// The newest revision.
    pub fn last(&self) -> i64 {
        self.revisions.len() as i64 + 1
    }

    /// Adds the next revision, and judges the numbers in its rows.
    ///
    /// # Errors
    /// P-KV-02 if revisions are left out, repeated or empty; P-KV-10 if a row's numbers are wrong.
    pub fn push(&mut self, revision: i64, changes: Vec<Change>) -> Result<(), Violation> {
        if revision != self.last() + 1 || changes.is_empty() {
            let text = format!("revision {revision} of {changes:?} after {}", self.last());
            return Err(Violation::new("P-KV-02", text));
        }
        for change in &changes {
            self.judge(revision, change)?;
            let versions = self.keys.entry(change.key.clone()).or_default();
            versions.push((revision, change.row.clone()));
        }
        self.revisions.push(changes);
        Ok(())
    }

    fn judge(&self, revision: i64, change: &Change) -> Result<(), Violation> {
        // Within one revision the newest version counts: a deletion may come before a put.
        let before = self.get(&change.key, revision);
        let right = match &change.row {
            None => before.is_some(),
            Some(row) => {
                let (create, version) =
                    before.map_or((revision, 1), |old| (old.create_revision, old.version + 1));
                (row.create_revision, row.version, row.mod_revision) == (create, version, revision)
                    && row.key == change.key
            }
        };
        if right {
            return Ok(());
        }
        let text = format!("revision {revision} makes {change:?} of {before:?}");
        Err(Violation::new("P-KV-10", text))
    }

    /// The changes of a revision, in their order; none if there is no such revision.
    pub fn changes(&self, revision: i64) -> &[Change] {
        usize::try_from(revision - 2)
            .ok()
            .and_then(|at| self.revisions.get(at))
            .map_or(&[], Vec::as_slice)
    }

    /// What a key was at the end of a revision.
    pub fn get(&self, key: &[u8], at: i64) -> Option<&KeyValue> {
        let versions = self.keys.get(key)?;
        let count = versions.partition_point(|(revision, _)| *revision <= at);
        versions[..count].last()?.1.as_ref()
    }

    /// The rows of a range at the end of a revision, in key order; the range as requests have it.
    pub fn range<'t>(
        &'t self,
        key: &'t [u8],
        range_end: &'t [u8],
        at: i64,
    ) -> impl Iterator<Item = &'t KeyValue> {
        let high = match range_end {
            [] => Bound::Included(key),
            [0] => Bound::Unbounded,
            end => Bound::Excluded(end),
        };
        let is_empty = !matches!(range_end, [] | [0]) && range_end <= key;
        let keys = (!is_empty).then(|| self.keys.range::<[u8], _>((Bound::Included(key), high)));
        keys.into_iter()
            .flatten()
            .filter_map(move |(key, _)| self.get(key, at))
    }
}

/// Whether a key is in a range as requests have it.
pub(super) fn contains(key: &[u8], low: &[u8], range_end: &[u8]) -> bool {
    match range_end {
        [] => key == low,
        [0] => key >= low,
        end => key >= low && key < end,
    }
}
