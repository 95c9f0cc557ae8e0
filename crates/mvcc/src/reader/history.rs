//! Changes in revision order, for whoever has to catch up.

use std::ops::ControlFlow;

use crate::backend::{Bucket, Snapshot};
use crate::evaluate::corrupt;
use crate::revision::encode_revision;
use crate::row::KeyValue;
use crate::{Error, Reader, RecordKey, Revision, View};

/// One change of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeRef<'a> {
    /// Which change of the store.
    pub revision: Revision,
    /// Whether the key was deleted.
    pub tombstone: bool,
    /// The key.
    pub key: &'a [u8],
    /// The row as an encoded `mvccpb.KeyValue`; of a tombstone, the key alone.
    pub encoded: &'a [u8],
}

impl Reader {
    /// Visits the changes of the main revisions `low..=high` in order, superseded ones and tombstones included.
    ///
    /// Stops after about `rows_max` changes, but never within a main revision. Returns the main revision to go on from,
    /// which is above `high` at the end. A `high` above the current revision stands for that.
    ///
    /// # Errors
    /// [`Error::Compacted`] if `low` is below the latest compaction, then nothing was visited; errors of the backend.
    pub fn changes(
        &mut self,
        view: &View,
        low: i64,
        high: i64,
        rows_max: usize,
        visit: &mut dyn FnMut(ChangeRef<'_>),
    ) -> Result<i64, Error> {
        if low < view.compacted {
            return Err(Error::Compacted);
        }
        let high = high.min(view.revision);
        let mut budget = Budget {
            left: rows_max,
            main: None,
        };
        let stored_high = high.min(view.flushed);
        if low <= stored_high {
            if !self.pin(low)? {
                // Whoever asks for the reason finds it in the newest view.
                self.newer_view();
                return Err(Error::Compacted);
            }
            let snapshot = self.snapshot().expect("pinned just now");
            if let Some(next) = stored(snapshot, low, stored_high, &mut budget, visit)? {
                return Ok(next);
            }
        }
        for main in low.max(view.flushed + 1)..=high {
            let rows = view.overlay.at(main).unwrap_or_default();
            for (sub, row) in (0..).zip(rows) {
                if !budget.take(main) {
                    return Ok(main);
                }
                let revision = Revision { main, sub };
                visit(change_ref(
                    RecordKey {
                        revision,
                        tombstone: row.tombstone,
                    },
                    &row.encoded,
                )?);
            }
        }
        Ok(high.max(low - 1) + 1)
    }
}

/// How many rows may still be visited.
struct Budget {
    left: usize,
    /// The main revision of the row visited last, which is finished in any case.
    main: Option<i64>,
}

impl Budget {
    fn take(&mut self, main: i64) -> bool {
        if self.left == 0 && self.main != Some(main) {
            return false;
        }
        self.left = self.left.saturating_sub(1);
        self.main = Some(main);
        true
    }
}

/// Visits rows of the backend; returns where the budget ended.
fn stored(
    snapshot: &dyn Snapshot,
    low: i64,
    high: i64,
    budget: &mut Budget,
    visit: &mut dyn FnMut(ChangeRef<'_>),
) -> Result<Option<i64>, Error> {
    let bound = |main| encode_revision(Revision { main, sub: 0 });
    let mut next = None;
    let mut result = Ok(());
    let mut row = |key: &[u8], encoded: &[u8]| {
        let key = RecordKey::decode(key)?;
        if budget.take(key.revision.main) {
            visit(change_ref(key, encoded)?);
        } else {
            next = Some(key.revision.main);
        }
        Ok(next.is_none())
    };
    snapshot.scan(
        Bucket::Key,
        &bound(low.max(0)),
        Some(&bound(high + 1)),
        &mut |key, encoded| match row(key, encoded) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(()),
            Err(error) => {
                result = Err(error);
                ControlFlow::Break(())
            }
        },
    )?;
    result.map(|()| next)
}

fn change_ref(key: RecordKey, encoded: &[u8]) -> Result<ChangeRef<'_>, Error> {
    let row =
        KeyValue::decode(encoded).ok_or_else(|| corrupt(key.revision, "row is not a key-value"))?;
    let RecordKey {
        revision,
        tombstone,
    } = key;
    Ok(ChangeRef {
        revision,
        tombstone,
        key: row.key,
        encoded,
    })
}
