//! What a request costs in storage, and which requests only read.
//!
//! Source: etcd's quota rules: a put costs 256 bytes, its key and its value; a lease 64 bytes; a transaction its dearer branch.

use ferrod_proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest, request_op::Request};

const PUT_OVERHEAD_BYTES: u64 = 256;

/// Bytes that a lease counts for.
pub const LEASE_COST_BYTES: u64 = 64;

/// Bytes that a put counts for.
pub fn put_cost(request: &PutRequest) -> u64 {
    PUT_OVERHEAD_BYTES + request.key.len() as u64 + request.value.len() as u64
}

/// Bytes that a transaction counts for: the dearer of its branches, nested ones included. Zero if it puts nothing.
pub fn txn_cost(request: &TxnRequest) -> u64 {
    branch_cost(&request.success).max(branch_cost(&request.failure))
}

fn branch_cost(ops: &[RequestOp]) -> u64 {
    ops.iter()
        .map(|op| match &op.request {
            Some(Request::RequestPut(put)) => put_cost(put),
            Some(Request::RequestTxn(nested)) => txn_cost(nested),
            _ => 0,
        })
        .sum()
}

/// How a transaction is carried out. Only the top level counts: a nested transaction makes it a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnKind {
    /// Through the log.
    Write,
    /// From local state, after a linearizable barrier.
    LinearizableRead,
    /// From local state at once. A transaction without any operation is one of these.
    SerializableRead,
}

/// Tells how a transaction is carried out.
pub fn txn_kind(request: &TxnRequest) -> TxnKind {
    let mut kind = TxnKind::SerializableRead;
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(range)) if range.serializable => {}
            Some(Request::RequestRange(_)) => kind = TxnKind::LinearizableRead,
            _ => return TxnKind::Write,
        }
    }
    kind
}
