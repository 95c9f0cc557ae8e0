//! A read transaction as an owned value.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use heed::{RoTxn, WithoutTls};

use super::super::{Bucket, Row, RowsFrom, Snapshot, Visitor};
use super::generation::Generation;
use super::row;
use crate::Error;

/// The state of one generation at one commit.
pub(super) struct LmdbSnapshot {
    // Fields are dropped in this order: the generation closes its environment only if no transaction is left.
    txn: RoTxn<'static, WithoutTls>,
    generation: Arc<Generation>,
}

impl LmdbSnapshot {
    pub(super) fn new(generation: Arc<Generation>) -> Result<Self, Error> {
        Ok(Self {
            txn: generation.read()?,
            generation,
        })
    }

    /// Visits the rows of a bucket with key and sealed row; their checksums have been verified.
    pub(super) fn scan_sealed(
        &self,
        bucket: Bucket,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        visit: &mut Visitor<'_>,
    ) -> Result<(), Error> {
        let database = self.generation.database(bucket);
        let rows = database.range(&self.txn, &bounds).map_err(read_error)?;
        for next in rows {
            let (key, sealed) = next.map_err(read_error)?;
            row::open(bucket, key, sealed)?;
            if let ControlFlow::Break(()) = visit(key, sealed) {
                break;
            }
        }
        Ok(())
    }
}

impl Snapshot for LmdbSnapshot {
    fn get(&self, bucket: Bucket, key: &[u8]) -> Result<Option<&[u8]>, Error> {
        // LMDB has no empty keys and calls the question an error.
        if key.is_empty() {
            return Ok(None);
        }
        let sealed = self
            .generation
            .database(bucket)
            .get(&self.txn, key)
            .map_err(read_error)?;
        sealed
            .map(|sealed| row::open(bucket, key, sealed))
            .transpose()
    }

    fn scan(
        &self,
        bucket: Bucket,
        low: &[u8],
        high: Option<&[u8]>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), Error> {
        if high.is_some_and(|high| high <= low) {
            return Ok(());
        }
        let low = lower_bound(low);
        let high = high.map_or(Bound::Unbounded, Bound::Excluded);
        self.scan_sealed(bucket, (low, high), &mut |key, sealed| {
            visit(key, row::value(sealed))
        })
    }

    fn rows_from<'s>(&'s self, bucket: Bucket, low: &[u8]) -> Result<RowsFrom<'s>, Error> {
        let bounds = (lower_bound(low), Bound::Unbounded);
        let rows = self.generation.database(bucket).range(&self.txn, &bounds);
        Ok(Box::new(rows.map_err(read_error)?.map(move |next| {
            let (key, sealed) = next.map_err(read_error)?;
            Ok((key, row::open(bucket, key, sealed)?))
        })))
    }

    fn last(&self, bucket: Bucket) -> Result<Option<Row<'_>>, Error> {
        let last = self
            .generation
            .database(bucket)
            .last(&self.txn)
            .map_err(read_error)?;
        last.map(|(key, sealed)| Ok((key, row::open(bucket, key, sealed)?)))
            .transpose()
    }
}

/// LMDB has no empty keys.
fn lower_bound(low: &[u8]) -> Bound<&[u8]> {
    if low.is_empty() {
        Bound::Unbounded
    } else {
        Bound::Included(low)
    }
}

fn read_error(error: heed::Error) -> Error {
    Error::backend("read row", error)
}
