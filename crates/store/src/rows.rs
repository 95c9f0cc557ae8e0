//! Where a transaction reads from: the writer's state while it applies, or a view on a reading thread.

use ferrod_mvcc::{Error, KeyRange, RangeQuery, RangeResult, RowRef};

/// What is called with each row of an answer.
pub(crate) type Sink<'s> = dyn FnMut(RowRef<'_>) + 's;

/// A state of the key space that can be read.
pub(crate) trait Rows {
    /// The current revision.
    fn revision(&self) -> i64;

    /// The compacted revision, -1 when nothing was ever compacted.
    fn compacted(&self) -> i64;

    /// Reads a range.
    fn range(&mut self, query: &RangeQuery<'_>, sink: &mut Sink<'_>) -> Result<RangeResult, Error>;

    /// Whether the lease exists. It is asked for puts only, so where nothing is written the answer does not matter.
    fn lease_exists(&self, id: i64) -> bool;

    /// Whether the key exists now.
    fn exists(&mut self, key: &[u8]) -> Result<bool, crate::Error> {
        let query = RangeQuery {
            count_only: true,
            ..RangeQuery::new(KeyRange::Single(key))
        };
        let found = self
            .range(&query, &mut |_| {})
            .map_err(crate::convert::read_error)?;
        Ok(found.count > 0)
    }
}
