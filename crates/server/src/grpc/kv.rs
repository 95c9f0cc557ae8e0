//! Keys and values: reads from the newest view, writes through the log.

use ferrod_mvcc::{Reader, RowRef};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, TxnRequest, TxnResponse,
};
use ferrod_store::quota::{TxnKind, put_cost, txn_cost, txn_kind};
use ferrod_store::{Answer, validate};
use http::Response;
use tonic::Status;

use super::dispatch::Caller;
use super::range_reply::RangeReply;
use super::reply::{self, ReplyBody};
use super::status;
use crate::engine::Engine;

/// An answer of another kind than the request: a bug here, not in the request.
pub(super) fn mismatched() -> Status {
    Status::internal("the log answered another request")
}

pub(super) async fn range(
    caller: Caller,
    request: RangeRequest,
) -> Result<Response<ReplyBody>, Status> {
    let engine = &caller.worker.engine;
    if engine.is_learner() && !request.serializable {
        return Err(status::of(ApiError::NotSupportedForLearner));
    }
    validate::range(&request).map_err(status::of)?;
    if !request.serializable {
        caller.worker.barrier(caller.call.timeout).await?;
    }
    if may_be_long(&request) {
        // The calls of a connection are answered one after the other as they come in; other connections must not wait for
        // a row of long answers.
        tokio::task::yield_now().await;
    }
    let pieces = caller
        .worker
        .read(|reader| read_range(engine, reader, &request))?;
    Ok(reply::encoded_message(pieces))
}

/// Whether an answer may take longer than a turn in the runtime's queue.
fn may_be_long(request: &RangeRequest) -> bool {
    const SHORT_ROWS: i64 = 20;
    let is_bounded = (1..=SHORT_ROWS).contains(&request.limit);
    !request.range_end.is_empty() && !is_bounded
}

fn read_range(
    engine: &Engine,
    reader: &mut Reader,
    request: &RangeRequest,
) -> Result<std::collections::VecDeque<bytes::Bytes>, Status> {
    let query = ferrod_store::query(request).map_err(status::of)?;
    engine.meters.mvcc.range_total.inc();
    let view = reader.view();
    let mut rows = RangeReply::new();
    let mut push = |row: RowRef<'_>| rows.push(row.encoded);
    let found = reader
        .range(&view, &query, &mut push)
        .map_err(|error| engine.suspicion.of_read(error))?;
    Ok(rows.finish(
        Some(&engine.header(found.revision)),
        found.more,
        found.count,
    ))
}

pub(super) async fn put(caller: Caller, request: PutRequest) -> Result<PutResponse, Status> {
    let worker = &caller.worker;
    worker
        .engine
        .make_room(put_cost(&request), &worker.mailbox)
        .await?;
    validate::put(&request).map_err(status::of)?;
    match worker
        .propose(Request::Put(request), caller.call.timeout)
        .await?
    {
        Answer::Put(mut answer) => {
            worker.engine.fill(&mut answer.header);
            Ok(answer)
        }
        _ => Err(mismatched()),
    }
}

pub(super) async fn delete_range(
    caller: Caller,
    request: DeleteRangeRequest,
) -> Result<DeleteRangeResponse, Status> {
    validate::delete_range(&request).map_err(status::of)?;
    match caller
        .worker
        .propose(Request::DeleteRange(request), caller.call.timeout)
        .await?
    {
        Answer::DeleteRange(mut answer) => {
            caller.worker.engine.fill(&mut answer.header);
            Ok(answer)
        }
        _ => Err(mismatched()),
    }
}

pub(super) async fn txn(caller: Caller, request: TxnRequest) -> Result<TxnResponse, Status> {
    let worker = &caller.worker;
    let engine = &worker.engine;
    engine
        .make_room(txn_cost(&request), &worker.mailbox)
        .await?;
    validate::txn(&request, engine.limits.txn_ops_max).map_err(status::of)?;
    let mut answer = match txn_kind(&request) {
        TxnKind::Write => {
            match worker
                .propose(Request::Txn(request), caller.call.timeout)
                .await?
            {
                Answer::Txn(answer) => answer,
                _ => return Err(mismatched()),
            }
        }
        kind => {
            if kind == TxnKind::LinearizableRead {
                caller.worker.barrier(caller.call.timeout).await?;
            }
            let read = worker.read(|reader| ferrod_store::read_txn(reader, &request));
            read.map_err(|error| engine.suspicion.of_store(error))?
        }
    };
    engine.fill(&mut answer.header);
    Ok(answer)
}

pub(super) async fn compact(
    caller: Caller,
    request: CompactionRequest,
) -> Result<CompactionResponse, Status> {
    let engine = caller.worker.engine.clone();
    let physical = request.physical;
    let answer = caller
        .worker
        .propose(Request::Compaction(request), caller.call.timeout)
        .await;
    // A caller that is told that the revision has been compacted waits too: that work may not be done.
    let waits = match &answer {
        Ok(_) => physical,
        Err(error) => physical && error.message() == ApiError::Compacted.text(),
    };
    if waits {
        engine.wait_compacted(engine.views.load().compacted()).await;
    }
    match answer? {
        Answer::Compaction(mut answer) => {
            engine.fill(&mut answer.header);
            Ok(answer)
        }
        _ => Err(mismatched()),
    }
}
