//! What is refused before anything runs: rules that depend on the request alone.
//!
//! Source: etcd v3 API; the order of the checks is visible to clients, so it is the order here.

use std::collections::BTreeSet;

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, range_request::SortOrder,
    range_request::SortTarget, request_op::Request,
};

/// How deep transactions may nest. The log's decoder stops at a fixed depth, so what is accepted must stay below it.
pub const TXN_DEPTH_MAX: usize = 40;

/// Checks a range request.
///
/// # Errors
/// [`ApiError::EmptyKey`], [`ApiError::InvalidSortOption`].
pub fn range(request: &RangeRequest) -> Result<(), ApiError> {
    if request.key.is_empty() {
        return Err(ApiError::EmptyKey);
    }
    let known = SortOrder::try_from(request.sort_order).is_ok()
        && SortTarget::try_from(request.sort_target).is_ok();
    if known {
        Ok(())
    } else {
        Err(ApiError::InvalidSortOption)
    }
}

/// Checks a put.
///
/// # Errors
/// [`ApiError::EmptyKey`], [`ApiError::ValueIsProvided`], [`ApiError::LeaseIsProvided`].
pub fn put(request: &PutRequest) -> Result<(), ApiError> {
    if request.key.is_empty() {
        return Err(ApiError::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(ApiError::ValueIsProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(ApiError::LeaseIsProvided);
    }
    Ok(())
}

/// Checks a delete.
///
/// # Errors
/// [`ApiError::EmptyKey`].
pub fn delete_range(request: &DeleteRangeRequest) -> Result<(), ApiError> {
    if request.key.is_empty() {
        Err(ApiError::EmptyKey)
    } else {
        Ok(())
    }
}

/// Checks a transaction with all that is nested in it, taken or not.
///
/// `ops_max` bounds the longest list of the top level; each nested level has what the widest list above it left.
///
/// # Errors
/// [`ApiError::TooManyOps`], [`ApiError::EmptyKey`], [`ApiError::KeyNotFound`] for an operation without content,
/// [`ApiError::DuplicateKey`], and those of the operations.
pub fn txn(request: &TxnRequest, ops_max: usize) -> Result<(), ApiError> {
    txn_at(request, ops_max, TXN_DEPTH_MAX)
}

fn txn_at(request: &TxnRequest, ops_max: usize, depth_left: usize) -> Result<(), ApiError> {
    let widest = request
        .compare
        .len()
        .max(request.success.len())
        .max(request.failure.len());
    let Some(ops_left) = ops_max.checked_sub(widest).filter(|_| depth_left > 0) else {
        return Err(ApiError::TooManyOps);
    };
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(ApiError::EmptyKey);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(r)) => range(r)?,
            Some(Request::RequestPut(r)) => put(r)?,
            Some(Request::RequestDeleteRange(r)) => delete_range(r)?,
            Some(Request::RequestTxn(r)) => txn_at(r, ops_left, depth_left - 1)?,
            None => return Err(ApiError::KeyNotFound),
        }
    }
    Writes::of(&request.success)?;
    Writes::of(&request.failure)?;
    Ok(())
}

/// What one branch writes: keys that it puts, and intervals that it deletes, with all that is nested.
#[derive(Default)]
struct Writes<'r> {
    puts: BTreeSet<&'r [u8]>,
    /// Half-open as sent: an end of one zero byte is not "to the end" here, so it never conflicts. Clients rely on it.
    deletes: Vec<Interval<'r>>,
}

enum Interval<'r> {
    One(&'r [u8]),
    HalfOpen(&'r [u8], &'r [u8]),
}

impl Interval<'_> {
    fn contains(&self, key: &[u8]) -> bool {
        match self {
            Interval::One(one) => *one == key,
            Interval::HalfOpen(low, high) => *low <= key && key < *high,
        }
    }
}

impl<'r> Writes<'r> {
    /// Collects a branch, refusing a key that would be put twice, or put and deleted.
    fn of(ops: &'r [RequestOp]) -> Result<Writes<'r>, ApiError> {
        let mut writes = Writes::default();
        writes
            .deletes
            .extend(ops.iter().filter_map(|op| match &op.request {
                Some(Request::RequestDeleteRange(r)) if r.range_end.is_empty() => {
                    Some(Interval::One(&r.key))
                }
                Some(Request::RequestDeleteRange(r)) => {
                    Some(Interval::HalfOpen(&r.key, &r.range_end))
                }
                _ => None,
            }));
        for op in ops {
            if let Some(Request::RequestTxn(nested)) = &op.request {
                writes.add_nested(nested)?;
            }
        }
        for op in ops {
            if let Some(Request::RequestPut(put)) = &op.request
                && (writes.is_deleted(&put.key) || !writes.puts.insert(&put.key))
            {
                return Err(ApiError::DuplicateKey);
            }
        }
        Ok(writes)
    }

    /// The two branches of a nested transaction exclude each other, so both may put the same key.
    fn add_nested(&mut self, nested: &'r TxnRequest) -> Result<(), ApiError> {
        let success = Writes::of(&nested.success)?;
        let failure = Writes::of(&nested.failure)?;
        let fresh = |key: &&[u8]| !self.is_deleted(key) && !self.puts.contains(key);
        if !success.puts.iter().all(fresh) || !failure.puts.iter().all(fresh) {
            return Err(ApiError::DuplicateKey);
        }
        self.puts.extend(success.puts);
        self.puts.extend(failure.puts);
        self.deletes.extend(success.deletes);
        self.deletes.extend(failure.deletes);
        Ok(())
    }

    fn is_deleted(&self, key: &[u8]) -> bool {
        self.deletes.iter().any(|interval| interval.contains(key))
    }
}

#[cfg(test)]
mod tests;
