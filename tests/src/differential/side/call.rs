//! Operations that are one call, or a few in a row.

use bytes::{Buf, BufMut};
use ferrod_proto::etcdserverpb::{
    DefragmentRequest, HashKvRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseKeepAliveResponse, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    MemberListRequest, RangeRequest, RangeResponse, StatusRequest,
};
use ferrod_proto::health::HealthCheckRequest;
use http::uri::PathAndQuery;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use crate::differential::answer::Answer;
use crate::differential::op::Op;
use crate::wire::Wire;

/// Makes the call of `op`.
pub(super) async fn unary(wire: &Wire, op: &Op) -> Result<Answer, Status> {
    let (mut kv, mut lease, mut maintenance) = (wire.kv(), wire.lease(), wire.maintenance());
    Ok(match op.clone() {
        Op::Range(r) => Answer::Range(kv.range(r).await?.into_inner()),
        Op::RangeStream(r) => Answer::Range(range_stream(wire, r).await?),
        Op::Put(r) => Answer::Put(kv.put(r).await?.into_inner()),
        Op::Delete(r) => Answer::Delete(kv.delete_range(r).await?.into_inner()),
        Op::Txn(r) => Answer::Txn(kv.txn(r).await?.into_inner()),
        Op::Compact(r) => Answer::Compact(kv.compact(r).await?.into_inner()),
        Op::Grant(r) => Answer::Grant(lease.lease_grant(r).await?.into_inner()),
        Op::GrantAny(ttl) => grant_any(wire, ttl).await?,
        Op::Revoke(id) => {
            let request = LeaseRevokeRequest { id };
            Answer::Revoke(lease.lease_revoke(request).await?.into_inner())
        }
        Op::KeepAlive(id) => Answer::KeepAlive(keep_alive(wire, id).await?),
        Op::TimeToLive { lease: id, keys } => {
            let request = LeaseTimeToLiveRequest { id, keys };
            Answer::TimeToLive(lease.lease_time_to_live(request).await?.into_inner())
        }
        Op::Leases => Answer::Leases(
            lease
                .lease_leases(LeaseLeasesRequest {})
                .await?
                .into_inner(),
        ),
        Op::HashKv(revision) => Answer::HashKv(
            maintenance
                .hash_kv(HashKvRequest { revision })
                .await?
                .into_inner(),
        ),
        Op::Status => Answer::Status(maintenance.status(StatusRequest {}).await?.into_inner()),
        Op::Members { linearizable } => {
            let request = MemberListRequest { linearizable };
            Answer::Members(wire.cluster().member_list(request).await?.into_inner())
        }
        Op::Alarm(r) => Answer::Alarm(maintenance.alarm(r).await?.into_inner()),
        Op::Defragment => Answer::Defragment(
            maintenance
                .defragment(DefragmentRequest {})
                .await?
                .into_inner(),
        ),
        Op::Health(service) => {
            let request = HealthCheckRequest { service };
            Answer::Health(wire.health().check(request).await?.into_inner().status)
        }
        Op::Raw { path, body } => raw(wire, path, body).await?,
        Op::Watch { .. }
        | Op::Unwatch { .. }
        | Op::Progress { .. }
        | Op::Expire(_)
        | Op::Restart { .. } => Answer::Nothing,
    })
}

/// Puts the pieces together, after checking that only the last one has a header.
async fn range_stream(wire: &Wire, request: RangeRequest) -> Result<RangeResponse, Status> {
    let mut stream = wire.kv().range_stream(request).await?.into_inner();
    let (mut kvs, mut last) = (Vec::new(), None);
    while let Some(piece) = stream.message().await? {
        let piece = piece.range_response.unwrap_or_default();
        if last
            .replace(piece.clone())
            .is_some_and(|p: RangeResponse| p.header.is_some())
        {
            return Err(Status::unknown("a message after the one with the header"));
        }
        kvs.extend(piece.kvs);
    }
    let mut whole = last.unwrap_or_default();
    whole.kvs = kvs;
    Ok(whole)
}

async fn keep_alive(wire: &Wire, id: i64) -> Result<LeaseKeepAliveResponse, Status> {
    let once = tokio_stream::once(LeaseKeepAliveRequest { id });
    let mut stream = wire.lease().lease_keep_alive(once).await?.into_inner();
    let answer = stream
        .message()
        .await?
        .ok_or_else(|| Status::unknown("no answer"))?;
    match stream.message().await? {
        None => Ok(answer),
        Some(_) => Err(Status::unknown("two answers to one request")),
    }
}

/// The life of a lease whose ID the server chose; the ID itself is left out of the answers.
async fn grant_any(wire: &Wire, ttl: i64) -> Result<Answer, Status> {
    let mut lease = wire.lease();
    let mut grant = lease
        .lease_grant(LeaseGrantRequest { ttl, id: 0 })
        .await?
        .into_inner();
    let id = grant.id;
    grant.id = i64::from(id > 0);
    let mut renewed = keep_alive(wire, id).await?;
    renewed.id = i64::from(renewed.id == id);
    let look = LeaseTimeToLiveRequest { id, keys: true };
    let mut seen = lease.lease_time_to_live(look).await?.into_inner();
    seen.id = i64::from(seen.id == id);
    let revoked = lease
        .lease_revoke(LeaseRevokeRequest { id })
        .await?
        .into_inner();
    Ok(Answer::Many(vec![
        Answer::Grant(grant).normal(),
        Answer::KeepAlive(renewed).normal(),
        Answer::TimeToLive(seen).normal(),
        Answer::Revoke(revoked).normal(),
    ]))
}

async fn raw(wire: &Wire, path: &'static str, body: Vec<u8>) -> Result<Answer, Status> {
    let mut grpc = tonic::client::Grpc::new(wire.channel());
    grpc.ready()
        .await
        .map_err(|e| Status::unknown(e.to_string()))?;
    let path = PathAndQuery::from_static(path);
    grpc.unary(Request::new(body), path, RawCodec).await?;
    Ok(Answer::Nothing)
}

/// Messages as the bytes they are.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}
