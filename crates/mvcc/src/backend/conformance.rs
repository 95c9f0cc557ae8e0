//! What every backend must do, as tests that know only the trait and how to restart.
//!
//! `conformance!(Subject)` in a backend's tests makes one test of each check.

mod model;
mod receive;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;

pub(super) use self::model::{Model, random_batches_agree_with_the_model};
pub(super) use self::receive::*;
use super::{Backend, Batch, Bucket, KEY_BYTES_MAX, Op, Snapshot};
use crate::Error;

/// A backend under test.
pub(super) trait Subject: Sized {
    /// An empty store.
    fn create() -> Self;
    /// The same store after its process has ended and begun again.
    fn restart(self) -> Self;
    fn backend(&self) -> &dyn Backend;
}

macro_rules! conformance {
    ($subject:ty) => {
        $crate::backend::conformance::conformance! { $subject:
            an_empty_store_has_no_rows
            rows_are_put_replaced_and_deleted
            the_last_change_of_a_batch_wins
            buckets_are_apart
            scans_are_half_open_and_ordered
            rows_of_any_size_come_back
            appends_go_to_the_end
            an_append_elsewhere_fails_and_poisons
            impossible_keys_are_refused
            impossible_keys_are_never_found
            a_failed_batch_leaves_nothing
            committed_rows_survive_a_restart
            snapshots_never_change
            snapshots_move_between_threads
            sizes_follow_the_rows
            defragmentation_keeps_every_row
            a_received_state_takes_the_place_of_the_old_one
            a_received_state_survives_a_restart
            an_unfinished_state_leaves_nothing
            one_state_is_received_at_a_time
            a_failed_preparation_poisons
            installs_and_rewrites_take_turns
            every_snapshot_is_a_prefix_of_the_commits
            random_batches_agree_with_the_model
        }
    };
    ($subject:ty: $($check:ident)+) => {
        $(#[test]
        fn $check() {
            $crate::backend::conformance::$check::<$subject>();
        })+
    };
}
pub(super) use conformance;

pub(super) fn put(bucket: Bucket, key: &[u8], value: &[u8]) -> Op {
    Op::Put {
        bucket,
        key: key.to_vec(),
        value: Bytes::copy_from_slice(value),
    }
}

pub(super) fn append(bucket: Bucket, key: &[u8], value: &[u8]) -> Op {
    Op::Append {
        bucket,
        key: key.to_vec(),
        value: Bytes::copy_from_slice(value),
    }
}

pub(super) fn delete(bucket: Bucket, key: &[u8]) -> Op {
    Op::Delete {
        bucket,
        key: key.to_vec(),
    }
}

pub(super) fn commit(backend: &dyn Backend, ops: impl IntoIterator<Item = Op>) {
    backend
        .commit(&Batch {
            ops: ops.into_iter().collect(),
        })
        .unwrap();
}

pub(super) fn try_commit(backend: &dyn Backend, op: Op) -> Result<(), Error> {
    backend.commit(&Batch { ops: vec![op] })
}

pub(super) fn get(backend: &dyn Backend, bucket: Bucket, key: &[u8]) -> Option<Vec<u8>> {
    backend
        .snapshot()
        .unwrap()
        .get(bucket, key)
        .unwrap()
        .map(<[u8]>::to_vec)
}

/// Key and value.
pub(super) type OwnedRow = (Vec<u8>, Vec<u8>);

pub(super) fn rows(
    snapshot: &dyn Snapshot,
    bucket: Bucket,
    low: &[u8],
    high: Option<&[u8]>,
) -> Vec<OwnedRow> {
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    snapshot.scan(bucket, low, high, &mut visit).unwrap();
    rows
}

fn keys(backend: &dyn Backend, low: &[u8], high: Option<&[u8]>) -> Vec<String> {
    let rows = rows(&*backend.snapshot().unwrap(), Bucket::Auth, low, high);
    rows.into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap())
        .collect()
}

pub(super) fn an_empty_store_has_no_rows<S: Subject>() {
    let subject = S::create();
    let snapshot = subject.backend().snapshot().unwrap();
    for bucket in Bucket::ALL {
        assert_eq!(snapshot.get(bucket, b"a").unwrap(), None);
        assert_eq!(snapshot.last(bucket).unwrap(), None);
        assert_eq!(rows(&*snapshot, bucket, b"", None), []);
    }
}

pub(super) fn rows_are_put_replaced_and_deleted<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(backend, [put(Bucket::Lease, b"a", b"1")]);
    assert_eq!(get(backend, Bucket::Lease, b"a").unwrap(), b"1");
    commit(backend, [put(Bucket::Lease, b"a", b"two")]);
    assert_eq!(get(backend, Bucket::Lease, b"a").unwrap(), b"two");
    commit(
        backend,
        [
            delete(Bucket::Lease, b"a"),
            delete(Bucket::Lease, b"never there"),
        ],
    );
    assert_eq!(get(backend, Bucket::Lease, b"a"), None);
    commit(backend, []);
}

