//! What a write transaction did.

use bytes::Bytes;

use crate::Revision;
use crate::row::key_of;

/// Whether a change wrote its key or deleted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The key was written.
    Put,
    /// The key was deleted.
    Delete,
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which change of the store.
    pub revision: Revision,
    /// Put or delete.
    pub kind: ChangeKind,
    /// Main revision that began the key's generation; 0 for a delete.
    pub create_revision: i64,
    /// Puts since the generation began, this one included; 0 for a delete.
    pub version: i64,
    /// The lease that the key is attached to now, 0 for none.
    pub lease: i64,
    /// The row as an encoded `mvccpb.KeyValue`; of a delete, the key alone.
    pub row: Bytes,
}

impl Change {
    /// The key, as a share of the row.
    pub fn key(&self) -> Bytes {
        key_of(&self.row)
    }

    /// Whether the key did not exist before.
    pub fn is_create(&self) -> bool {
        self.kind == ChangeKind::Put && self.version == 1
    }
}

/// All changes of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The store's main revision after the transaction; that of the changes, if there are any.
    pub revision: i64,
    /// In the order in which they were made, which is the order of `sub`.
    pub list: Vec<Change>,
}
