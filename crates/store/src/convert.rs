//! Between the wire's types and the key space's.

use bytes::Bytes;
use ferrod_mvcc::{KeyRange, RangeQuery, SortOrder, SortTarget};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{RangeRequest, range_request};
use ferrod_proto::mvccpb::KeyValue;
use prost::Message;

/// The read that a request asks for.
///
/// # Errors
/// [`ApiError::InvalidSortOption`] for an order or target that does not exist.
pub fn query(request: &RangeRequest) -> Result<RangeQuery<'_>, ApiError> {
    Ok(RangeQuery {
        range: KeyRange::from_request(&request.key, &request.range_end),
        revision: request.revision,
        limit: request.limit,
        order: order(request.sort_order)?,
        target: target(request.sort_target)?,
        min_mod_revision: request.min_mod_revision,
        max_mod_revision: request.max_mod_revision,
        min_create_revision: request.min_create_revision,
        max_create_revision: request.max_create_revision,
        keys_only: request.keys_only,
        count_only: request.count_only,
    })
}

fn order(number: i32) -> Result<SortOrder, ApiError> {
    match range_request::SortOrder::try_from(number) {
        Ok(range_request::SortOrder::None) => Ok(SortOrder::None),
        Ok(range_request::SortOrder::Ascend) => Ok(SortOrder::Ascend),
        Ok(range_request::SortOrder::Descend) => Ok(SortOrder::Descend),
        Err(_) => Err(ApiError::InvalidSortOption),
    }
}

fn target(number: i32) -> Result<SortTarget, ApiError> {
    match range_request::SortTarget::try_from(number) {
        Ok(range_request::SortTarget::Key) => Ok(SortTarget::Key),
        Ok(range_request::SortTarget::Version) => Ok(SortTarget::Version),
        Ok(range_request::SortTarget::Create) => Ok(SortTarget::Create),
        Ok(range_request::SortTarget::Mod) => Ok(SortTarget::Mod),
        Ok(range_request::SortTarget::Value) => Ok(SortTarget::Value),
        Err(_) => Err(ApiError::InvalidSortOption),
    }
}

/// The wire's form of a stored row.
pub(crate) fn key_value(encoded: impl Into<Bytes>) -> KeyValue {
    KeyValue::decode(encoded.into()).expect("the key space hands out rows that it encoded itself")
}

/// What a failed read of the key space means to a client, or the failure itself when it is the member's.
pub(crate) fn read_error(error: ferrod_mvcc::Error) -> crate::Error {
    match error {
        ferrod_mvcc::Error::Compacted => ApiError::Compacted.into(),
        ferrod_mvcc::Error::Future => ApiError::FutureRevision.into(),
        other => crate::Error::Storage(other),
    }
}
