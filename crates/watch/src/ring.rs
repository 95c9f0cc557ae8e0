//! The recent past, in memory.
//!
//! Batches are shared by reference count with every other hub that got them, so that a ring of its own
//! costs a hub one pointer per batch, and no lock is needed between threads.

use crate::{EventBatch, HistoryRead, Revision, Window};
use std::collections::VecDeque;
use std::sync::Arc;

/// The newest batches, without holes, bounded by bytes.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Invariant: consecutive revisions, the last one is `last`.
    batches: VecDeque<Arc<EventBatch>>,
    last: Revision,
    bytes: usize,
    bytes_max: usize,
}

impl Ring {
    /// An empty ring behind revision `last`.
    pub(crate) fn new(last: Revision, bytes_max: usize) -> Ring {
        Ring {
            batches: VecDeque::new(),
            last,
            bytes: 0,
            bytes_max,
        }
    }

    /// Adds the next revision and drops old ones down to the byte limit.
    pub(crate) fn push(&mut self, batch: Arc<EventBatch>) {
        assert_eq!(
            batch.revision(),
            self.last.next(),
            "revisions have no holes"
        );
        self.last = batch.revision();
        self.bytes += batch.bytes();
        self.batches.push_back(batch);
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// Forgets everything; the next revision is the one after `last`.
    pub(crate) fn restart(&mut self, last: Revision) {
        *self = Ring::new(last, self.bytes_max);
    }

    /// The newest revision.
    pub(crate) fn last(&self) -> Revision {
        self.last
    }

    /// The oldest revision that can be read here; the one after the newest if there is none.
    pub(crate) fn first(&self) -> Revision {
        Revision(self.last.0 + 1 - i64::try_from(self.batches.len()).expect("fits in memory"))
    }

    /// What `read` asks for, if it begins here: at least one revision, then as many as the limits allow.
    pub(crate) fn window(&self, read: HistoryRead) -> Option<Window> {
        let skip = usize::try_from(read.low.0 - self.first().0).ok()?;
        let mut batches = Vec::new();
        let mut bytes = 0;
        for batch in self
            .batches
            .iter()
            .skip(skip)
            .take(read.revisions_max.max(1))
        {
            bytes += batch.bytes();
            if batch.revision() > read.high || (bytes > read.bytes_max && !batches.is_empty()) {
                break;
            }
            batches.push(batch.clone());
        }
        let high = batches.last()?.revision();
        Some(Window {
            low: read.low,
            high,
            batches,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Kind};
    use bytes::Bytes;

    fn batch(revision: i64) -> Arc<EventBatch> {
        let change = Change::new(Kind::Create, Bytes::from("k"), Bytes::from("row"));
        Arc::new(EventBatch::new(Revision(revision), vec![change]))
    }

    fn read(low: i64, revisions_max: usize, bytes_max: usize) -> HistoryRead {
        let (low, high) = (Revision(low), Revision(i64::MAX));
        HistoryRead {
            low,
            high,
            revisions_max,
            bytes_max,
        }
    }

    fn revisions(window: Option<Window>) -> Vec<i64> {
        window.map_or_else(Vec::new, |w| {
            w.batches.iter().map(|b| b.revision().0).collect()
        })
    }

    #[test]
    fn keeps_the_newest_within_the_byte_limit() {
        let size = batch(1).bytes();
        let mut ring = Ring::new(Revision(10), 4 * size);
        assert_eq!((ring.first(), ring.last()), (Revision(11), Revision(10)));
        assert_eq!(revisions(ring.window(read(11, 9, usize::MAX))), [0i64; 0]);
        (11..=16).for_each(|revision| ring.push(batch(revision)));
        assert_eq!((ring.first(), ring.last()), (Revision(13), Revision(16)));
        assert_eq!(revisions(ring.window(read(12, 9, usize::MAX))), [0i64; 0]);
        assert_eq!(
            revisions(ring.window(read(13, 9, usize::MAX))),
            [13, 14, 15, 16]
        );
        assert_eq!(revisions(ring.window(read(14, 2, usize::MAX))), [14, 15]);
        assert_eq!(revisions(ring.window(read(14, 9, 2 * size))), [14, 15]);
        assert_eq!(revisions(ring.window(read(14, 9, 0))), [14]);
        assert_eq!(revisions(ring.window(read(17, 9, usize::MAX))), [0i64; 0]);
        ring.restart(Revision(20));
        assert_eq!((ring.first(), ring.last()), (Revision(21), Revision(20)));
        ring.push(batch(21));
        assert_eq!(revisions(ring.window(read(21, 9, usize::MAX))), [21]);
    }

    #[test]
    fn a_batch_above_the_limit_is_not_kept() {
        let mut ring = Ring::new(Revision(1), 1);
        ring.push(batch(2));
        assert_eq!((ring.first(), ring.last()), (Revision(3), Revision(2)));
    }
}
