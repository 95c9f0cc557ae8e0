//! From changes of the key space to events of the watch hub.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ferrod_mvcc::{Change, ChangeKind, Changes, KeyValue};
use ferrod_watch::{EventBatch, Kind, Revision};

/// The events of one transaction.
pub(crate) fn batch(changes: &Changes) -> Arc<EventBatch> {
    let events = changes.list.iter().map(event).collect();
    Arc::new(EventBatch::new(Revision(changes.revision), events))
}

fn event(change: &Change) -> ferrod_watch::Change {
    let key = change.key();
    match change.kind {
        ChangeKind::Put if change.is_create() => {
            ferrod_watch::Change::new(Kind::Create, key, change.row.clone())
        }
        ChangeKind::Put => ferrod_watch::Change::new(Kind::Update, key, change.row.clone()),
        ChangeKind::Delete => {
            let row = delete_row(&key, change.revision.main);
            ferrod_watch::Change::new(Kind::Delete, key, row)
        }
    }
}

/// What a delete event carries: the key, and the revision that deleted it.
pub(crate) fn delete_row(key: &[u8], mod_revision: i64) -> Bytes {
    let row = KeyValue {
        key,
        mod_revision,
        ..KeyValue::default()
    };
    let mut encoded = BytesMut::with_capacity(row.encoded_len());
    row.encode(&mut encoded);
    encoded.freeze()
}
