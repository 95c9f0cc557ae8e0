//! Whatever a client sends as a request about keys, validation refuses it, or a store can carry it out: no panic, and no
//! refusal but for the state that it meets.
//!
//! The first byte chooses the request, the rest is its wire form. An accepted write passes through the log's encoding, as
//! it would on its way to the members.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use ferrod_mvcc::backend::Memory;
use ferrod_mvcc::{Flusher, Options};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{
    CompactionRequest, InternalRaftRequest, LeaseGrantRequest, PutRequest, RangeRequest, TxnRequest,
};
use ferrod_store::quota::{TxnKind, txn_kind};
use ferrod_store::{Error, Store, query, read_txn, validate};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// The limit of a server that nobody configured.
const OPS_MAX: usize = 128;

/// What depends on the state, which validation does not see.
const OF_THE_STATE: [ApiError; 4] = [
    ApiError::Compacted,
    ApiError::FutureRevision,
    ApiError::LeaseNotFound,
    ApiError::KeyNotFound,
];

fuzz_target!(|input: &[u8]| {
    let Some((&kind, wire)) = input.split_first() else {
        return;
    };
    let wire = Bytes::copy_from_slice(wire);
    match kind % 4 {
        0 => decoded(wire, |r| validate::range(r), |store, r| read(store, &r)),
        1 => decoded(
            wire,
            |r| validate::put(r),
            |store, r| write(store, Request::Put(r)),
        ),
        2 => decoded(
            wire,
            |r| validate::delete_range(r),
            |store, r| write(store, Request::DeleteRange(r)),
        ),
        _ => decoded(wire, |r| validate::txn(r, OPS_MAX), transaction),
    }
});

fn decoded<R: Message + Default>(
    wire: Bytes,
    validate: impl FnOnce(&R) -> Result<(), ApiError>,
    run: impl FnOnce(&mut Store, R),
) {
    let Ok(request) = R::decode(wire) else {
        return;
    };
    if validate(&request).is_err() {
        return;
    }
    let (mut store, mut flusher) = small_store();
    run(&mut store, request);
    store.publish(100, 1);
    flusher.flush().expect("memory does not fail");
}

/// Two keys of which one has a lease, two revisions each, and the oldest compacted away.
fn small_store() -> (Store, Flusher) {
    let backend = Arc::new(Memory::new());
    let (mut store, flusher) = Store::open(backend, Options::default()).expect("it is empty");
    let put = |key: &'static str, lease| {
        Request::Put(PutRequest {
            key: key.into(),
            value: "value".into(),
            lease,
            ..Default::default()
        })
    };
    let lease = LeaseGrantRequest { id: 1, ttl: 60 };
    let compaction = CompactionRequest {
        revision: 3,
        physical: false,
    };
    for request in [
        Request::LeaseGrant(lease),
        put("a", 0),
        put("b", 1),
        put("a", 0),
        put("b", 1),
        Request::Compaction(compaction),
    ] {
        let applied = store.apply(Some(request)).expect("memory does not fail");
        applied.answer.expect("nothing to refuse");
    }
    store.publish(1, 1);
    (store, flusher)
}

fn read(store: &mut Store, request: &RangeRequest) {
    let query = query(request).expect("validation knows the sort options");
    let mut reader = store.keyspace().views().reader();
    let view = reader.view();
    match reader.range(&view, &query, &mut |_| {}) {
        Ok(_) | Err(ferrod_mvcc::Error::Compacted | ferrod_mvcc::Error::Future) => {}
        Err(error) => panic!("{error}"),
    }
}

fn transaction(store: &mut Store, request: TxnRequest) {
    if txn_kind(&request) == TxnKind::Write {
        return write(store, Request::Txn(request));
    }
    let mut reader = store.keyspace().views().reader();
    match read_txn(&mut reader, &request) {
        Ok(_) => {}
        Err(Error::Refused(error)) => assert!(OF_THE_STATE.contains(&error), "{error}"),
        Err(error) => panic!("{error}"),
    }
}

fn write(store: &mut Store, request: Request) {
    let entry = InternalRaftRequest {
        request: Some(request),
        ..Default::default()
    };
    let payload = Bytes::from(entry.encode_to_vec());
    let (_, applied) = store.apply_payload(payload).expect("it was encoded here");
    if let Err(error) = applied.answer {
        assert!(OF_THE_STATE.contains(&error), "{error}");
    }
}
