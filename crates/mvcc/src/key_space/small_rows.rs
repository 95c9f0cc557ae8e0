//! Rows of the small buckets (leases, members, alarms, …) that are written and not yet durable.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::backend::{Bucket, Snapshot};
use crate::link::SmallRow;
use crate::{Error, KeySpace};

/// The latest value of each changed row, until it is durable.
#[derive(Debug, Default)]
pub(crate) struct SmallRows {
    /// With the number of the view that the row belongs to.
    changed: BTreeMap<(Bucket, Vec<u8>), (u64, Option<Bytes>)>,
    /// Changes since the last publication, in order.
    staged: Vec<SmallRow>,
}

impl SmallRows {
    fn change(&mut self, batch: u64, row: SmallRow) {
        self.changed
            .insert((row.bucket, row.key.clone()), (batch, row.value.clone()));
        self.staged.push(row);
    }

    pub(crate) fn take_staged(&mut self) -> Vec<SmallRow> {
        std::mem::take(&mut self.staged)
    }

    /// Forgets rows that are durable: those of views up to `batch`.
    pub(crate) fn forget(&mut self, batch: u64) {
        self.changed.retain(|_, (of, _)| *of > batch);
    }
}

/// Rows of the buckets other than [`Bucket::Key`]. They are visible here at once, and become durable with the view
/// that is published next.
impl KeySpace {
    /// Writes a row. Keys have 1 to 511 bytes.
    pub fn put_row(&mut self, bucket: Bucket, key: &[u8], value: Bytes) {
        self.change_row(bucket, key, Some(value));
    }

    /// Deletes a row; a missing one is no error.
    pub fn delete_row(&mut self, bucket: Bucket, key: &[u8]) {
        self.change_row(bucket, key, None);
    }

    fn change_row(&mut self, bucket: Bucket, key: &[u8], value: Option<Bytes>) {
        assert_ne!(
            bucket,
            Bucket::Key,
            "rows of keys are written by transactions"
        );
        let row = SmallRow {
            bucket,
            key: key.to_vec(),
            value,
        };
        self.add_unflushed_bytes(row.bytes());
        self.small.change(self.batch + 1, row);
    }

    /// The value of a row.
    ///
    /// # Errors
    /// Errors of the backend.
    pub fn get_row(&mut self, bucket: Bucket, key: &[u8]) -> Result<Option<Bytes>, Error> {
        if let Some((_, value)) = self.small.changed.get(&(bucket, key.to_vec())) {
            return Ok(value.clone());
        }
        self.snapshot()?;
        let stored = self
            .opened_snapshot()
            .map(|snapshot| snapshot.get(bucket, key))
            .transpose()?;
        Ok(stored.flatten().map(Bytes::copy_from_slice))
    }

    /// All rows of a bucket, in key order.
    ///
    /// # Errors
    /// Errors of the backend.
    pub fn scan_rows(&mut self, bucket: Bucket) -> Result<Vec<(Bytes, Bytes)>, Error> {
        self.snapshot()?;
        let mut rows = BTreeMap::new();
        if let Some(snapshot) = self.opened_snapshot() {
            collect(snapshot, bucket, &mut rows)?;
        }
        let changed = self.small.changed.range((bucket, Vec::new())..);
        for ((_, key), (_, value)) in changed.take_while(|((of, _), _)| *of == bucket) {
            match value {
                Some(value) => rows.insert(Bytes::copy_from_slice(key), value.clone()),
                None => rows.remove(key.as_slice()),
            };
        }
        Ok(rows.into_iter().collect())
    }
}

fn collect(
    snapshot: &dyn Snapshot,
    bucket: Bucket,
    rows: &mut BTreeMap<Bytes, Bytes>,
) -> Result<(), Error> {
    snapshot.scan(bucket, &[], None, &mut |key, value| {
        rows.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        std::ops::ControlFlow::Continue(())
    })
}
