//! Streams that are cut, broken, damaged and taken up again.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use ferrod_mvcc::backend::{Backend, Memory};
use ferrod_mvcc::{Bucket, KeyRange, KeySpace, Options};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Decoder, Item, Position, Receiver, Sender};
use crate::Error;

const CHUNK_BYTES_MAX: usize = 16 << 20;

/// What the tests make of a list of numbers: a key space whose rows have all sizes and kinds.
fn source(changes: &[u16]) -> Arc<Memory> {
    let backend = Arc::new(Memory::new());
    let (mut space, mut flusher) =
        KeySpace::open(backend.clone(), Options::default(), &mut |_| {}).unwrap();
    for (n, change) in changes.iter().enumerate() {
        let key = (change % 17).to_string();
        let mut txn = space.write();
        if change % 5 == 0 {
            let range = KeyRange::Single(key.as_bytes());
            txn.delete_range(range, false).unwrap();
        } else {
            let len = usize::from(*change) * if change % 97 == 0 { 50 } else { 1 };
            txn.put(key.as_bytes(), &vec![*change as u8; len % 400_000], 0);
            txn.put(b"another", b"of the same transaction", 0);
        }
        txn.commit();
        let row = Bytes::from(vec![n as u8; usize::from(change % 2000)]);
        space.put_row(Bucket::Lease, &change.to_be_bytes(), row);
        if change % 7 == 0 {
            space.put_row(Bucket::Members, key.as_bytes(), Bytes::new());
        }
    }
    space.publish(9, 2);
    flusher.flush().unwrap();
    backend
}

fn sender(backend: &Arc<Memory>) -> Sender {
    let (space, _flusher) =
        KeySpace::open(backend.clone(), Options::default(), &mut |_| {}).unwrap();
    let export = space.views().export(1000).unwrap();
    Sender::new(export, Bytes::from_static(b"context"))
}

fn stream(backend: &Arc<Memory>) -> Vec<u8> {
    let chunks = sender(backend).map(Result::unwrap);
    chunks.flat_map(|chunk| chunk.to_vec()).collect()
}

type Rows = Vec<(Bucket, Vec<u8>, Vec<u8>)>;

