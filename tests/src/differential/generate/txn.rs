//! Random transactions, nested up to two levels.

use ferrod_proto::etcdserverpb::{
    Compare, PutRequest, RequestOp, TxnRequest, compare::TargetUnion, request_op::Request,
};

use super::Generator;

/// Levels of transactions inside a transaction.
const DEPTH_MAX: u32 = 2;

impl Generator {
    pub(super) fn txn(&mut self) -> TxnRequest {
        if self.one_in(40) {
            return self.crowded();
        }
        let mut txn = self.txn_of_depth(0);
        if deletes(&txn) {
            // Upstream stops when a put takes the value or lease of a key that the same transaction has removed.
            forget_ignores(&mut txn);
        }
        txn
    }

    /// One without others inside: 3.5.1 does not count the puts of those when there is no space.
    pub(super) fn flat_txn(&mut self) -> TxnRequest {
        let mut txn = self.txn_of_depth(DEPTH_MAX);
        forget_ignores(&mut txn);
        txn
    }

    fn txn_of_depth(&mut self, depth: u32) -> TxnRequest {
        let compares = self.pick(&[0, 0, 1, 1, 2, 3]);
        TxnRequest {
            compare: (0..compares).map(|_| self.compare()).collect(),
            success: self.branch(depth),
            failure: self.branch(depth),
        }
    }

    fn branch(&mut self, depth: u32) -> Vec<RequestOp> {
        let count = self.pick(&[0, 1, 1, 2, 3, 4]);
        (0..count)
            .map(|_| {
                let request = match self.rng.u32(0..20) {
                    0..7 => Some(Request::RequestRange(self.range())),
                    7..14 => Some(Request::RequestPut(self.put())),
                    14..17 => Some(Request::RequestDeleteRange(self.delete())),
                    17..19 if depth < DEPTH_MAX => {
                        Some(Request::RequestTxn(self.txn_of_depth(depth + 1)))
                    }
                    _ if self.one_in(6) => None,
                    _ => Some(Request::RequestRange(self.range())),
                };
                RequestOp { request }
            })
            .collect()
    }

    fn compare(&mut self) -> Compare {
        let key = self.key();
        let range_end = if self.one_in(3) {
            self.range_end(&key)
        } else {
            "".into()
        };
        let number = self.pick(&[0, 1, 2, self.revision, self.revision - 1]);
        // Mostly the operand that belongs to the target, which is then worth comparing.
        let target = self.rng.i32(0..5);
        let operand = if self.one_in(8) {
            self.rng.i32(0..6)
        } else {
            target
        };
        let target_union = match operand {
            0 => Some(TargetUnion::Version(number)),
            1 => Some(TargetUnion::CreateRevision(number)),
            2 => Some(TargetUnion::ModRevision(number)),
            3 => Some(TargetUnion::Value(self.value())),
            4 => Some(TargetUnion::Lease(self.lease())),
            _ => None,
        };
        Compare {
            result: self.rng.i32(0..4),
            target,
            key,
            range_end,
            target_union,
        }
    }

    /// As many operations as a transaction may have, or one more.
    fn crowded(&mut self) -> TxnRequest {
        let width = self.pick(&[64, 65, 128, 129]);
        let puts = |count: usize, prefix: &str| -> Vec<RequestOp> {
            let put = |n| PutRequest {
                key: format!("{prefix}{n:03}").into(),
                ..Default::default()
            };
            (0..count)
                .map(|n| RequestOp {
                    request: Some(Request::RequestPut(put(n))),
                })
                .collect()
        };
        if self.rng.bool() {
            return TxnRequest {
                success: puts(width, "wide/"),
                ..Default::default()
            };
        }
        let inner = self.pick(&[0, 63, 64]);
        let nested = |n| TxnRequest {
            success: puts(inner, &format!("deep{n}/")),
            ..Default::default()
        };
        TxnRequest {
            success: (0..width)
                .map(|n| RequestOp {
                    request: Some(Request::RequestTxn(nested(n))),
                })
                .collect(),
            ..Default::default()
        }
    }
}

/// Whether a transaction may delete.
pub(super) fn deletes(txn: &TxnRequest) -> bool {
    txn.success
        .iter()
        .chain(&txn.failure)
        .any(|op| match &op.request {
            Some(Request::RequestDeleteRange(_)) => true,
            Some(Request::RequestTxn(txn)) => deletes(txn),
            _ => false,
        })
}

fn forget_ignores(txn: &mut TxnRequest) {
    for op in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut op.request {
            Some(Request::RequestPut(put)) => {
                put.ignore_value = false;
                put.ignore_lease = false;
            }
            Some(Request::RequestTxn(txn)) => forget_ignores(txn),
            _ => {}
        }
    }
}
