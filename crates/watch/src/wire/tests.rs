//! Bytes written out by hand, and the rules of fragmentation.

use super::*;
use crate::{Revision, WatchId};
use proptest::prelude::*;

const SENDER: Sender = Sender {
    cluster_id: 1,
    member_id: 300,
    raft_term: 2,
};

fn encode(response: &Response, sender: &Sender) -> Vec<u8> {
    let message = response.messages(sender, usize::MAX).next().unwrap();
    let mut out = Vec::new();
    message.write_prefix(sender, &mut out);
    out.extend_from_slice(&message.events());
    assert_eq!(out.len(), message.encoded_len(sender));
    out
}

fn response(watch_id: i64, revision: i64, body: Body) -> Response {
    Response {
        watch_id: WatchId(watch_id),
        header_revision: Revision(revision),
        body,
    }
}

#[test]
fn prefixes() {
    let header = [0x0a, 9, 8, 1, 16, 0xac, 2, 24, 5, 32, 2];
    let encode_at_5 = |id, body| encode(&response(id, 5, body), &SENDER);
    assert_eq!(
        encode_at_5(0, Body::Created),
        [&header[..], &[24, 1]].concat()
    );
    assert_eq!(
        encode_at_5(7, Body::Progress),
        [&header[..], &[16, 7]].concat()
    );
    assert_eq!(
        encode_at_5(7, Body::Canceled),
        [&header[..], &[16, 7, 32, 1]].concat()
    );
    let minus_one = [16, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    let refused = encode_at_5(-1, Body::Refused("no".into()));
    assert_eq!(
        refused,
        [&header[..], &minus_one, &[24, 1, 32, 1, 50, 2, b'n', b'o']].concat()
    );
    let compacted = encode(
        &response(1, 0, Body::Compacted(Revision(9))),
        &Sender::default(),
    );
    assert_eq!(compacted, [0x0a, 0, 16, 1, 32, 1, 40, 9]);
}

#[test]
fn events() {
    assert_eq!(event(false, b"ab", None)[..], [0x5a, 4, 18, 2, b'a', b'b']);
    let delete = event(true, b"a", Some(b"xy"));
    assert_eq!(delete[..], [0x5a, 9, 8, 1, 18, 1, b'a', 26, 2, b'x', b'y']);
    let long = event(false, &[7; 200], None);
    assert_eq!(long[..6], [0x5a, 203, 1, 18, 200, 1]);
    assert_eq!(long.len(), 206);
}

#[test]
fn varint_lengths() {
    for shift in 0..64 {
        for value in [1u64 << shift, (1 << shift) - 1] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
    }
}

proptest! {
    /// Whole below the limit or without the flag; otherwise in order, each part as full as can be, all
    /// but the last marked.
    ///
    /// covers: P-W-04
    #[test]
    fn fragments(
        lens in prop::collection::vec(1..40usize, 1..12),
        limit in 1..200usize,
        may_fragment: bool,
    ) {
        let list: Vec<Bytes> = lens.iter().map(|len| event(false, &vec![1; *len], None)).collect();
        let events = Events::new(&list);
        let response = response(3, 5, Body::Events { events: events.clone(), may_fragment });
        let whole = encode(&response, &SENDER).len();
        let messages: Vec<_> = response.messages(&SENDER, limit).collect();
        prop_assert_eq!(&events.iter().collect::<Vec<_>>(), &list);
        let joined: Vec<u8> = messages.iter().flat_map(Message::events).collect();
        prop_assert_eq!(&joined[..], &events.bytes()[..]);
        if !may_fragment || whole < limit || lens.len() == 1 {
            prop_assert_eq!(messages.len(), 1);
        }
        for (n, message) in messages.iter().enumerate() {
            let last = n + 1 == messages.len();
            prop_assert_eq!(message.more_follow, !last);
            if messages.len() == 1 {
                continue;
            }
            prop_assert!(message.events_count() == 1 || message.encoded_len(&SENDER) < limit);
            if !last {
                let next = list[message.high].len();
                prop_assert!(message.encoded_len(&SENDER) + next >= limit);
            }
        }
    }
}
