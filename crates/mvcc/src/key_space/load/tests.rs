//! Starts with many rows: read by several threads, and one of them bad.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::backend::{Backend as _, Batch, Memory, Op};
use crate::row::KeyValue;
use crate::{KeyRange, KeySpace, Options, RangeQuery};

/// More than one thread reads alone, more than one span.
const CHANGES: i64 = 50_000;

fn key(n: i64) -> Vec<u8> {
    format!("/registry/{}/{}", n % 7, n * 7919 % 20_011).into_bytes()
}

fn filled() -> Arc<Memory> {
    let backend = Arc::new(Memory::new());
    let (mut space, mut flusher) =
        KeySpace::open(backend.clone(), Options::default(), &mut |_| {}).unwrap();
    for n in 0..CHANGES {
        let mut txn = space.write();
        if n % 11 == 10 {
            txn.delete_range(KeyRange::Single(&key(n)), false).unwrap();
        } else {
            txn.put(&key(n), b"value", if n % 13 == 0 { n } else { 0 });
        }
        txn.commit();
        if n % 10_000 == 0 {
            space.publish(n as u64, 1);
            flusher.flush().unwrap();
        }
    }
    space.publish(CHANGES as u64, 1);
    flusher.flush().unwrap();
    backend
}

type Leases = Vec<(Vec<u8>, i64)>;
type Found = Vec<(Vec<u8>, i64, i64, i64, i64)>;

/// The keys and their leases by the index, and those that the start told of.
fn open(backend: Arc<Memory>) -> Result<(Found, Leases), Error> {
    let mut attached = Vec::new();
    let mut visit = |found: Attachment<'_>| attached.push((found.key.to_vec(), found.lease));
    let (space, _flusher) = KeySpace::open(backend, Options::default(), &mut visit)?;
    let view = space.views().load();
    let mut rows = Vec::new();
    let query = RangeQuery::new(KeyRange::ALL);
    let result = space.views().reader().range(&view, &query, &mut |row| {
        let kv = KeyValue::decode(row.encoded).unwrap();
        rows.push((
            kv.key.to_vec(),
            kv.create_revision,
            kv.mod_revision,
            kv.version,
            kv.lease,
        ));
    });
    result?;
    Ok((rows, attached))
}

/// covers: P-KV-09, P-L-06
#[test]
fn many_threads_find_what_was_written() {
    let (rows, mut attached) = open(filled()).unwrap();
    let mut model = std::collections::BTreeMap::new();
    for n in 0..CHANGES {
        if n % 11 == 10 {
            model.remove(&key(n));
        } else {
            let lease = if n % 13 == 0 { n } else { 0 };
            model.insert(key(n), lease);
        }
    }
    let found: Vec<_> = rows
        .iter()
        .map(|(key, .., lease)| (key.clone(), *lease))
        .collect();
    assert!(found.iter().cloned().eq(model.clone()));
    attached.sort();
    model.retain(|_, lease| *lease != 0);
    assert!(attached.into_iter().eq(model));
    assert!(rows.iter().all(|(_, create, modified, version, _)| {
        (2..=*modified).contains(create) && (1..=CHANGES).contains(version)
    }));
}

/// covers: D-06, D-16
#[test]
fn the_first_bad_row_is_named() {
    let backend = filled();
    let mut rows = Vec::new();
    let snapshot = backend.snapshot().unwrap();
    let mut visit = |key: &[u8], _: &[u8]| {
        rows.push(key.to_vec());
        ControlFlow::Continue(())
    };
    snapshot.scan(Bucket::Key, &[], None, &mut visit).unwrap();
    drop(snapshot);
    for bad in [rows.len() - 1, rows.len() / 2, 20_000, 0] {
        let value = Bytes::from_static(b"\x0a\x01k");
        // A tombstone may look like that.
        let mut later = rows[bad..].iter().chain(rows[..bad].iter().rev());
        let key = later.find(|key| key.len() == 17).unwrap().clone();
        let bucket = Bucket::Key;
        let put = Op::Put {
            bucket,
            key: key.clone(),
            value,
        };
        backend.commit(&Batch { ops: vec![put] }).unwrap();
        match open(backend.clone()) {
            Err(Error::Corrupt { key: named, .. }) => assert_eq!(named, key),
            other => panic!("{other:?}"),
        }
    }
}
