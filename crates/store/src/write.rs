//! Carrying out puts, deletes and transactions that have been checked.

use bytes::Bytes;
use ferrod_lease::{LeaseId, Leases};
use ferrod_mvcc::{Error as MvccError, KeyRange, RangeQuery, RangeResult, WriteTxn};
use ferrod_proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse, request_op::Request,
    response_op::Response,
};

use crate::Error;
use crate::answer::header;
use crate::convert::{key_value, query, read_error};
use crate::rows::{Rows, Sink};
use crate::txn::Path;

/// A write transaction with the leases that its changes move keys between.
pub(crate) struct Write<'s> {
    pub(crate) txn: WriteTxn<'s>,
    pub(crate) leases: &'s mut Leases,
    pub(crate) compacted: i64,
}

impl Rows for Write<'_> {
    fn revision(&self) -> i64 {
        self.txn.revision()
    }

    fn compacted(&self) -> i64 {
        self.compacted
    }

    fn range(
        &mut self,
        query: &RangeQuery<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<RangeResult, MvccError> {
        self.txn.range(query, sink)
    }

    fn lease_exists(&self, id: i64) -> bool {
        self.leases.get(LeaseId(id)).is_some()
    }

    fn exists(&mut self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.txn.meta(key).is_some())
    }
}

impl Write<'_> {
    /// Writes a key. The header's revision is that of the transaction so far.
    pub(crate) fn put(&mut self, request: &PutRequest) -> Result<PutResponse, Error> {
        let previous = if request.prev_kv || request.ignore_value {
            self.txn
                .get(&request.key)
                .map_err(Error::Storage)?
                .map(key_value)
        } else {
            None
        };
        let lease = if request.ignore_lease {
            self.leases
                .lease_of(&request.key)
                .map_or(0, |lease| lease.0)
        } else {
            request.lease
        };
        // A key that this very transaction deleted has no value to keep: it gets an empty one.
        let kept = previous
            .as_ref()
            .map(|kv| kv.value.clone())
            .unwrap_or_default();
        let value = if request.ignore_value {
            &kept
        } else {
            &request.value
        };
        self.txn.put(&request.key, value, lease);
        self.attach(&request.key, lease)?;
        Ok(PutResponse {
            header: header(self.txn.revision()),
            prev_kv: previous.filter(|_| request.prev_kv),
        })
    }

    fn attach(&mut self, key: &[u8], lease: i64) -> Result<(), Error> {
        if lease == 0 {
            self.leases.detach(key);
            return Ok(());
        }
        // The copy keeps the index of leases from holding on to a whole request.
        let attached = self
            .leases
            .attach(Bytes::copy_from_slice(key), LeaseId(lease));
        attached.map_err(|_| ferrod_proto::ApiError::LeaseNotFound.into())
    }

    /// Deletes the keys of a range.
    pub(crate) fn delete_range(
        &mut self,
        request: &DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, Error> {
        let range = KeyRange::from_request(&request.key, &request.range_end);
        let deleted = self.delete(range, request.prev_kv)?;
        Ok(DeleteRangeResponse {
            header: header(self.txn.revision()),
            deleted: deleted.count,
            prev_kvs: deleted.previous.into_iter().map(key_value).collect(),
        })
    }

    pub(crate) fn delete(
        &mut self,
        range: KeyRange<'_>,
        want_previous: bool,
    ) -> Result<ferrod_mvcc::Deleted, Error> {
        let before = self.txn.changes().len();
        let deleted = self
            .txn
            .delete_range(range, want_previous)
            .map_err(Error::Storage)?;
        if !self.leases.is_empty() {
            for change in &self.txn.changes()[before..] {
                self.leases.detach(&change.key());
            }
        }
        Ok(deleted)
    }

    /// Carries out the operations on the path, in order, depth first.
    pub(crate) fn run(&mut self, request: &TxnRequest, path: &Path) -> Result<TxnResponse, Error> {
        let mut nested_paths = path.nested.iter();
        let mut responses = Vec::with_capacity(path.ops(request).len());
        for op in path.ops(request) {
            let response = match &op.request {
                Some(Request::RequestRange(range)) => Response::ResponseRange(self.read(range)?),
                Some(Request::RequestPut(put)) => Response::ResponsePut(self.put(put)?),
                Some(Request::RequestDeleteRange(delete)) => {
                    Response::ResponseDeleteRange(self.delete_range(delete)?)
                }
                Some(Request::RequestTxn(nested)) => {
                    let path = nested_paths
                        .next()
                        .expect("the path was chosen through here");
                    let response = self.run(nested, path)?;
                    // A nested answer has an empty header, present all the same.
                    let header = Some(ResponseHeader::default());
                    Response::ResponseTxn(TxnResponse { header, ..response })
                }
                None => continue,
            };
            responses.push(ResponseOp {
                response: Some(response),
            });
        }
        let header = header(self.txn.revision());
        Ok(TxnResponse {
            header,
            succeeded: path.succeeded,
            responses,
        })
    }

    fn read(&mut self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        read_range(self, request)
    }
}

/// Reads a range into a response whose header has the revision of the state that was read.
pub(crate) fn read_range(
    rows: &mut dyn Rows,
    request: &RangeRequest,
) -> Result<RangeResponse, Error> {
    let mut kvs = Vec::new();
    let mut push = |row: ferrod_mvcc::RowRef<'_>| {
        kvs.push(key_value(Bytes::copy_from_slice(row.encoded)));
    };
    let found = rows
        .range(&query(request)?, &mut push)
        .map_err(read_error)?;
    Ok(RangeResponse {
        header: header(found.revision),
        kvs,
        more: found.more,
        count: found.count,
    })
}
