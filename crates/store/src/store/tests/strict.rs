//! Rows of the small buckets that this version never writes: a start names bucket and key, and goes no further.

use std::sync::Arc;

use bytes::Bytes;
use ferrod_mvcc::Options;
use ferrod_mvcc::backend::{Backend, Batch, Bucket, Memory, Op};

use crate::{Error, Store};

type Row<'a> = (Bucket, &'a [u8], &'a [u8]);

fn open(rows: &[Row<'_>]) -> Result<(), Error> {
    let backend = Memory::new();
    let row = |(bucket, key, value): &Row<'_>| Op::Put {
        bucket: *bucket,
        key: key.to_vec(),
        value: Bytes::copy_from_slice(value),
    };
    let ops = rows.iter().map(row).collect();
    backend.commit(&Batch { ops }).unwrap();
    Store::open(Arc::new(backend), Options::default()).map(drop)
}

/// covers: D-06, D-16
#[test]
fn rows_that_this_version_never_writes_are_refused() {
    let bad: [Row<'_>; 9] = [
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
        let text = open(&[(bucket, key, value)]).unwrap_err().to_string();
        let place = format!("row {} of bucket {}", key.escape_ascii(), bucket.name());
        assert!(text.contains(&place), "{text}");
    }
    let good: [Row<'_>; 4] = [
        (Bucket::Cluster, b"clusterVersion", b"3.7.0"),
        (Bucket::MembersRemoved, b"ab", b"removed"),
        (Bucket::Alarm, b"\x08\x01\x10\x01", b""),
        (
            Bucket::Lease,
            &[0, 0, 0, 0, 0, 0, 0, 7],
            b"\x08\x07\x10\x3c",
        ),
    ];
    for row in good {
        open(&[row]).unwrap();
    }
}

/// covers: M-06
#[test]
fn the_members_are_those_that_raft_counts() {
    let conf = |value| (Bucket::Meta, &b"confState"[..], value);
    let voter: Row<'_> = (Bucket::Members, b"7", br#"{"id":7,"peerURLs":[]}"#);
    let learner: Row<'_> = (
        Bucket::Members,
        b"9",
        br#"{"id":9,"peerURLs":[],"isLearner":true}"#,
    );
    let both: &[u8] = br#"{"voters":[7],"learners":[9]}"#;
    open(&[voter, learner, conf(both)]).unwrap();
    open(&[voter, conf(br#"{"voters":[7]}"#)]).unwrap();
    open(&[conf(br#"{"voters":[]}"#)]).unwrap();
    let differing: [&[Row<'_>]; 6] = [
        &[voter],
        &[conf(both)],
        &[voter, conf(both)],
        &[learner, conf(both)],
        &[voter, learner, conf(br#"{"voters":[7,9]}"#)],
        &[voter, learner, conf(br#"{"voters":[7]}"#)],
    ];
    for rows in differing {
        let error = open(rows).unwrap_err().to_string();
        assert!(error.starts_with("configuration row"), "{error}");
    }
}
