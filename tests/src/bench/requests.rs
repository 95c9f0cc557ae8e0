//! The requests of the scenarios.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use ferrod_proto::etcdserverpb::{
    PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, TxnRequest, TxnResponse,
    request_op::Request,
};
use prost::Message;

use super::load::Requests;

/// All keys of the benchmark lie under this prefix.
pub(crate) const PREFIX: &str = "/bench/";
/// The end of the range of that prefix.
pub(crate) const PREFIX_END: &str = "/bench0";

/// Key number `number`: 16 bytes, in numerical order.
pub(crate) fn key(number: u64) -> Bytes {
    format!("{PREFIX}{number:09}").into()
}

/// A value of `len` bytes that does not compress.
pub(crate) fn value(rng: &mut fastrand::Rng, len: usize) -> Bytes {
    let mut value = vec![0; len];
    rng.fill(&mut value);
    value.into()
}

/// Puts of random keys out of `keys`.
#[derive(Debug)]
pub(crate) struct Puts {
    rng: fastrand::Rng,
    keys: u64,
    value: Bytes,
}

impl Puts {
    pub(crate) fn new(seed: u64, keys: u64, value_len: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let value = value(&mut rng, value_len);
        Self { rng, keys, value }
    }
}

impl Requests for Puts {
    type Message = PutRequest;
    const PATH: &'static str = "/etcdserverpb.KV/Put";

    fn next(&mut self) -> PutRequest {
        PutRequest {
            key: key(self.rng.u64(0..self.keys)),
            value: self.value.clone(),
            ..Default::default()
        }
    }

    fn check(&self, _: &PutRequest, answer: &[u8]) -> Result<()> {
        let header = PutResponse::decode(answer)?.header.context("no header")?;
        ensure!(
            header.revision > 1,
            "a put ended at revision {}",
            header.revision
        );
        Ok(())
    }

    fn payload(&self) -> u64 {
        self.value.len() as u64
    }
}

/// Gets of random keys out of `keys`.
#[derive(Debug)]
pub(crate) struct Gets {
    pub(crate) rng: fastrand::Rng,
    pub(crate) keys: u64,
    pub(crate) serializable: bool,
}

impl Requests for Gets {
    type Message = RangeRequest;
    const PATH: &'static str = "/etcdserverpb.KV/Range";

    fn next(&mut self) -> RangeRequest {
        RangeRequest {
            key: key(self.rng.u64(0..self.keys)),
            serializable: self.serializable,
            ..Default::default()
        }
    }

    fn check(&self, request: &RangeRequest, answer: &[u8]) -> Result<()> {
        let answer = RangeResponse::decode(answer)?;
        let right =
            matches!(&answer.kvs[..], [kv] if kv.key == request.key && !kv.value.is_empty());
        ensure!(
            right && answer.count == 1,
            "a get of one key found {answer:?}"
        );
        Ok(())
    }
}

/// Ranges over `keys` keys from the first one on.
#[derive(Debug)]
pub(crate) struct Lists {
    pub(crate) keys: u64,
}

impl Requests for Lists {
    type Message = RangeRequest;
    const PATH: &'static str = "/etcdserverpb.KV/Range";
    const COUNTS_ANSWERS: bool = true;

    fn next(&mut self) -> RangeRequest {
        RangeRequest {
            key: key(0),
            range_end: key(self.keys),
            ..Default::default()
        }
    }

    fn check(&self, _: &RangeRequest, answer: &[u8]) -> Result<()> {
        let answer = RangeResponse::decode(answer)?;
        let right = (0..self.keys)
            .map(key)
            .eq(answer.kvs.iter().map(|kv| kv.key.clone()));
        ensure!(
            right && !answer.more,
            "a range does not have all keys in order"
        );
        Ok(())
    }
}

/// Puts of every key once, several in a transaction.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(crate) next: u64,
    pub(crate) end: u64,
    pub(crate) rng: fastrand::Rng,
    pub(crate) value_len: usize,
    /// Puts in a transaction.
    pub(crate) batch_max: u64,
}

impl Fill {
    fn batch(&self) -> u64 {
        // Stays under the default limits of 128 operations and 1.5 MiB.
        (1_000_000 / self.value_len.max(1) as u64)
            .clamp(1, self.batch_max)
            .min(self.end - self.next)
    }
}

impl Requests for Fill {
    type Message = TxnRequest;
    const PATH: &'static str = "/etcdserverpb.KV/Txn";

    fn next(&mut self) -> TxnRequest {
        let end = self.next + self.batch();
        let success = (self.next..end)
            .map(|number| {
                let value = value(&mut self.rng, self.value_len);
                let put = PutRequest {
                    key: key(number),
                    value,
                    ..Default::default()
                };
                RequestOp {
                    request: Some(Request::RequestPut(put)),
                }
            })
            .collect();
        self.next = end;
        TxnRequest {
            success,
            ..Default::default()
        }
    }

    fn check(&self, request: &TxnRequest, answer: &[u8]) -> Result<()> {
        let answer = TxnResponse::decode(answer)?;
        let right = answer.succeeded && answer.responses.len() == request.success.len();
        ensure!(right, "a transaction of puts was not executed");
        Ok(())
    }

    fn left(&self) -> u64 {
        self.end - self.next
    }
}
