//! Transactions: which branch is taken, and what is checked before the first write.
//!
//! All comparisons, nested ones included, see the state before the transaction. So the path through the tree is chosen
//! first, then every operation on it is checked against that same state, and only then something is written: a
//! transaction that fails has changed nothing, on any member.

mod compare;

use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{
    PutRequest, RangeRequest, RequestOp, TxnRequest, request_op::Request,
};

use crate::Error;
use crate::convert::query;
use crate::rows::Rows;

/// The way through a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Whether the comparisons held.
    pub(crate) succeeded: bool,
    /// The ways through the transactions nested in the chosen branch, in their order.
    pub(crate) nested: Vec<Path>,
}

impl Path {
    /// The operations of the chosen branch.
    pub(crate) fn ops<'r>(&self, txn: &'r TxnRequest) -> &'r [RequestOp] {
        if self.succeeded {
            &txn.success
        } else {
            &txn.failure
        }
    }
}

/// Evaluates the comparisons on the chosen path.
pub(crate) fn choose(rows: &mut dyn Rows, txn: &TxnRequest) -> Result<Path, Error> {
    let succeeded = compare::all_hold(rows, &txn.compare)?;
    let mut path = Path {
        succeeded,
        nested: Vec::new(),
    };
    for op in path.ops(txn) {
        if let Some(Request::RequestTxn(nested)) = &op.request {
            path.nested.push(choose(rows, nested)?);
        }
    }
    Ok(path)
}

/// Checks each operation on the path against the state before the transaction.
///
/// # Errors
/// The first operation that cannot be carried out; branches not taken do not matter.
pub(crate) fn check(rows: &mut dyn Rows, txn: &TxnRequest, path: &Path) -> Result<(), Error> {
    let mut nested_paths = path.nested.iter();
    for op in path.ops(txn) {
        match &op.request {
            Some(Request::RequestRange(range)) => check_range(rows, range)?,
            Some(Request::RequestPut(put)) => {
                // Unlike a put of its own, one in a transaction looks for the key before the lease.
                check_key(rows, put)?;
                check_lease(rows, put)?;
            }
            Some(Request::RequestDeleteRange(_)) => {}
            Some(Request::RequestTxn(nested)) => {
                let path = nested_paths
                    .next()
                    .expect("the path was chosen through this branch");
                check(rows, nested, path)?;
            }
            None => return Err(ApiError::KeyNotFound.into()),
        }
    }
    Ok(())
}

/// Also checks what validation has checked: an entry of the log may come from elsewhere, and a refusal after a write would
/// leave half of a transaction.
///
/// Inside a transaction a negative revision is not "latest": it is below every compacted revision but the first.
fn check_range(rows: &mut dyn Rows, range: &RangeRequest) -> Result<(), Error> {
    query(range)?;
    match range.revision {
        0 => Ok(()),
        r if r > rows.revision() => Err(ApiError::FutureRevision.into()),
        r if r < rows.compacted() => Err(ApiError::Compacted.into()),
        _ => Ok(()),
    }
}

/// Checks a put against the state that it would change.
pub(crate) fn check_put(rows: &mut dyn Rows, put: &PutRequest) -> Result<(), Error> {
    check_lease(rows, put)?;
    check_key(rows, put)
}

fn check_lease(rows: &mut dyn Rows, put: &PutRequest) -> Result<(), Error> {
    if put.lease != 0 && !rows.lease_exists(put.lease) {
        return Err(ApiError::LeaseNotFound.into());
    }
    Ok(())
}

fn check_key(rows: &mut dyn Rows, put: &PutRequest) -> Result<(), Error> {
    if (put.ignore_value || put.ignore_lease) && !rows.exists(&put.key)? {
        return Err(ApiError::KeyNotFound.into());
    }
    Ok(())
}
