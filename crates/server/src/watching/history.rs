//! The kept history of the store, as a hub reads it.

use std::sync::Arc;

use bytes::Bytes;
use ferrod_mvcc::{ChangeRef, KeyValue, Reader};
use ferrod_watch::{Change, Error, EventBatch, History, HistoryRead, Kind, Revision, Window};
use parking_lot::Mutex;

use crate::watch_events::delete_row;

/// The kept history of the store. Used by one thread; the lock is never waited for.
pub(super) struct StoreHistory {
    reader: Mutex<Reader>,
}

impl StoreHistory {
    pub(super) fn new(reader: Reader) -> StoreHistory {
        StoreHistory {
            reader: Mutex::new(reader),
        }
    }

    /// Gives up the view of the backend until the next read.
    pub(super) fn idle(&mut self) {
        self.reader.get_mut().idle();
    }
}

impl History for StoreHistory {
    fn read(&self, read: HistoryRead) -> Result<Window, Error> {
        let mut reader = self.reader.lock();
        let view = reader.view();
        let mut batches = Batches::default();
        let mut visit = |change: ChangeRef<'_>| batches.add(&change);
        let next = reader.changes(
            &view,
            read.low.0,
            read.high.0,
            read.revisions_max,
            &mut visit,
        );
        match next {
            Ok(next) => {
                let high = Revision(next - 1).min(read.high);
                Ok(Window {
                    low: read.low,
                    high,
                    batches: batches.finish(),
                })
            }
            Err(ferrod_mvcc::Error::Compacted) => {
                Err(Error::Compacted(Revision(reader.view().compacted())))
            }
            Err(error) => {
                // Whoever needs this part is told that it is gone, which is true for this member.
                tracing::error!(
                    error = %crate::logging::error_chain(&error),
                    "failed to read history for watchers"
                );
                Err(Error::Compacted(read.high.next()))
            }
        }
    }

    fn previous(&self, key: &[u8], at: Revision) -> Option<Bytes> {
        let mut reader = self.reader.lock();
        let view = reader.view();
        if at.0 < 1 {
            return None;
        }
        let row = reader.get(&view, key, at.0, |row| Bytes::copy_from_slice(row.encoded));
        row.ok().flatten()
    }
}

/// Changes gathered by revision.
#[derive(Default)]
struct Batches {
    done: Vec<Arc<EventBatch>>,
    revision: i64,
    changes: Vec<Change>,
}

impl Batches {
    fn add(&mut self, change: &ChangeRef<'_>) {
        if change.revision.main != self.revision {
            self.close();
            self.revision = change.revision.main;
        }
        let key = Bytes::copy_from_slice(change.key);
        self.changes.push(if change.tombstone {
            let row = delete_row(&key, change.revision.main);
            Change::new(Kind::Delete, key, row)
        } else {
            let created = KeyValue::decode(change.encoded).is_some_and(|row| row.version == 1);
            let kind = if created { Kind::Create } else { Kind::Update };
            Change::new(kind, key, Bytes::copy_from_slice(change.encoded))
        });
    }

    fn close(&mut self) {
        if !self.changes.is_empty() {
            let changes = std::mem::take(&mut self.changes);
            self.done
                .push(Arc::new(EventBatch::new(Revision(self.revision), changes)));
        }
    }

    fn finish(mut self) -> Vec<Arc<EventBatch>> {
        self.close();
        self.done
    }
}
