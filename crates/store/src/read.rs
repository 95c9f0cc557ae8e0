//! Transactions that only read, on a reading thread.

use ferrod_mvcc::{Error as MvccError, RangeQuery, RangeResult, Reader, View};
use ferrod_proto::etcdserverpb::{
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse, request_op::Request, response_op::Response,
};

use crate::answer::header;
use crate::rows::{Rows, Sink};
use crate::txn::{self, Path};
use crate::write::read_range;
use crate::{ApiError, Error};

/// One view, read by one thread.
struct Reading<'r> {
    reader: &'r mut Reader,
    view: &'r View,
}

impl Rows for Reading<'_> {
    fn revision(&self) -> i64 {
        self.view.revision()
    }

    fn compacted(&self) -> i64 {
        self.view.compacted()
    }

    /// A read of the current revision is pinned to the view's, so that all parts of a transaction see one state.
    fn range(
        &mut self,
        query: &RangeQuery<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<RangeResult, MvccError> {
        let revision = if query.revision > 0 {
            query.revision
        } else {
            self.view.revision()
        };
        let result = self
            .reader
            .range(self.view, &RangeQuery { revision, ..*query }, sink)?;
        Ok(RangeResult {
            revision: self.view.revision(),
            ..result
        })
    }

    fn lease_exists(&self, _id: i64) -> bool {
        false
    }
}

/// Carries out a transaction that only reads, in the newest view.
///
/// If a compaction takes rows of that view away meanwhile, it starts again in a newer one.
///
/// # Errors
/// [`Error::Refused`] as a read at these revisions is refused; [`Error::Storage`] if the member's storage fails.
pub fn read_txn(reader: &mut Reader, request: &TxnRequest) -> Result<TxnResponse, Error> {
    loop {
        let view = reader.view();
        let revision = view.revision();
        match read_in(
            &mut Reading {
                reader,
                view: &view,
            },
            request,
        ) {
            Err(Error::Refused(ApiError::Compacted)) if reader.view().revision() > revision => {}
            result => return result,
        }
    }
}

fn read_in(rows: &mut Reading<'_>, request: &TxnRequest) -> Result<TxnResponse, Error> {
    let path = txn::choose(rows, request)?;
    txn::check(rows, request, &path)?;
    run(rows, request, &path)
}

fn run(rows: &mut Reading<'_>, request: &TxnRequest, path: &Path) -> Result<TxnResponse, Error> {
    let mut responses = Vec::new();
    for op in path.ops(request) {
        let Some(Request::RequestRange(range)) = &op.request else {
            return Err(ApiError::KeyNotFound.into());
        };
        let response = Some(Response::ResponseRange(read_range(rows, range)?));
        responses.push(ResponseOp { response });
    }
    let header: Option<ResponseHeader> = header(rows.revision());
    Ok(TxnResponse {
        header,
        succeeded: path.succeeded,
        responses,
    })
}
