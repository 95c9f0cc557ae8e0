//! Random batches against the naive model: one ordered map for each bucket.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{OwnedRow, Subject, commit, rows};
use crate::backend::{Bucket, Op, Snapshot};

/// What a store should hold.
#[derive(Debug, Clone, Default)]
pub(in crate::backend) struct Model {
    rows: BTreeMap<(Bucket, Vec<u8>), Vec<u8>>,
}

impl Model {
    pub(in crate::backend) fn apply(&mut self, ops: &[Op]) {
        for op in ops {
            let (bucket, key) = op.place();
            let place = (bucket, key.to_vec());
            match op {
                Op::Put { value, .. } | Op::Append { value, .. } => {
                    self.rows.insert(place, value.to_vec());
                }
                Op::Delete { .. } => {
                    self.rows.remove(&place);
                }
            }
        }
    }

    fn bucket(&self, bucket: Bucket) -> Vec<OwnedRow> {
        let rows = self.rows.iter().filter(|((other, _), _)| *other == bucket);
        rows.map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Whether the snapshot holds exactly these rows.
    #[cfg(feature = "lmdb")]
    pub(in crate::backend) fn is_in(&self, snapshot: &dyn Snapshot) -> bool {
        let same = |bucket| rows(snapshot, bucket, b"", None) == self.bucket(bucket);
        Bucket::ALL.into_iter().all(same)
    }

    /// Checks that the snapshot holds exactly these rows.
    pub(in crate::backend) fn check(&self, snapshot: &dyn Snapshot) {
        for bucket in Bucket::ALL {
            let expected = self.bucket(bucket);
            let last = snapshot
                .last(bucket)
                .unwrap()
                .map(|(k, v)| (k.to_vec(), v.to_vec()));
            assert!(last.as_ref() == expected.last(), "last row of {bucket:?}");
            assert!(
                rows(snapshot, bucket, b"", None) == expected,
                "rows of {bucket:?}"
            );
            for (key, value) in &expected {
                assert!(
                    snapshot.get(bucket, key).unwrap() == Some(value.as_slice()),
                    "{key:02x?}"
                );
            }
        }
    }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        // Few enough that changes meet.
        8 => vec(0..4_u8, 1..4),
        1 => vec(any::<u8>(), 1..=511),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    let len = prop_oneof![8 => 0..300_usize, 2 => 300..9_000_usize, 1 => 9_000..300_000_usize];
    (len, any::<u8>()).prop_map(|(len, byte)| vec![byte; len].into())
}

fn op() -> impl Strategy<Value = Op> {
    let bucket = proptest::sample::select(&[Bucket::Key, Bucket::Meta, Bucket::AuthRoles][..]);
    prop_oneof![
        2 => (bucket.clone(), key(), value())
            .prop_map(|(bucket, key, value)| Op::Put { bucket, key, value }),
        1 => (bucket, key()).prop_map(|(bucket, key)| Op::Delete { bucket, key }),
    ]
}

/// Any batches of puts and deletes, with keys that meet often.
fn batches() -> impl Strategy<Value = Vec<Vec<Op>>> {
    vec(vec(op(), 0..24), 1..12)
}

pub(in crate::backend) fn random_batches_agree_with_the_model<S: Subject>() {
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(
            &(batches(), any::<prop::sample::Index>()),
            |(batches, index)| {
                let mut subject = S::create();
                let mut model = Model::default();
                let (restart, defragment) = (index.index(batches.len()), batches.len() / 2);
                for (n, ops) in batches.iter().enumerate() {
                    let before = subject.backend().snapshot().unwrap();
                    commit(subject.backend(), ops.iter().cloned());
                    model.check(&*before);
                    drop(before);
                    model.apply(ops);
                    if n == defragment {
                        subject.backend().defragment().unwrap();
                    }
                    if n == restart {
                        subject = subject.restart();
                    }
                    model.check(&*subject.backend().snapshot().unwrap());
                }
                Ok(())
            },
        )
        .unwrap();
}
