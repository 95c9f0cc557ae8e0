//! Two stores with one history: their hashes are equal however far their compactions have come, and differ by one value.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Backend, Batch, Memory, Op};
use crate::revision::encode_revision;
use crate::{Bucket, CompactionHasher, Flusher, HashKv, KeySpace, KeyValue, Options, Revision};

struct Member {
    backend: Arc<dyn Backend>,
    space: KeySpace,
    flusher: Flusher,
    hasher: CompactionHasher,
    applied: u64,
}

impl Member {
    fn open(backend: Arc<dyn Backend>) -> Self {
        let options = Options {
            delete_rows_max: 3,
            trim_records_max: 4,
            ..Options::default()
        };
        let (space, flusher) = KeySpace::open(backend.clone(), options, &mut |_| {}).unwrap();
        let hasher = space.views().compaction_hasher();
        let applied = space.applied().0;
        Self {
            backend,
            space,
            flusher,
            hasher,
            applied,
        }
    }

    fn new() -> Self {
        Self::open(Arc::new(Memory::new()))
    }

    fn publish(&mut self) {
        self.applied += 1;
        self.space.publish(self.applied, 1);
    }

    fn put(&mut self, key: u8, value: i64) {
        let mut txn = self.space.write();
        txn.put(&[key], value.to_string().as_bytes(), 0);
        txn.commit();
        self.publish();
    }

    fn delete(&mut self, key: u8) {
        let mut txn = self.space.write();
        txn.delete_range(crate::KeyRange::Single(&[key]), false)
            .unwrap();
        txn.commit();
        self.publish();
    }

    /// Rounds of puts and deletes: 23 revisions each.
    fn work(&mut self, rounds: i64) {
        for round in 0..rounds {
            (0..20).for_each(|key| self.put(key, round));
            (0..3).for_each(|key| self.delete(key));
        }
    }

    fn compact(&mut self, revision: i64) {
        self.space.compact(revision).unwrap();
        self.publish();
    }

    /// The hash of the newest compaction.
    fn hash_compaction(&mut self) -> Option<HashKv> {
        self.hasher.hash_newest().unwrap()
    }

    fn hash(&mut self, revision: i64) -> HashKv {
        let mut reader = self.space.views().reader();
        reader.hash_anew(&reader.view(), revision).unwrap()
    }

    fn restart(self) -> Self {
        let Self {
            backend,
            space,
            flusher,
            hasher,
            ..
        } = self;
        drop((space, flusher, hasher));
        Self::open(backend)
    }

    /// Changes a value as no log entry did; the row is whole in every other respect.
    fn poke(&mut self, main: i64) {
        let place = encode_revision(Revision { main, sub: 0 });
        let snapshot = self.backend.snapshot().unwrap();
        let row = snapshot.get(Bucket::Key, &place).unwrap().unwrap().to_vec();
        drop(snapshot);
        let row = KeyValue::decode(&row).unwrap();
        let mut poked = Vec::new();
        let value = b"poked";
        KeyValue { value, ..row }.encode(&mut poked);
        let op = Op::Put {
            bucket: Bucket::Key,
            key: place.to_vec(),
            value: poked.into(),
        };
        self.backend.commit(&Batch { ops: vec![op] }).unwrap();
    }
}

// covers: D-23, R-022
#[test]
fn a_compaction_has_the_hash_that_its_revision_had_before() {
    let mut member = Member::new();
    let mut previous = -1;
    for revision in [20, 31, 47, 70, 93] {
        member.work(1);
        let before = member.hash(revision);
        member.compact(revision);
        let hash = member.hash_compaction().unwrap();
        assert_eq!(
            (hash.compact_revision, hash.hash_revision),
            (previous, revision)
        );
        assert_eq!(hash, before);
        previous = revision;
    }
}

// covers: D-23, R-022
#[test]
fn hashes_do_not_tell_how_far_compactions_have_come() {
    let mut quick = Member::new();
    let mut slow = Member::new();
    for member in [&mut quick, &mut slow] {
        member.work(3);
        member.compact(33);
        member.flusher.flush().unwrap();
    }
    assert!(quick.hash_compaction().is_some());
    while quick.space.maintain() || quick.flusher.has_deletes() {
        quick.flusher.flush().unwrap();
    }
    assert_eq!(quick.space.views().compaction_finished(), 33);
    // The other has begun, and a restart interrupts it: it has no hash of that compaction.
    slow.hasher.rest(Duration::ZERO);
    slow.space.maintain();
    slow.flusher.flush().unwrap();
    let mut slow = slow.restart();
    assert_eq!(slow.space.views().compaction_finished(), -1);
    assert_eq!(slow.hash(60), quick.hash(60));
    let mut hashes = Vec::new();
    for member in [&mut quick, &mut slow] {
        member.work(1);
        member.compact(80);
        hashes.push(member.hash_compaction().unwrap());
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(slow.space.views().compaction_finished(), -1);
}

// covers: D-23
#[test]
fn one_value_makes_another_hash() {
    let mut sound = Member::new();
    let mut other = Member::new();
    for member in [&mut sound, &mut other] {
        member.work(2);
        member.compact(40);
        member.hash_compaction().unwrap();
        while member.space.maintain() || member.flusher.has_deletes() {
            member.flusher.flush().unwrap();
        }
        (0..10).for_each(|key| member.put(key, 7));
        member.flusher.flush().unwrap();
        // Reads from the backend from now on.
        member.space.maintain();
    }
    assert_eq!(sound.hash(0), other.hash(0));
    // One that the compaction has kept.
    other.poke(40);
    assert_ne!(sound.hash(0).hash, other.hash(0).hash);
    let mut other = other.restart();
    let hashes = [&mut sound, &mut other].map(|member| {
        member.compact(55);
        member.hash_compaction().unwrap()
    });
    assert_eq!(hashes[0].compact_revision, hashes[1].compact_revision);
    assert_ne!(hashes[0].hash, hashes[1].hash);
}

#[test]
fn what_is_held_back_goes_on_when_the_hash_is_made_or_nobody_wants_it() {
    for hashed in [true, false] {
        let mut member = Member::new();
        member.work(2);
        member.compact(45);
        member.flusher.flush().unwrap();
        while member.space.maintain() {}
        assert!(!member.flusher.has_deletes());
        if hashed {
            assert!(member.hash_compaction().is_some());
        } else {
            member.hasher.rest(Duration::ZERO);
            assert_eq!(member.hash_compaction(), None);
        }
        assert!(member.flusher.has_deletes());
    }
}

#[test]
fn the_end_of_the_key_space_ends_the_wait() {
    let Member {
        space,
        flusher,
        mut hasher,
        ..
    } = Member::new();
    let waiting = std::thread::spawn(move || {
        let far = Duration::from_secs(3600);
        hasher.wait(far);
        hasher.rest(far);
        (hasher.hash_newest().unwrap(), hasher.is_closed())
    });
    drop((space, flusher));
    assert_eq!(waiting.join().unwrap(), (None, true));
}