pub(super) fn the_last_change_of_a_batch_wins<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(
        backend,
        [
            put(Bucket::Meta, b"a", b"1"),
            put(Bucket::Meta, b"a", b"2"),
            put(Bucket::Meta, b"b", b"1"),
            delete(Bucket::Meta, b"b"),
            delete(Bucket::Meta, b"c"),
            put(Bucket::Meta, b"c", b"3"),
        ],
    );
    let expected = [
        (b"a".to_vec(), b"2".to_vec()),
        (b"c".to_vec(), b"3".to_vec()),
    ];
    assert_eq!(
        rows(&*backend.snapshot().unwrap(), Bucket::Meta, b"", None),
        expected
    );
}

pub(super) fn buckets_are_apart<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(
        backend,
        Bucket::ALL.map(|bucket| put(bucket, b"a", bucket.name().as_bytes())),
    );
    commit(backend, [delete(Bucket::Key, b"a")]);
    for bucket in Bucket::ALL {
        let expected = (bucket != Bucket::Key).then(|| bucket.name().as_bytes().to_vec());
        assert_eq!(get(backend, bucket, b"a"), expected);
    }
}

pub(super) fn scans_are_half_open_and_ordered<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(
        backend,
        ["b", "a", "ab", "c", "\u{0}"].map(|key| put(Bucket::Auth, key.as_bytes(), b"")),
    );
    assert_eq!(keys(backend, b"", None), ["\u{0}", "a", "ab", "b", "c"]);
    assert_eq!(keys(backend, b"a", Some(b"b")), ["a", "ab"]);
    assert_eq!(keys(backend, b"aa", Some(b"bb")), ["ab", "b"]);
    assert_eq!(keys(backend, b"b", None), ["b", "c"]);
    assert_eq!(keys(backend, b"b", Some(b"b")), [""; 0]);
    assert_eq!(keys(backend, b"c", Some(b"a")), [""; 0]);
    assert_eq!(keys(backend, b"", Some(b"")), [""; 0]);
    assert_eq!(keys(backend, b"d", None), [""; 0]);
    assert_eq!(keys(backend, &[b'a'; 600], None), ["ab", "b", "c"]);
    let snapshot = backend.snapshot().unwrap();
    assert_eq!(
        snapshot.last(Bucket::Auth).unwrap(),
        Some((&b"c"[..], &b""[..]))
    );
    let mut seen = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        seen += 1;
        if seen == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    snapshot.scan(Bucket::Auth, b"", None, &mut visit).unwrap();
    assert_eq!(seen, 2);
    for (low, from) in [(&b""[..], 0), (b"a", 1), (b"aa", 2), (b"c", 4), (b"d", 5)] {
        let rows = snapshot.rows_from(Bucket::Auth, low).unwrap();
        let keys: Vec<_> = rows.map(|row| row.unwrap().0).collect();
        assert_eq!(keys, [&b"\0"[..], b"a", b"ab", b"b", b"c"][from..]);
    }
}

pub(super) fn rows_of_any_size_come_back<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    let value_lens = [0, 1, 2, 100, 2_000, 2_040, 4_096, 5_000, 100_000, 1 << 20];
    let key_lens = [1, 17, 18, 100, KEY_BYTES_MAX];
    let row = |key_len: usize, value_len: usize| {
        let key = [&(value_len as u32).to_be_bytes()[..], &vec![7; key_len]].concat();
        (
            key[..key_len.clamp(4, KEY_BYTES_MAX)].to_vec(),
            vec![value_len as u8; value_len],
        )
    };
    for key_len in key_lens {
        commit(
            backend,
            value_lens
                .map(|len| row(key_len, len))
                .map(|(k, v)| put(Bucket::Key, &k, &v)),
        );
    }
    let subject = subject.restart();
    for key_len in key_lens {
        for (key, value) in value_lens.map(|len| row(key_len, len)) {
            assert!(get(subject.backend(), Bucket::Key, &key).unwrap() == value);
        }
    }
}

pub(super) fn appends_go_to_the_end<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    let key = |n: u64| [&n.to_be_bytes()[..], b"_"].concat();
    for batch in 0..10_u64 {
        commit(
            backend,
            (0..100).map(|n| append(Bucket::Key, &key(batch * 100 + n), b"value")),
        );
    }
    let found = rows(&*backend.snapshot().unwrap(), Bucket::Key, b"", None);
    assert!(
        found
            .iter()
            .map(|(key, _)| key.clone())
            .eq((0..1000).map(key))
    );
    // A bucket whose last rows are gone may be appended to from where it ends now.
    commit(backend, (500..1000).map(|n| delete(Bucket::Key, &key(n))));
    commit(backend, [append(Bucket::Key, &key(500), b"again")]);
    assert_eq!(
        backend
            .snapshot()
            .unwrap()
            .last(Bucket::Key)
            .unwrap()
            .unwrap()
            .1,
        b"again"
    );
}

