//! A store that remembers everything, and rows that can be read.

use crate::{Change, Error, EventBatch, History, HistoryRead, Kind, Revision, Window, wire};
use bytes::Bytes;
use std::sync::Arc;

/// One change as the tests speak of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) revision: Revision,
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) row: String,
}

/// The whole truth: the edits of each revision, from revision 2 on.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) revisions: Vec<Vec<Edit>>,
    pub(super) compacted: Revision,
    /// History stops early on purpose, so that windows end in odd places.
    pub(super) read_max: usize,
}

impl Store {
    pub(super) fn new() -> Store {
        Store {
            revisions: Vec::new(),
            compacted: Revision(0),
            read_max: usize::MAX,
        }
    }

    pub(super) fn revision(&self) -> Revision {
        Revision(1 + i64::try_from(self.revisions.len()).unwrap())
    }

    /// Applies puts (`Some`) and deletes (`None`) in one revision, like a transaction: a delete of a key
    /// that does not exist changes nothing, and nothing changed is no revision.
    pub(super) fn apply(&mut self, ops: &[(&str, Option<&str>)]) -> Option<Arc<EventBatch>> {
        let revision = self.revision().next();
        let mut edits: Vec<Edit> = Vec::new();
        for (key, value) in ops {
            let here = edits.iter().rev().find(|edit| edit.key == *key);
            let before = self.last_edit(key, self.revision());
            let exists = here
                .or(before)
                .is_some_and(|edit| edit.kind != Kind::Delete);
            let (kind, row) = match value {
                Some(value) if exists => (Kind::Update, format!("{key}={value}@{revision}")),
                Some(value) => (Kind::Create, format!("{key}={value}@{revision}")),
                None if exists => (Kind::Delete, format!("{key}@{revision}")),
                None => continue,
            };
            edits.push(Edit {
                revision,
                kind,
                key: (*key).into(),
                row,
            });
        }
        if edits.is_empty() {
            return None;
        }
        self.revisions.push(edits);
        Some(self.batch(revision))
    }

    pub(super) fn batch(&self, revision: Revision) -> Arc<EventBatch> {
        let edits = &self.revisions[usize::try_from(revision.0 - 2).unwrap()];
        let change = |edit: &Edit| {
            Change::new(
                edit.kind,
                Bytes::from(edit.key.clone()),
                Bytes::from(edit.row.clone()),
            )
        };
        Arc::new(EventBatch::new(
            revision,
            edits.iter().map(change).collect(),
        ))
    }

    /// The row that an event with `prev_kv` carries, had nothing been compacted.
    pub(super) fn previous_row(&self, edit: &Edit) -> Option<String> {
        let before = self.last_edit(&edit.key, edit.revision.previous());
        let before = before.filter(|before| before.kind != Kind::Delete);
        before
            .filter(|_| edit.kind != Kind::Create)
            .map(|before| before.row.clone())
    }

    fn last_edit(&self, key: &str, at: Revision) -> Option<&Edit> {
        let revisions = self
            .revisions
            .iter()
            .take(usize::try_from(at.0 - 1).unwrap_or(0));
        revisions
            .rev()
            .flat_map(|edits| edits.iter().rev())
            .find(|edit| edit.key == key)
    }
}

impl History for Store {
    fn read(&self, read: HistoryRead) -> Result<Window, Error> {
        assert!(
            read.low.0 >= 2 || self.compacted.0 > 0 || read.low.0 >= 0,
            "{read:?}"
        );
        if read.low < self.compacted {
            return Err(Error::Compacted(self.compacted));
        }
        let count = i64::try_from(read.revisions_max.min(self.read_max)).unwrap();
        let high = read
            .high
            .min(Revision(read.low.0 + count - 1))
            .min(self.revision());
        let batches = (read.low.0.max(2)..=high.0).map(|revision| self.batch(Revision(revision)));
        Ok(Window {
            low: read.low,
            high,
            batches: batches.collect(),
        })
    }

    fn previous(&self, key: &[u8], at: Revision) -> Option<Bytes> {
        if at < self.compacted {
            return None;
        }
        let edit = self.last_edit(std::str::from_utf8(key).unwrap(), at)?;
        (edit.kind != Kind::Delete).then(|| Bytes::from(edit.row.clone()))
    }
}

/// An event read back from its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) is_delete: bool,
    pub(super) row: String,
    pub(super) previous: Option<String>,
}

impl Seen {
    /// Reads an event whose parts are all shorter than 128 bytes.
    pub(super) fn decode(event: &Bytes) -> Seen {
        assert_eq!((event[0], usize::from(event[1])), (0x5a, event.len() - 2));
        let mut rest = &event[2..];
        let is_delete = rest.starts_with(&[8, 1]);
        rest = if is_delete { &rest[2..] } else { rest };
        let mut field = |tag: u8| {
            let (head, tail) = rest
                .split_at_checked(2)
                .filter(|(head, _)| head[0] == tag)?;
            let (value, tail) = tail.split_at(usize::from(head[1]));
            rest = tail;
            Some(String::from_utf8(value.to_vec()).unwrap())
        };
        let (row, previous) = (field(18).unwrap(), field(26));
        assert!(rest.is_empty());
        let again = previous.as_ref().map(String::as_bytes);
        assert_eq!(*event, wire::event(is_delete, row.as_bytes(), again));
        Seen {
            is_delete,
            row,
            previous,
        }
    }

    /// The revision that the row names.
    pub(super) fn revision(&self) -> Revision {
        Revision(self.row.rsplit('@').next().unwrap().parse().unwrap())
    }
}
