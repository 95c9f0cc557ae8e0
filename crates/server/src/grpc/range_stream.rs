//! `RangeStream`: a range in pieces, all of one revision.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use ferrod_mvcc::{RangeQuery, RowRef, SortOrder, SortTarget};
use ferrod_proto::etcdserverpb::RangeRequest;
use ferrod_store::validate;
use http::Response;
use prost::encoding::{encode_varint, encoded_len_varint};
use tonic::Status;

use super::dispatch::Caller;
use super::pieces::Pieces;
use super::range_reply::RangeReply;
use super::reply::{self, FramePoll, PREFIX_BYTES, ReplyBody};
use super::status;
use crate::worker::Worker;

const FIRST_ROWS: usize = 10;

/// Answers with a stream of messages, the last of which has header, `more` and count.
pub(super) async fn range_stream(
    caller: Caller,
    request: RangeRequest,
) -> Result<Response<ReplyBody>, Status> {
    validate::range(&request).map_err(status::of)?;
    let query = ferrod_store::query(&request).map_err(status::of)?;
    check_supported(&query)?;
    if !request.serializable {
        caller.worker.barrier(caller.call.timeout).await?;
    }
    Ok(reply::stream(Box::pin(Rows {
        worker: caller.worker,
        sent: 0,
        rows_next: FIRST_ROWS,
        count: 0,
        pinned: 0,
        ended: false,
        request,
    })))
}

fn check_supported(query: &RangeQuery<'_>) -> Result<(), Status> {
    let ordered = match query.order {
        SortOrder::None => false,
        SortOrder::Ascend => query.target != SortTarget::Key,
        SortOrder::Descend => true,
    };
    if ordered {
        return Err(Status::unimplemented(
            "RangeStream does not support custom sort orders",
        ));
    }
    let bounds = [
        query.min_mod_revision,
        query.max_mod_revision,
        query.min_create_revision,
        query.max_create_revision,
    ];
    if bounds != [0; 4] {
        return Err(Status::unimplemented(
            "RangeStream does not support revision filters",
        ));
    }
    Ok(())
}

/// The rest of a range. Reads a piece whenever the connection has room for one.
struct Rows {
    worker: Arc<Worker>,
    /// `key` moves behind the last row sent.
    request: RangeRequest,
    sent: i64,
    rows_next: usize,
    /// Keys in the whole range, known with the first piece.
    count: i64,
    /// The store's revision at the first piece: what the header says. 0 before.
    pinned: i64,
    ended: bool,
}

impl FramePoll for Rows {
    fn poll_frames(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Pieces, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.next_piece().map(Pieces::from)))
    }
}

impl Rows {
    fn next_piece(&mut self) -> Result<Bytes, Status> {
        let limit = self.rows_left().min(self.rows_next as i64);
        let first = self.pinned == 0;
        let mut rows = RangeReply::new();
        let mut last_key = Vec::new();
        let query = RangeQuery {
            limit,
            order: SortOrder::None,
            target: SortTarget::Key,
            ..ferrod_store::query(&self.request).map_err(status::of)?
        };
        let found = self.worker.read(|reader| {
            let view = reader.view();
            reader.range(&view, &query, &mut |row: RowRef<'_>| {
                rows.push(row.encoded);
                last_key.clear();
                last_key.extend_from_slice(row.key);
            })
        });
        let suspicion = &self.worker.engine.suspicion;
        let found = found.map_err(|error| suspicion.of_read(error))?;
        if first {
            self.pinned = found.revision;
            self.count = found.count;
            if self.request.revision <= 0 {
                self.request.revision = found.revision;
            }
        }
        self.sent += rows.rows() as i64;
        self.adapt(&rows);
        let is_last = !found.more || self.request.count_only || self.rows_left() == 0;
        if !is_last {
            self.continue_behind(last_key);
            return Ok(wrap(rows.finish(None, false, 0)));
        }
        self.ended = true;
        let header = self.worker.engine.header(self.pinned);
        Ok(wrap(rows.finish(Some(&header), found.more, self.count)))
    }

    fn rows_left(&self) -> i64 {
        if self.request.limit <= 0 {
            i64::MAX
        } else {
            self.request.limit - self.sent
        }
    }

    /// Doubles the next piece while pieces are small, and halves it when they are large.
    fn adapt(&mut self, rows: &RangeReply) {
        let target = self.worker.engine.limits.request_bytes_max;
        if rows.row_bytes() < target / 2 {
            self.rows_next = self.rows_next.saturating_mul(2);
        } else if rows.row_bytes() > target * 2 {
            self.rows_next = (self.rows_next / 2).max(1);
        }
    }

    fn continue_behind(&mut self, mut last_key: Vec<u8>) {
        last_key.push(0);
        self.request.key = last_key.into();
    }
}

/// A `RangeResponse` as field 1 of a `RangeStreamResponse`.
fn wrap(pieces: std::collections::VecDeque<Bytes>) -> Bytes {
    let inner: usize = pieces.iter().map(Bytes::len).sum::<usize>() - PREFIX_BYTES;
    let field = 1 + encoded_len_varint(inner as u64) + inner;
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + field);
    reply::put_prefix(&mut out, field);
    out.extend_from_slice(&[1 << 3 | 2]);
    encode_varint(inner as u64, &mut out);
    let mut skip = PREFIX_BYTES;
    for piece in pieces {
        let from = skip.min(piece.len());
        out.extend_from_slice(&piece[from..]);
        skip -= from;
    }
    out.freeze()
}
