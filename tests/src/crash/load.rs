//! Callers that write until the connection breaks, and remember what they asked and what they were told.

use anyhow::Result;
use bytes::Bytes;
use ferrod_proto::etcdserverpb::{
    DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RequestOp, TxnRequest,
    request_op::Request,
};
use tokio::task::JoinSet;
use tonic::Status;

use super::ledger::{Attempt, Deeds, Effects, LeaseFate};
use crate::wire::Wire;

/// Keys of each caller.
const KEYS: u32 = 40;

/// Callers at work.
#[derive(Debug)]
pub(super) struct Load {
    callers: JoinSet<Deeds>,
}

impl Load {
    pub(super) async fn start(
        endpoint: &str,
        callers: u32,
        round: u32,
        mut rng: fastrand::Rng,
    ) -> Result<Self> {
        let mut set = JoinSet::new();
        let wires = [
            Wire::connect(endpoint).await?,
            Wire::connect(endpoint).await?,
        ];
        for caller in 0..callers {
            let wire = wires[caller as usize % wires.len()].clone();
            set.spawn(
                Caller {
                    wire,
                    caller,
                    round,
                    number: 0,
                    rng: rng.fork(),
                }
                .work(),
            );
        }
        Ok(Self { callers: set })
    }

    /// Waits until every caller has noticed that the server is gone.
    pub(super) async fn finish(mut self) -> Result<Deeds> {
        let mut all = Deeds::default();
        while let Some(deeds) = self.callers.join_next().await {
            let deeds = deeds?;
            all.attempts.extend(deeds.attempts);
            all.leases.extend(deeds.leases);
        }
        Ok(all)
    }
}

/// One caller; no other touches its keys.
struct Caller {
    wire: Wire,
    caller: u32,
    round: u32,
    number: u32,
    rng: fastrand::Rng,
}

impl Caller {
    async fn work(mut self) -> Deeds {
        let mut deeds = Deeds::default();
        let lease = i64::from(self.round * 100 + self.caller + 1);
        loop {
            self.number += 1;
            let done = match self.rng.u32(0..50) {
                0 => self.lease(lease, &mut deeds).await,
                1..6 => self.delete(&mut deeds).await,
                6..12 => self.txn(&mut deeds).await,
                _ => self.put(&mut deeds).await,
            };
            if done.is_err() {
                return deeds;
            }
        }
    }

    fn key(&mut self) -> Bytes {
        format!("c{}/{:03}", self.caller, self.rng.u32(0..KEYS)).into()
    }

    /// A value that no other write has, sometimes a long one.
    fn value(&mut self) -> Bytes {
        let mut value = format!("{}.{}.{}", self.round, self.caller, self.number);
        if self.rng.u32(0..20) == 0 {
            value.push_str(&"x".repeat(self.rng.usize(100..20_000)));
        }
        value.into()
    }

    async fn put(&mut self, deeds: &mut Deeds) -> Result<(), Status> {
        let (key, value) = (self.key(), self.value());
        let open = remember(deeds, [(key.clone(), Some(value.clone()))].into());
        let request = PutRequest {
            key,
            value,
            ..Default::default()
        };
        let answer = self.wire.kv().put(request).await?.into_inner();
        deeds.attempts[open].revision = answer.header.map(|h| h.revision);
        Ok(())
    }

    async fn delete(&mut self, deeds: &mut Deeds) -> Result<(), Status> {
        let key = self.key();
        let open = remember(deeds, [(key.clone(), None)].into());
        let request = DeleteRangeRequest {
            key,
            ..Default::default()
        };
        let answer = self.wire.kv().delete_range(request).await?.into_inner();
        if answer.deleted == 0 {
            // Nothing was there, so nothing has happened and no revision was taken.
            deeds.attempts.pop();
        } else {
            deeds.attempts[open].revision = answer.header.map(|h| h.revision);
        }
        Ok(())
    }

    async fn txn(&mut self, deeds: &mut Deeds) -> Result<(), Status> {
        let mut effects = Effects::new();
        for _ in 0..3 {
            let (key, value) = (self.key(), self.value());
            effects.insert(key, Some(value));
        }
        let open = remember(deeds, effects.clone());
        let success = effects
            .into_iter()
            .map(|(key, value)| {
                let value = value.unwrap_or_default();
                let put = PutRequest {
                    key,
                    value,
                    ..Default::default()
                };
                RequestOp {
                    request: Some(Request::RequestPut(put)),
                }
            })
            .collect();
        let request = TxnRequest {
            success,
            ..Default::default()
        };
        let answer = self.wire.kv().txn(request).await?.into_inner();
        deeds.attempts[open].revision = answer.header.map(|h| h.revision);
        Ok(())
    }

    /// Grants the caller's lease of this life, or revokes it.
    async fn lease(&mut self, id: i64, deeds: &mut Deeds) -> Result<(), Status> {
        let mut stub = self.wire.lease();
        match deeds.leases.insert(id, LeaseFate::Unknown) {
            None => {
                stub.lease_grant(LeaseGrantRequest { ttl: 100_000, id })
                    .await?;
                deeds.leases.insert(id, LeaseFate::Granted);
            }
            Some(LeaseFate::Granted) if self.rng.u32(0..4) == 0 => {
                stub.lease_revoke(LeaseRevokeRequest { id }).await?;
                deeds.leases.insert(id, LeaseFate::Revoked);
            }
            Some(fate) => {
                deeds.leases.insert(id, fate);
            }
        }
        Ok(())
    }
}

/// Notes a write before it is sent and returns its place.
fn remember(deeds: &mut Deeds, effects: Effects) -> usize {
    deeds.attempts.push(Attempt {
        effects,
        revision: None,
    });
    deeds.attempts.len() - 1
}