pub(super) fn an_append_elsewhere_fails_and_poisons<S: Subject>() {
    for key in [&b"a"[..], b"b"] {
        let subject = S::create();
        let backend = subject.backend();
        commit(backend, [append(Bucket::Key, b"b", b"old")]);
        let error = try_commit(backend, append(Bucket::Key, key, b"new")).unwrap_err();
        assert!(matches!(error, Error::Backend { .. }), "{error}");
        assert!(matches!(
            try_commit(backend, put(Bucket::Key, b"c", b"")),
            Err(Error::Poisoned)
        ));
        assert_eq!(get(backend, Bucket::Key, b"b").unwrap(), b"old");
    }
}

pub(super) fn impossible_keys_are_refused<S: Subject>() {
    for key in [&[][..], &[1; KEY_BYTES_MAX + 1]] {
        for op in [
            put(Bucket::Auth, key, b""),
            append(Bucket::Auth, key, b""),
            delete(Bucket::Auth, key),
        ] {
            assert!(try_commit(S::create().backend(), op).is_err());
        }
    }
}

pub(super) fn impossible_keys_are_never_found<S: Subject>() {
    let subject = S::create();
    commit(
        subject.backend(),
        [put(Bucket::Auth, &[1; KEY_BYTES_MAX], b"")],
    );
    assert_eq!(get(subject.backend(), Bucket::Auth, b""), None);
    assert_eq!(
        get(subject.backend(), Bucket::Auth, &[1; KEY_BYTES_MAX + 1]),
        None
    );
}

// covers: P-04
pub(super) fn a_failed_batch_leaves_nothing<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    commit(backend, [put(Bucket::Auth, b"a", b"1")]);
    let batch = Batch {
        ops: vec![put(Bucket::Auth, b"a", b"2"), put(Bucket::Auth, b"", b"")],
    };
    backend.commit(&batch).unwrap_err();
    assert_eq!(get(backend, Bucket::Auth, b"a").unwrap(), b"1");
    let subject = subject.restart();
    assert_eq!(get(subject.backend(), Bucket::Auth, b"a").unwrap(), b"1");
    commit(subject.backend(), [put(Bucket::Auth, b"a", b"3")]);
}

// covers: P-02
pub(super) fn committed_rows_survive_a_restart<S: Subject>() {
    let mut subject = S::create();
    for round in 0..5_u8 {
        commit(
            subject.backend(),
            [
                put(Bucket::Key, &[round, 1], &[round]),
                put(Bucket::Meta, b"n", &[round]),
            ],
        );
        let sizes = subject.backend().sizes().unwrap();
        subject = subject.restart();
        assert_eq!(subject.backend().sizes().unwrap(), sizes);
        assert_eq!(get(subject.backend(), Bucket::Meta, b"n").unwrap(), [round]);
    }
    let found = rows(
        &*subject.backend().snapshot().unwrap(),
        Bucket::Key,
        b"",
        None,
    );
    assert!(
        found
            .into_iter()
            .eq((0..5).map(|round| (vec![round, 1], vec![round])))
    );
}

pub(super) fn snapshots_never_change<S: Subject>() {
    let subject = S::create();
    let backend = subject.backend();
    let mut snapshots = Vec::new();
    for round in 0..20_u8 {
        commit(
            backend,
            [
                put(Bucket::Key, &[round], b"x"),
                put(Bucket::Meta, b"n", &[round]),
            ],
        );
        snapshots.push(backend.snapshot().unwrap());
        if round % 5 == 4 {
            backend.defragment().unwrap();
        }
    }
    commit(backend, (0..20).map(|round| delete(Bucket::Key, &[round])));
    for (round, snapshot) in snapshots.iter().enumerate() {
        assert_eq!(
            snapshot.get(Bucket::Meta, b"n").unwrap(),
            Some(&[round as u8][..])
        );
        assert_eq!(rows(&**snapshot, Bucket::Key, b"", None).len(), round + 1);
    }
}

pub(super) fn snapshots_move_between_threads<S: Subject>() {
    let subject = S::create();
    commit(subject.backend(), [put(Bucket::Key, b"a", b"1")]);
    let snapshots = [(); 50].map(|()| subject.backend().snapshot().unwrap());
    thread::scope(|scope| {
        for snapshot in snapshots {
            scope.spawn(move || {
                assert_eq!(snapshot.get(Bucket::Key, b"a").unwrap(), Some(&b"1"[..]))
            });
        }
    });
}

