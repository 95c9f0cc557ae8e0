//! What the branches of a transaction write, so that no key is put twice, or put and deleted, by accident.
//!
//! A client decides how many keys and intervals there are, up to the size of a request: each lookup is logarithmic, and
//! what a nested transaction writes is collected once, then handed up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{DeleteRangeRequest, RequestOp, request_op::Request};

/// What the two branches of a transaction write. They exclude each other.
pub(super) struct Branches<'r> {
    pub(super) success: Writes<'r>,
    pub(super) failure: Writes<'r>,
}

/// What one branch writes: keys that it puts, and intervals that it deletes, with all that is nested.
#[derive(Default)]
pub(super) struct Writes<'r> {
    puts: BTreeSet<&'r [u8]>,
    deletes: Intervals<'r>,
}

impl<'r> Writes<'r> {
    /// Collects a branch, refusing a key that would be put twice, or put and deleted.
    ///
    /// `nested` yields the branches of its nested transactions, in their order.
    pub(super) fn of(
        ops: &'r [RequestOp],
        nested: &mut impl Iterator<Item = Branches<'r>>,
    ) -> Result<Writes<'r>, ApiError> {
        let mut writes = Writes::default();
        for op in ops {
            if let Some(Request::RequestDeleteRange(delete)) = &op.request {
                writes.deletes.add(delete);
            }
        }
        for op in ops {
            if let Some(Request::RequestTxn(_)) = &op.request {
                let nested = nested.next().expect("one for each nested transaction");
                writes.add_nested(nested)?;
            }
        }
        for op in ops {
            if let Some(Request::RequestPut(put)) = &op.request
                && (writes.deletes.contain(&put.key) || !writes.puts.insert(&put.key))
            {
                return Err(ApiError::DuplicateKey);
            }
        }
        Ok(writes)
    }

    /// The two branches of a nested transaction exclude each other, so both may put the same key. A nested delete counts
    /// for what follows only.
    fn add_nested(&mut self, nested: Branches<'r>) -> Result<(), ApiError> {
        let Branches { success, failure } = nested;
        if !success.puts.iter().all(|key| self.is_fresh(key))
            || !failure.puts.iter().all(|key| self.is_fresh(key))
        {
            return Err(ApiError::DuplicateKey);
        }
        for branch in [success, failure] {
            merge_sets(&mut self.puts, branch.puts);
            self.deletes.merge(branch.deletes);
        }
        Ok(())
    }

    fn is_fresh(&self, key: &[u8]) -> bool {
        !self.deletes.contain(key) && !self.puts.contains(key)
    }
}

/// A set of keys: the union of what deletes name.
#[derive(Default)]
struct Intervals<'r> {
    single: BTreeSet<&'r [u8]>,
    /// First key to end. Invariant: none is empty, and none begins before the one before it has ended.
    spans: BTreeMap<&'r [u8], &'r [u8]>,
}

impl<'r> Intervals<'r> {
    /// Ends are taken as sent: an end of one zero byte is not "to the end" here, so it never conflicts. Clients rely on it.
    fn add(&mut self, delete: &'r DeleteRangeRequest) {
        if delete.range_end.is_empty() {
            self.single.insert(&delete.key);
        } else if delete.key < delete.range_end {
            self.add_span(&delete.key, &delete.range_end);
        }
    }

    fn add_span(&mut self, mut low: &'r [u8], mut high: &'r [u8]) {
        // Each span that the new one touches becomes part of it. The last that begins in reach is looked at first.
        while let Some((&other_low, &other_high)) = self.spans.range(..=high).next_back()
            && low <= other_high
        {
            self.spans.remove(other_low);
            low = low.min(other_low);
            high = high.max(other_high);
        }
        self.spans.insert(low, high);
    }

    fn merge(&mut self, mut other: Intervals<'r>) {
        merge_sets(&mut self.single, other.single);
        if self.spans.len() < other.spans.len() {
            std::mem::swap(&mut self.spans, &mut other.spans);
        }
        for (low, high) in other.spans {
            self.add_span(low, high);
        }
    }

    fn contain(&self, key: &[u8]) -> bool {
        let last_before = self
            .spans
            .range::<[u8], _>((Unbounded, Included(key)))
            .next_back();
        self.single.contains(key) || last_before.is_some_and(|(_, high)| key < *high)
    }
}

/// Moves the smaller set into the larger.
fn merge_sets<'r>(set: &mut BTreeSet<&'r [u8]>, mut other: BTreeSet<&'r [u8]>) {
    if set.len() < other.len() {
        std::mem::swap(set, &mut other);
    }
    set.extend(other);
}
