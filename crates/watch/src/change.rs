//! One change of one key, and its event, encoded at most once in each form.

use crate::{History, Revision, wire};
use bytes::Bytes;
use std::sync::OnceLock;

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A put of a key that did not exist. It has no previous row, even if the same transaction deleted
    /// the key before.
    Create,
    /// A put of a key that existed.
    Update,
    /// The key was deleted.
    Delete,
}

/// One change of one key.
#[derive(Debug)]
pub struct Change {
    kind: Kind,
    key: Bytes,
    row: Bytes,
    plain: OnceLock<Bytes>,
    with_previous: OnceLock<Bytes>,
}

impl Change {
    /// A change. `row` is the encoded `KeyValue` that the event carries: for a put the whole one, for a
    /// delete one with the key and the revision of the deletion as `mod_revision`.
    pub fn new(kind: Kind, key: Bytes, row: Bytes) -> Change {
        Change {
            kind,
            key,
            row,
            plain: OnceLock::new(),
            with_previous: OnceLock::new(),
        }
    }

    /// What happened.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The key that it happened to.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// About how much memory the change keeps alive.
    pub(crate) fn bytes(&self) -> usize {
        std::mem::size_of::<Change>() + self.key.len() + 2 * self.row.len()
    }

    /// The event in the form that goes into a response. The first caller encodes it, on whichever
    /// thread; the previous row is looked up then, as of the revision before `revision`.
    pub(crate) fn event(
        &self,
        revision: Revision,
        prev_kv: bool,
        history: &(impl History + ?Sized),
    ) -> &Bytes {
        let is_delete = self.kind == Kind::Delete;
        let plain = || {
            self.plain
                .get_or_init(|| wire::event(is_delete, &self.row, None))
        };
        if !prev_kv || self.kind == Kind::Create {
            return plain();
        }
        self.with_previous
            .get_or_init(|| match history.previous(&self.key, revision.previous()) {
                Some(row) => wire::event(is_delete, &self.row, Some(&row)),
                None => plain().clone(),
            })
    }
}
