//! Rows of the small buckets that this version never writes: a start names bucket and key, and goes no further.

use std::sync::Arc;

use bytes::Bytes;
use ferrod_mvcc::Options;
use ferrod_mvcc::backend::{Backend, Batch, Bucket, Memory, Op};

use crate::{Error, Store};

fn open(bucket: Bucket, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let backend = Memory::new();
    let row = Op::Put {
        bucket,
        key: key.to_vec(),
        value: Bytes::copy_from_slice(value),
    };
    backend.commit(&Batch { ops: vec![row] }).unwrap();
    Store::open(Arc::new(backend), Options::default()).map(drop)
}

/// covers: D-06, D-16
#[test]
fn rows_that_this_version_never_writes_are_refused() {
    let bad: [(Bucket, &[u8], &[u8]); 9] = [
        (Bucket::Cluster, b"clusterVersion", b"3.7.\xff"),
        (Bucket::Cluster, b"clusterVersion", b"newest"),
        (Bucket::Members, b"7", br#"{"id":8,"peerURLs":[]}"#),
        (Bucket::Members, b"07", br#"{"id":7,"peerURLs":[]}"#),
        (Bucket::MembersRemoved, b"00ab", b"removed"),
        (Bucket::MembersRemoved, b"AB", b"removed"),
        (Bucket::Alarm, b"\x08\x01", b""),
        (Bucket::Alarm, b"\x08\x01\x10\x4d", b""),
        (
            Bucket::Lease,
            &[0, 0, 0, 0, 0, 0, 0, 9],
            b"\x08\x07\x10\x3c",
        ),
    ];
    for (bucket, key, value) in bad {
        let text = open(bucket, key, value).unwrap_err().to_string();
        let place = format!("row {} of bucket {}", key.escape_ascii(), bucket.name());
        assert!(text.contains(&place), "{text}");
    }
    let good: [(Bucket, &[u8], &[u8]); 5] = [
        (Bucket::Cluster, b"clusterVersion", b"3.7.0"),
        (Bucket::Members, b"7", br#"{"id":7,"peerURLs":[]}"#),
        (Bucket::MembersRemoved, b"ab", b"removed"),
        (Bucket::Alarm, b"\x08\x01\x10\x01", b""),
        (
            Bucket::Lease,
            &[0, 0, 0, 0, 0, 0, 0, 7],
            b"\x08\x07\x10\x3c",
        ),
    ];
    for (bucket, key, value) in good {
        open(bucket, key, value).unwrap();
    }
}
