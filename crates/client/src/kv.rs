//! Reading and writing keys.

use bytes::Bytes;
use ferrod_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, TxnRequest, TxnResponse,
};

use crate::method::Method;
use crate::{Client, Error, KeyRange};

const RANGE: Method<RangeRequest, RangeResponse> = Method::repeatable("/etcdserverpb.KV/Range");
const PUT: Method<PutRequest, PutResponse> = Method::once("/etcdserverpb.KV/Put");
const DELETE_RANGE: Method<DeleteRangeRequest, DeleteRangeResponse> =
    Method::once("/etcdserverpb.KV/DeleteRange");
const TXN: Method<TxnRequest, TxnResponse> = Method::once("/etcdserverpb.KV/Txn");
const COMPACT: Method<CompactionRequest, CompactionResponse> =
    Method::once("/etcdserverpb.KV/Compact");

/// Reading and writing keys. Every call may fail with any [`Error`] but those of [`Client::connect`].
impl Client {
    /// Reads keys of one range, linearizable by default.
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Error> {
        self.unary(RANGE, request).await
    }

    /// Reads the keys of a range with default options.
    pub async fn get(&self, keys: KeyRange) -> Result<RangeResponse, Error> {
        let (key, range_end) = keys.into_parts();
        self.range(RangeRequest {
            key,
            range_end,
            ..Default::default()
        })
        .await
    }

    /// Writes one key with default options.
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<PutResponse, Error> {
        let (key, value) = (key.into(), value.into());
        self.put_request(PutRequest {
            key,
            value,
            ..Default::default()
        })
        .await
    }

    /// Writes one key.
    pub async fn put_request(&self, request: PutRequest) -> Result<PutResponse, Error> {
        self.unary(PUT, request).await
    }

    /// Deletes the keys of a range with default options.
    pub async fn delete(&self, keys: KeyRange) -> Result<DeleteRangeResponse, Error> {
        let (key, range_end) = keys.into_parts();
        self.delete_range(DeleteRangeRequest {
            key,
            range_end,
            prev_kv: false,
        })
        .await
    }

    /// Deletes the keys of a range.
    pub async fn delete_range(
        &self,
        request: DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, Error> {
        self.unary(DELETE_RANGE, request).await
    }

    /// Compares, then runs one of two lists of operations, all at one revision.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Error> {
        self.unary(TXN, request).await
    }

    /// Forgets history below a revision.
    pub async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse, Error> {
        self.unary(COMPACT, request).await
    }
}
