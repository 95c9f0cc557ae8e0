//! What is refused before anything runs: rules that depend on the request alone.
//!
//! Source: etcd v3 API; the order of the checks is visible to clients, so it is the order here.

mod writes;

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest, range_request::SortOrder,
    range_request::SortTarget, request_op::Request,
};
use writes::{Branches, Writes};

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
    check(request, ops_max, TXN_DEPTH_MAX)?;
    // Duplicates come last, at all levels: any other fault anywhere is found before.
    branches(request).map(drop)
}

fn check(request: &TxnRequest, ops_max: usize, depth_left: usize) -> Result<(), ApiError> {
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
            Some(Request::RequestTxn(r)) => check(r, ops_left, depth_left - 1)?,
            None => return Err(ApiError::KeyNotFound),
        }
    }
    Ok(())
}

/// What both branches write, with all that is nested in them.
fn branches(request: &TxnRequest) -> Result<Branches<'_>, ApiError> {
    let mut nested = Vec::new();
    for op in request.success.iter().chain(&request.failure) {
        if let Some(Request::RequestTxn(r)) = &op.request {
            nested.push(branches(r)?);
        }
    }
    let mut nested = nested.into_iter();
    Ok(Branches {
        success: Writes::of(&request.success, &mut nested)?,
        failure: Writes::of(&request.failure, &mut nested)?,
    })
}

#[cfg(test)]
mod tests;
