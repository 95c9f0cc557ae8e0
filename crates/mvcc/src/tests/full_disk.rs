//! A disk without room under the backend: nothing is lost, and flushing goes on when there is room again.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::Memory;
use crate::{Flusher, KeySpace, Options, Wake};

fn put(space: &mut KeySpace, index: u64) {
    let mut txn = space.write();
    txn.put(&index.to_be_bytes(), &[7; 100], 0);
    txn.commit();
    space.publish(index, 1);
}

fn flush_all(flusher: &mut Flusher) {
    while flusher.wait(Duration::ZERO) != Wake::Timeout {
        assert!(!flusher.flush().unwrap().disk_full);
    }
}

// covers: D-11
#[test]
fn a_full_disk_holds_flushes_up_and_loses_nothing() {
    let options = Options {
        overlay_bytes_max: 2000,
        flush_bytes: 300,
        ..Options::default()
    };
    let backend = Arc::new(Memory::new());
    let (mut space, mut flusher) = KeySpace::open(backend.clone(), options, &mut |_| {}).unwrap();
    (1..=10).for_each(|index| put(&mut space, index));
    flush_all(&mut flusher);
    space.compact(5).unwrap();
    put(&mut space, 11);
    flush_all(&mut flusher);
    while space.maintain() {}

    for round in 0..3 {
        backend.set_full(true);
        let durable = flusher.flush().unwrap();
        assert!(durable.disk_full);
        let mut index = durable.applied_index.max(space.applied().0);
        while !space.overlay_full() {
            index += 1;
            put(&mut space, index);
            // It waits for time to pass, whoever asks.
            assert_eq!(flusher.wait(Duration::ZERO), Wake::Timeout);
            let progress = flusher.flush().unwrap();
            assert!(progress.disk_full && progress.rows_written == 0);
            assert_eq!(progress.applied_index, durable.applied_index);
        }
        assert_eq!(flusher.wait(Duration::ZERO), Wake::Timeout, "round {round}");
        backend.set_full(false);
        let progress = flusher.flush().unwrap();
        assert!(!progress.disk_full && progress.rows_written > 5);
        assert_eq!(progress.applied_index, index);
        space.wait_for_room().unwrap();
        flush_all(&mut flusher);
    }
    while space.maintain() || flusher.has_deletes() {
        flusher.flush().unwrap();
    }
    let (before, revision) = (space.applied(), space.revision());
    let hash = |space: &KeySpace| {
        let mut reader = space.views().reader();
        reader.hash_kv(&reader.view(), 0).unwrap()
    };
    let hashed = hash(&space);
    let restarted = Arc::new(backend.restarted());
    let (space, _flusher) = KeySpace::open(restarted, options, &mut |_| {}).unwrap();
    assert_eq!((space.applied(), space.revision()), (before, revision));
    assert_eq!(hash(&space), hashed);
}