pub(super) fn sizes_follow_the_rows<S: Subject>() {
    const ROWS: u32 = 4000;
    let subject = S::create();
    let backend = subject.backend();
    let empty = backend.sizes().unwrap();
    assert!(empty.used_bytes <= empty.allocated_bytes && empty.allocated_bytes < 1 << 20);
    commit(
        backend,
        (0..ROWS).map(|n| append(Bucket::Key, &n.to_be_bytes(), &[1; 1000])),
    );
    let full = backend.sizes().unwrap();
    assert!(full.used_bytes > u64::from(ROWS) * 1000 && full.used_bytes <= full.allocated_bytes);
    commit(
        backend,
        (0..ROWS)
            .filter(|n| *n < ROWS / 8 * 7)
            .map(|n| delete(Bucket::Key, &n.to_be_bytes())),
    );
    let thin = backend.sizes().unwrap();
    assert!(thin.used_bytes < full.used_bytes / 2 && thin.allocated_bytes >= full.allocated_bytes);
    backend.defragment().unwrap();
    let packed = backend.sizes().unwrap();
    assert!(
        packed.allocated_bytes < full.allocated_bytes / 4,
        "{packed:?} after {full:?}"
    );
    assert!(packed.used_bytes <= packed.allocated_bytes);
}

pub(super) fn defragmentation_keeps_every_row<S: Subject>() {
    let mut subject = S::create();
    subject.backend().defragment().unwrap();
    for bucket in Bucket::ALL {
        commit(
            subject.backend(),
            (0..200_u16).map(|n| put(bucket, &n.to_be_bytes(), bucket.name().as_bytes())),
        );
    }
    commit(
        subject.backend(),
        (0..200_u16)
            .step_by(3)
            .map(|n| delete(Bucket::Key, &n.to_be_bytes())),
    );
    let state = |subject: &S| {
        let snapshot = subject.backend().snapshot().unwrap();
        Bucket::ALL.map(|bucket| rows(&*snapshot, bucket, b"", None))
    };
    let before = state(&subject);
    for _ in 0..3 {
        subject.backend().defragment().unwrap();
        assert!(state(&subject) == before);
        subject = subject.restart();
        assert!(state(&subject) == before);
    }
    commit(subject.backend(), [append(Bucket::Key, b"\xff", b"after")]);
}

/// One writer, two readers, and defragmentations: each snapshot shows the first `n` batches and nothing else.
pub(super) fn every_snapshot_is_a_prefix_of_the_commits<S: Subject>() {
    const COMMITS: u64 = 150;
    let subject = S::create();
    let backend = subject.backend();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last_seen = 0;
                while !done.load(Ordering::Acquire) {
                    let seen = check_prefix(&*backend.snapshot().unwrap());
                    assert!(seen >= last_seen);
                    last_seen = seen;
                }
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                backend.defragment().unwrap();
            }
        });
        for n in 1..=COMMITS {
            commit(backend, prefix_batch(n));
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(check_prefix(&*backend.snapshot().unwrap()), COMMITS);
    let subject = subject.restart();
    assert_eq!(
        check_prefix(&*subject.backend().snapshot().unwrap()),
        COMMITS
    );
}

/// The rows of `Bucket::Key` that are there after `n` batches: the last this many.
const PREFIX_ROWS: u64 = 40;

/// The `n`th batch, from 1: counts, appends a row, removes an old one, and replaces one in another bucket.
pub(super) fn prefix_batch(n: u64) -> Vec<Op> {
    let number = n.to_be_bytes();
    let value = number.repeat(1 + (n as usize % 7) * 100);
    let mut ops = vec![
        put(Bucket::Meta, b"count", &number),
        append(Bucket::Key, &number, &value),
        put(Bucket::Lease, &(n % 16).to_be_bytes(), &number),
    ];
    if n > PREFIX_ROWS {
        ops.push(delete(Bucket::Key, &(n - PREFIX_ROWS).to_be_bytes()));
    }
    ops
}

/// Checks that exactly the first batches are there, and returns how many.
pub(super) fn check_prefix(snapshot: &dyn Snapshot) -> u64 {
    let Some(count) = snapshot.get(Bucket::Meta, b"count").unwrap() else {
        for bucket in Bucket::ALL {
            assert_eq!(rows(snapshot, bucket, b"", None), []);
        }
        return 0;
    };
    let count = u64::from_be_bytes(count.try_into().unwrap());
    let mut model = Model::default();
    // Older batches leave nothing behind but in the 16 rows of the lease bucket.
    for n in count.saturating_sub(PREFIX_ROWS.max(16)) + 1..=count {
        model.apply(&prefix_batch(n));
    }
    model.check(snapshot);
    count
}