fn rows(backend: &dyn Backend) -> Rows {
    let snapshot = backend.snapshot().unwrap();
    let mut rows = Vec::new();
    for bucket in Bucket::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            rows.push((bucket, key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        snapshot.scan(bucket, &[], None, &mut visit).unwrap();
    }
    rows
}

/// The rows of a received state, which is installed for that.
fn installed(backend: &Memory) -> Rows {
    assert_eq!(backend.received().unwrap(), [9]);
    backend.install(9, &mut |_| Ok(())).unwrap();
    rows(backend)
}

fn receive(bytes: &[u8]) -> Result<Memory, Error> {
    let backend = Arc::new(Memory::new());
    let mut receiver = Receiver::new(backend.clone(), CHUNK_BYTES_MAX);
    receiver.feed(bytes)?;
    receiver.finish()?;
    Ok(Arc::into_inner(backend).expect("the receiver is gone"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the bytes are cut, the same rows arrive.
    #[test]
    fn a_state_arrives_as_it_was_sent(
        changes in vec(any::<u16>(), 0..60),
        cuts in vec(1..100_000_usize, 1..20),
    ) {
        let from = source(&changes);
        let bytes = stream(&from);
        let to = Arc::new(Memory::new());
        let mut receiver = Receiver::new(to.clone(), CHUNK_BYTES_MAX);
        let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            prop_assert!(!receiver.is_complete());
            let (piece, others) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            receiver.feed(piece).unwrap();
            rest = others;
        }
        prop_assert!(receiver.is_complete());
        let expected = rows(&*from);
        prop_assert_eq!(receiver.come().rows, expected.len() as u64);
        let header = receiver.finish().unwrap();
        prop_assert_eq!((header.applied_index, header.applied_term), (9, 2));
        prop_assert_eq!(&header.context[..], b"context");
        prop_assert!(installed(&to) == expected);
    }

    /// Wherever the connection breaks, and however often, the rest is enough.
    ///
    /// covers: N-09
    #[test]
    fn a_broken_stream_goes_on(
        changes in vec(any::<u16>(), 1..60),
        breaks in vec(0..300_000_usize, 1..12),
    ) {
        let from = source(&changes);
        let mut sender = sender(&from);
        let to = Arc::new(Memory::new());
        let mut receiver = Receiver::new(to.clone(), CHUNK_BYTES_MAX);
        for bytes_max in breaks {
            let before = receiver.come();
            let mut left = bytes_max;
            for chunk in &mut sender {
                let chunk = chunk.unwrap();
                receiver.feed(&chunk[..chunk.len().min(left)]).unwrap();
                left = left.saturating_sub(chunk.len());
                if left == 0 {
                    break;
                }
            }
            if receiver.is_complete() {
                break;
            }
            let position = receiver.restart();
            if let Some(position) = position {
                prop_assert_eq!(Position::decode(&position.encode()).unwrap(), position);
                prop_assert!(position.totals().rows >= before.rows);
            }
            sender.restart(position);
            prop_assert_eq!(sender.sent(), position.map(|p| p.totals()).unwrap_or_default());
        }
        if !receiver.is_complete() {
            for chunk in sender {
                receiver.feed(&chunk.unwrap()).unwrap();
            }
        }
        receiver.finish().unwrap();
        prop_assert!(installed(&to) == rows(&*from));
    }

    /// No bytes are taken for a state that they are not, and none make the decoder panic.
    #[test]
    fn garbage_is_refused(
        start in 0..200_usize,
        garbage in vec(any::<u8>(), 1..300),
    ) {
        let mut bytes = stream(&source(&[3, 14, 15, 92, 65]));
        bytes.truncate(start);
        bytes.extend(garbage);
        let mut decoder = Decoder::new(100_000);
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next_item() {}
        prop_assert!(!decoder.is_complete());
        let _refused = Position::decode(&bytes);
    }
}

/// covers: D-06, D-20, D-21
#[test]
fn every_flipped_bit_is_found() {
    let from = source(&[3, 14, 15, 92, 65]);
    let bytes = stream(&from);
    assert!(installed(&receive(&bytes).unwrap()) == rows(&*from));
    assert!(bytes.len() < 3_000, "{} bytes take too long", bytes.len());
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(receive(&bad).is_err(), "bit {bit}");
    }
}

/// covers: D-20, D-21
#[test]
fn a_cut_stream_is_no_state() {
    let bytes = stream(&source(&[3, 14, 15, 92, 65]));
    for len in 0..bytes.len() {
        assert!(receive(&bytes[..len]).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(receive(&longer).is_err());
}

#[test]
fn lost_doubled_and_exchanged_chunks_are_found() {
    let changes: Vec<u16> = (0..400).map(|n| n * 97 + 1).collect();
    let from = source(&changes);
    let chunks: Vec<Bytes> = sender(&from).map(Result::unwrap).collect();
    assert!(chunks.len() > 5);
    let arrives = |chunks: &[Bytes]| receive(&chunks.concat()).is_ok();
    assert!(arrives(&chunks));
    for n in 0..chunks.len() {
        let mut lost = chunks.clone();
        lost.remove(n);
        assert!(!arrives(&lost), "without {n}");
        let mut doubled = chunks.clone();
        doubled.insert(n, chunks[n].clone());
        assert!(!arrives(&doubled), "twice {n}");
        let mut exchanged = chunks.clone();
        exchanged.swap(n, (n + 1) % chunks.len());
        assert!(!arrives(&exchanged), "{n} exchanged");
    }
}

#[test]
fn a_stream_of_another_state_does_not_go_on() {
    let changes: Vec<u16> = (0..400).map(|n| n * 97 + 1).collect();
    let mut sender_a = sender(&source(&changes));
    let mut sender_b = sender(&source(&[1, 2, 3]));
    let mut receiver = Receiver::new(Arc::new(Memory::new()), CHUNK_BYTES_MAX);
    for chunk in (&mut sender_a).take(6) {
        receiver.feed(&chunk.unwrap()).unwrap();
    }
    let position = receiver.restart();
    assert!(position.is_some());
    sender_b.restart(position);
    let goes_on = sender_b.try_for_each(|chunk| receiver.feed(&chunk.unwrap()));
    assert!(matches!(goes_on, Err(Error::Corrupt { .. })));
}

///
#[test]
fn a_chunk_longer_than_allowed_is_refused_before_it_comes() {
    let from = source(&[97 * 300, 97 * 301]);
    let bytes = stream(&from);
    let mut decoder = Decoder::new(100_000);
    let mut refused = false;
    for piece in bytes.chunks(10) {
        decoder.push(piece);
        match decoder.next_item() {
            Ok(Some(Item::End(_))) => panic!("nothing was refused"),
            Ok(_) => {}
            Err(Error::TooLong { max, .. }) => {
                refused = max == 100_000;
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused);
}

#[test]
fn a_state_that_is_there_is_not_received_again() {
    let bytes = stream(&source(&[1, 2]));
    let backend = Arc::new(Memory::new());
    for expected in [true, false] {
        let mut receiver = Receiver::new(backend.clone(), CHUNK_BYTES_MAX);
        let came = receiver.feed(&bytes).and_then(|()| receiver.finish());
        assert_eq!(came.is_ok(), expected);
    }
    assert_eq!(backend.received().unwrap(), [9]);
}
