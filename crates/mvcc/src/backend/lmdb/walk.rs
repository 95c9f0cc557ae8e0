//! A walk over all rows in short read transactions, each of which sees a later state than the one before.

use std::ops::{Bound, ControlFlow};

use super::super::Bucket;
use super::snapshot::LmdbSnapshot;
use crate::Error;

/// What the rows of one step may weigh: long enough to be worth a transaction, short enough to pin no page for long.
pub(super) const STEP_BYTES: u64 = 16 << 20;

/// What a step calls with bucket, key and sealed row.
pub(super) type RowVisitor<'v> = dyn FnMut(Bucket, &[u8], &[u8]) -> Result<(), Error> + 'v;

/// How far a walk has come. Buckets are walked one after the other, rows in key order.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// By `bucket as usize`.
    buckets: [Reached; Bucket::ALL.len()],
}

#[derive(Debug, Default)]
enum Reached {
    #[default]
    Nothing,
    /// This key and all keys below it, whether or not there are rows.
    UpTo(Vec<u8>),
    Everything,
}

/// What a step has visited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Visited {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Position {
    /// Whether the walk has passed the place of a row.
    pub(super) fn covers(&self, bucket: Bucket, key: &[u8]) -> bool {
        match &self.buckets[bucket as usize] {
            Reached::Nothing => false,
            Reached::UpTo(last) => key <= last.as_slice(),
            Reached::Everything => true,
        }
    }

    pub(super) fn is_end(&self) -> bool {
        self.buckets
            .iter()
            .all(|reached| matches!(reached, Reached::Everything))
    }

    /// Walks on in `snapshot` until the rows weigh `bytes_max` or the end is reached, and calls `visit` with
    /// each, its checksum verified.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first row whose checksum does not match, and any error of `visit`. The walk is over then.
    pub(super) fn step(
        &mut self,
        snapshot: &LmdbSnapshot,
        bytes_max: u64,
        visit: &mut RowVisitor<'_>,
    ) -> Result<Visited, Error> {
        let mut visited = Visited::default();
        for bucket in Bucket::ALL {
            if visited.bytes >= bytes_max {
                break;
            }
            let reached = &mut self.buckets[bucket as usize];
            step_in_bucket(bucket, reached, snapshot, bytes_max, &mut visited, visit)?;
        }
        Ok(visited)
    }
}

fn step_in_bucket(
    bucket: Bucket,
    reached: &mut Reached,
    snapshot: &LmdbSnapshot,
    bytes_max: u64,
    visited: &mut Visited,
    visit: &mut RowVisitor<'_>,
) -> Result<(), Error> {
    let low = match &*reached {
        Reached::Nothing => Bound::Unbounded,
        Reached::UpTo(last) => Bound::Excluded(last.as_slice()),
        Reached::Everything => return Ok(()),
    };
    let mut outcome = Ok(());
    let mut stopped_at = None;
    snapshot.scan_sealed(bucket, (low, Bound::Unbounded), &mut |key, sealed| {
        outcome = visit(bucket, key, sealed);
        visited.rows += 1;
        visited.bytes += (key.len() + sealed.len()) as u64;
        if outcome.is_err() || visited.bytes >= bytes_max {
            stopped_at = Some(key.to_vec());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    *reached = stopped_at.map_or(Reached::Everything, Reached::UpTo);
    outcome
}
