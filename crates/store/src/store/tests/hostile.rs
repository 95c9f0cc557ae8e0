//! Entries and requests that nobody in their right mind sends. covers: P-12

use bytes::Bytes;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::request_op::Request as Op;
use ferrod_proto::etcdserverpb::{
    Compare, InternalRaftRequest, PutRequest, RequestHeader, RequestOp, TxnRequest, TxnResponse,
};
use prost::Message;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::generate;
use super::session::{Entry, Session};
use crate::validate::{self, TXN_DEPTH_MAX};
use crate::{Answer, Error};

/// Whatever is in the log: it is applied, refused, or does not decode. covers: P-12
#[test]
fn no_entry_panics() {
    let mut rng = SmallRng::seed_from_u64(12);
    let mut session = Session::new();
    for round in 0..20_000 {
        let request = generate::request(&mut rng, session.store.revision());
        let Entry::Request(payload) = Entry::request(request) else {
            unreachable!()
        };
        let payload = damaged(&mut rng, payload.to_vec());
        let payload = Bytes::from(payload);
        match session.store.apply_payload(payload.clone()) {
            Ok(_) | Err(Error::Malformed { .. }) => {}
            Err(error) => panic!("round {round}: {payload:?}: {error:?}"),
        }
        session.store.publish(round, 1);
        if round % 500 == 0 {
            session.settle();
            session.reopen();
        }
    }
}

/// Changes some bytes, or drops or repeats a piece.
fn damaged(rng: &mut SmallRng, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.random_range(0..4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..4) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => drop(bytes.drain(at..bytes.len().min(at + 3))),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

/// What passes validation is at most refused for the state it meets: for a revision, a lease, or a key that is not there.
///
/// The same as the fuzz target `request_validation`, for a bounded time. covers: P-12, R-012
#[test]
fn no_validated_request_panics() {
    let mut rng = SmallRng::seed_from_u64(13);
    let mut session = Session::new();
    let mut accepted = 0;
    for round in 0..20_000 {
        let revision = session.store.revision();
        let request = match rng.random_range(0..3) {
            0 => {
                let put = generate::put(&mut rng);
                mutated(&mut rng, &put).map(Request::Put)
            }
            1 => {
                let delete = generate::delete_range(&mut rng);
                mutated(&mut rng, &delete).map(Request::DeleteRange)
            }
            _ => {
                let txn = generate::txn(&mut rng, revision, 3);
                mutated(&mut rng, &txn).map(Request::Txn)
            }
        };
        let Some(request) = request.filter(is_valid) else {
            continue;
        };
        accepted += 1;
        session.apply(Entry::request(request.clone()));
        let applied = session.last.as_ref().expect("it decodes as an entry");
        let Err(error) = &applied.answer else {
            continue;
        };
        let of_the_state = [
            ApiError::Compacted,
            ApiError::FutureRevision,
            ApiError::LeaseNotFound,
            ApiError::KeyNotFound,
        ];
        assert!(of_the_state.contains(error), "round {round}: {request:?}");
    }
    assert!(accepted > 2_000, "{accepted} requests are too few to tell");
}

fn mutated<M: Message + Default>(rng: &mut SmallRng, message: &M) -> Option<M> {
    let bytes = damaged(rng, message.encode_to_vec());
    M::decode(Bytes::from(bytes)).ok()
}

fn is_valid(request: &Request) -> bool {
    match request {
        Request::Put(put) => validate::put(put).is_ok(),
        Request::DeleteRange(delete) => validate::delete_range(delete).is_ok(),
        Request::Txn(txn) => validate::txn(txn, 128).is_ok(),
        _ => false,
    }
}

fn nested(depth: usize) -> TxnRequest {
    let put = Op::RequestPut(PutRequest {
        key: "k".into(),
        prev_kv: true,
        ..Default::default()
    });
    let mut txn = TxnRequest {
        compare: vec![Compare {
            key: "k".into(),
            ..Default::default()
        }],
        success: vec![RequestOp { request: Some(put) }],
        failure: vec![],
    };
    for _ in 1..depth {
        let nested = Some(Op::RequestTxn(txn));
        txn = TxnRequest {
            success: vec![RequestOp { request: nested }],
            ..Default::default()
        };
    }
    txn
}

/// The decoder of the log, and that of a client, stop at a fixed depth: what validation accepts lies above it.
///
/// covers: U-02, P-12
#[test]
fn the_deepest_transaction_passes_through_the_log() {
    let txn = nested(TXN_DEPTH_MAX);
    assert_eq!(validate::txn(&txn, 128), Ok(()));
    assert_eq!(
        validate::txn(&nested(TXN_DEPTH_MAX + 1), 128),
        Err(ApiError::TooManyOps)
    );
    let entry = InternalRaftRequest {
        header: Some(RequestHeader {
            id: 7,
            username: "root".into(),
            auth_revision: 1,
        }),
        id: 0,
        request: Some(Request::Txn(txn)),
    };
    let mut session = Session::new();
    for _ in 0..2 {
        let payload = Bytes::from(entry.encode_to_vec());
        let (id, applied) = session.store.apply_payload(payload).unwrap();
        assert_eq!(id, 7);
        let Ok(Answer::Txn(answer)) = applied.answer else {
            panic!("{applied:?}")
        };
        let wire = Bytes::from(answer.encode_to_vec());
        assert_eq!(TxnResponse::decode(wire).unwrap(), answer);
    }
    assert_eq!(
        session.store.revision(),
        2,
        "the second time the comparison fails"
    );
}

/// An entry that no version wrote stops the member; it says what it cannot read.
#[test]
fn an_entry_that_does_not_decode_is_named() {
    let mut session = Session::new();
    let error = session
        .store
        .apply_payload(Bytes::from_static(b"\xff"))
        .unwrap_err();
    assert!(
        error.to_string().starts_with("log entry cannot be read: "),
        "{error}"
    );
    let (id, applied) = session.store.apply_payload(Bytes::new()).unwrap();
    assert_eq!((id, applied.answer), (0, Ok(Answer::Stored)));
}
