//! Rows that are applied but not yet in the backend: a queue indexed by revision, written by one thread, read by many.
//!
//! Main revisions are consecutive, so a chunk is an array with one slot for each. A slot is written once, by the owner,
//! before the view that covers its revision is published; readers look only at slots that their view covers. The
//! list of chunks is copied when a chunk is added or dropped, never for a row.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{RecordKey, Revision};

/// What readers see of the queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    chunks: Arc<Vec<Arc<Chunk>>>,
}

/// One applied row.
#[derive(Debug)]
pub(crate) struct OverlayRow {
    pub(crate) tombstone: bool,
    pub(crate) encoded: Bytes,
}

/// The rows of one main revision, in the order of `sub`. Nearly always one.
#[derive(Debug)]
pub(crate) enum OverlayRows {
    One(OverlayRow),
    Many(Box<[OverlayRow]>),
}

/// The rows of consecutive main revisions.
#[derive(Debug)]
struct Chunk {
    first: i64,
    slots: Box<[OnceLock<OverlayRows>]>,
}

/// Main revisions in one chunk at most.
const CHUNK_SLOTS: usize = 1024;
/// Bytes of rows after which a chunk is closed, so that few large rows are not kept for the sake of one.
const CHUNK_BYTES_MAX: usize = 1 << 20;

impl OverlayRows {
    fn as_slice(&self) -> &[OverlayRow] {
        match self {
            OverlayRows::One(row) => std::slice::from_ref(row),
            OverlayRows::Many(rows) => rows,
        }
    }
}

impl FromIterator<OverlayRow> for OverlayRows {
    fn from_iter<I: IntoIterator<Item = OverlayRow>>(rows: I) -> Self {
        let mut rows = rows.into_iter();
        match (rows.next(), rows.next()) {
            (Some(only), None) => OverlayRows::One(only),
            (first, second) => {
                OverlayRows::Many(first.into_iter().chain(second).chain(rows).collect())
            }
        }
    }
}

impl Overlay {
    /// The row that a change wrote.
    pub(crate) fn get(&self, revision: Revision) -> Option<&OverlayRow> {
        self.at(revision.main)?.get(revision.sub as usize)
    }

    /// Visits the rows of the main revisions `low..=high`, all of which must be here.
    pub(crate) fn visit(&self, low: i64, high: i64, mut visit: impl FnMut(RecordKey, &Bytes)) {
        for main in low..=high {
            let rows = self
                .at(main)
                .expect("a revision between the flushed and the current one");
            for (sub, row) in (0..).zip(rows) {
                let revision = Revision { main, sub };
                visit(
                    RecordKey {
                        revision,
                        tombstone: row.tombstone,
                    },
                    &row.encoded,
                );
            }
        }
    }

    /// The rows of one main revision.
    pub(crate) fn at(&self, main: i64) -> Option<&[OverlayRow]> {
        let chunk = self.chunks.partition_point(|chunk| chunk.first <= main);
        let chunk = self.chunks[..chunk].last()?;
        let slot = usize::try_from(main - chunk.first).ok()?;
        Some(chunk.slots.get(slot)?.get()?.as_slice())
    }
}

/// The owner's end of the queue.
#[derive(Debug)]
pub(crate) struct OverlayQueue {
    overlay: Overlay,
    next: i64,
    /// Bytes of rows in the newest chunk.
    chunk_bytes: usize,
}

impl OverlayQueue {
    /// An empty queue whose first rows will be those of the main revision `next`.
    pub(crate) fn new(next: i64) -> Self {
        Self {
            overlay: Overlay::default(),
            next,
            chunk_bytes: 0,
        }
    }

    pub(crate) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Adds the rows of the next main revision.
    pub(crate) fn push(&mut self, main: i64, rows: OverlayRows) {
        assert_eq!(main, self.next, "main revisions are consecutive");
        let bytes: usize = rows.as_slice().iter().map(|row| row.encoded.len()).sum();
        let chunk = match self.open_chunk() {
            Some(chunk) => chunk,
            None => self.add_chunk(),
        };
        let slot = (main - chunk.first) as usize;
        assert!(
            chunk.slots[slot].set(rows).is_ok(),
            "a slot is written once"
        );
        self.next += 1;
        self.chunk_bytes += bytes;
    }

    /// Forgets rows up to the main revision `flushed`, as far as whole chunks go.
    pub(crate) fn forget(&mut self, flushed: i64) {
        let chunks = &self.overlay.chunks;
        // A chunk ends where the next begins; the newest may still grow.
        let whole = chunks
            .windows(2)
            .take_while(|pair| pair[1].first <= flushed + 1)
            .count();
        let all = whole + 1 == chunks.len() && self.next <= flushed + 1;
        let drop = if all { chunks.len() } else { whole };
        if drop > 0 {
            self.overlay.chunks = Arc::new(chunks[drop..].to_vec());
        }
    }

    /// The newest chunk, if it has room.
    fn open_chunk(&self) -> Option<&Chunk> {
        let chunk = self.overlay.chunks.last()?;
        let used = (self.next - chunk.first) as usize;
        (used < CHUNK_SLOTS && self.chunk_bytes < CHUNK_BYTES_MAX).then_some(chunk)
    }

    fn add_chunk(&mut self) -> &Chunk {
        let slots = std::iter::repeat_with(OnceLock::new)
            .take(CHUNK_SLOTS)
            .collect();
        let chunk = Arc::new(Chunk {
            first: self.next,
            slots,
        });
        let chunks = self.overlay.chunks.iter().cloned().chain([chunk]).collect();
        self.overlay.chunks = Arc::new(chunks);
        self.chunk_bytes = 0;
        self.overlay.chunks.last().expect("just added")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(byte: u8, len: usize) -> OverlayRow {
        OverlayRow {
            tombstone: byte.is_multiple_of(2),
            encoded: vec![byte; len].into(),
        }
    }

    #[test]
    fn rows_are_found_by_revision_until_they_are_forgotten() {
        let mut queue = OverlayQueue::new(7);
        for main in 7..5000 {
            let len = if main % 100 == 0 { 300_000 } else { 1 };
            let subs = 1 + main % 3;
            queue.push(
                main,
                (0..subs).map(|sub| row((main + sub) as u8, len)).collect(),
            );
        }
        let old = queue.overlay().clone();
        queue.forget(4000);
        for main in 4001..5000 {
            let found = queue.overlay().get(Revision { main, sub: 0 }).unwrap();
            assert_eq!(found.encoded[0], main as u8);
            assert!(queue.overlay().get(Revision { main, sub: 3 }).is_none());
        }
        assert!(queue.overlay().at(7).is_none() && queue.overlay().at(5000).is_none());
        let mut rows = 0;
        old.visit(7, 4999, |_, _| rows += 1);
        assert_eq!(rows, (7..5000).map(|main| 1 + main % 3).sum::<i64>());
        queue.forget(4999);
        assert!(queue.overlay().chunks.is_empty());
        queue.push(5000, [row(1, 1)].into_iter().collect());
        assert!(queue.overlay().at(5000).is_some() && old.at(5000).is_none());
    }
}
