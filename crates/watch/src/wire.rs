//! The bytes of a watch response.
//!
//! Events and responses are framed here, because the whole point of encoding an event once is that the
//! bytes go out as they are. What is framed stays opaque: rows come in encoded and are never looked into.
//!
//! A `WatchResponse` is a prefix, different in each response (header, watch id, flags), followed by a run
//! of events, each a whole field with its tag and shared by all who hear of it:
//!
//! | Message | Fields (number, type) |
//! |---|---|
//! | `WatchResponse` | 1 `ResponseHeader`, 2 watch id, 3 created, 4 canceled, 5 compact revision, 6 cancel reason, 7 fragment, 11 events |
//! | `ResponseHeader` | 1 cluster id, 2 member id, 3 revision, 4 raft term |
//! | `Event` | 1 type (0 put, 1 delete), 2 `KeyValue`, 3 previous `KeyValue` |
//!
//! Fields come in the order of their numbers; zero and empty values are left out, but for the header,
//! which is always there.

#[cfg(test)]
mod tests;

use crate::{Body, Events, Response};
use bytes::{BufMut, Bytes, BytesMut};
use std::ops::Range;

const VARINT: u8 = 0;
const BYTES: u8 = 2;

const fn tag(field: u8, wire_type: u8) -> u8 {
    field << 3 | wire_type
}

/// Who sends a response: what all headers of a stream have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sender {
    /// The cluster.
    pub cluster_id: u64,
    /// The member that serves the stream.
    pub member_id: u64,
    /// Its term at the time of sending.
    pub raft_term: u64,
}

/// A response, or a fragment of one, ready to be written.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    response: &'a Response,
    /// Numbers of its events, `[low, high)`.
    low: usize,
    high: usize,
    more_follow: bool,
}

impl Response {
    /// The response as one message, or as several if it may be cut, has two events or more, and would
    /// have `limit` bytes or more. Each of several has at least one event, and less than `limit` bytes
    /// where that is possible.
    pub fn messages(&self, sender: &Sender, limit: usize) -> impl Iterator<Item = Message<'_>> {
        let whole = Message {
            response: self,
            low: 0,
            high: self.events().map_or(0, Events::count),
            more_follow: false,
        };
        let may_fragment = matches!(
            &self.body,
            Body::Events {
                may_fragment: true,
                ..
            }
        );
        let cut = may_fragment && whole.high > 1 && whole.encoded_len(sender) >= limit;
        let sender = *sender;
        let mut rest = Some(whole);
        std::iter::from_fn(move || {
            let message = rest.take()?;
            if !cut {
                return Some(message);
            }
            let (first, left) = message.split(&sender, limit);
            rest = left;
            Some(first)
        })
    }
}

impl<'a> Message<'a> {
    /// How many events it has.
    pub fn events_count(&self) -> usize {
        self.high - self.low
    }

    /// Its events, to be written behind the prefix; shared with everyone who gets the same.
    pub fn events(&self) -> Bytes {
        let all = self.response.events().map(Events::bytes);
        all.map_or_else(Bytes::new, |all| all.slice(self.place(self.low, self.high)))
    }

    /// The length of the events.
    pub fn events_len(&self) -> usize {
        self.place(self.low, self.high).len()
    }

    /// The length of the whole message, prefix and events.
    pub fn encoded_len(&self, sender: &Sender) -> usize {
        self.prefix_len(sender) + self.events_len()
    }

    /// Writes everything before the events.
    pub fn write_prefix(&self, sender: &Sender, out: &mut impl BufMut) {
        out.put_u8(tag(1, BYTES));
        put_varint(out, self.header_len(sender) as u64);
        for (field, value) in self.header(sender) {
            put_field(out, field, value);
        }
        for (field, value) in self.numbers_before_reason() {
            put_field(out, field, value);
        }
        if !self.reason().is_empty() {
            out.put_u8(tag(6, BYTES));
            put_varint(out, self.reason().len() as u64);
            out.put_slice(self.reason().as_bytes());
        }
        put_field(out, 7, u64::from(self.more_follow));
    }

    fn prefix_len(&self, sender: &Sender) -> usize {
        let header = self.header_len(sender);
        let numbers: usize = self.numbers_before_reason().map(field_len).iter().sum();
        let reason = match self.reason().len() {
            0 => 0,
            len => 1 + varint_len(len as u64) + len,
        };
        1 + varint_len(header as u64)
            + header
            + numbers
            + reason
            + field_len((7, u64::from(self.more_follow)))
    }

    fn header(&self, sender: &Sender) -> [(u8, u64); 4] {
        [
            (1, sender.cluster_id),
            (2, sender.member_id),
            (3, self.response.header_revision.0.cast_unsigned()),
            (4, sender.raft_term),
        ]
    }

    fn header_len(&self, sender: &Sender) -> usize {
        self.header(sender).map(field_len).iter().sum()
    }

    fn numbers_before_reason(&self) -> [(u8, u64); 4] {
        let (created, canceled, compact_revision) = match &self.response.body {
            Body::Created => (true, false, 0),
            Body::Refused(_) => (true, true, 0),
            Body::Events { .. } | Body::Progress => (false, false, 0),
            Body::Canceled => (false, true, 0),
            Body::Compacted(revision) => (false, true, revision.0),
        };
        [
            (2, self.response.watch_id.0.cast_unsigned()),
            (3, u64::from(created)),
            (4, u64::from(canceled)),
            (5, compact_revision.cast_unsigned()),
        ]
    }

    fn reason(&self) -> &'a str {
        match &self.response.body {
            Body::Refused(reason) => reason,
            _ => "",
        }
    }

    /// Where events `[low, high)` lie among the bytes of all.
    fn place(&self, low: usize, high: usize) -> Range<usize> {
        self.response
            .events()
            .map_or(0..0, |events| events.start(low)..events.start(high))
    }

    /// As many events as stay below `limit`, one at least, and the message with those that are left.
    fn split(self, sender: &Sender, limit: usize) -> (Message<'a>, Option<Message<'a>>) {
        let cut = Message {
            more_follow: true,
            ..self
        };
        let prefix = cut.prefix_len(sender);
        let fits = |high: &usize| prefix + self.place(self.low, *high).len() < limit;
        let first = self.low + 1;
        let high = (first + 1..=self.high)
            .take_while(fits)
            .last()
            .unwrap_or(first);
        if high == self.high {
            return (self, None);
        }
        (Message { high, ..cut }, Some(Message { low: high, ..self }))
    }
}

/// An event as a whole field of a response.
pub(crate) fn event(is_delete: bool, row: &[u8], previous: Option<&[u8]>) -> Bytes {
    let bytes_len = |bytes: &[u8]| 1 + varint_len(bytes.len() as u64) + bytes.len();
    let kind = (1, u64::from(is_delete));
    let len = field_len(kind) + bytes_len(row) + previous.map_or(0, bytes_len);
    let mut out = BytesMut::with_capacity(1 + varint_len(len as u64) + len);
    out.put_u8(tag(11, BYTES));
    put_varint(&mut out, len as u64);
    put_field(&mut out, kind.0, kind.1);
    for (field, bytes) in [(2, Some(row)), (3, previous)] {
        if let Some(bytes) = bytes {
            out.put_u8(tag(field, BYTES));
            put_varint(&mut out, bytes.len() as u64);
            out.put_slice(bytes);
        }
    }
    out.freeze()
}

fn put_field(out: &mut impl BufMut, field: u8, value: u64) {
    if value != 0 {
        out.put_u8(tag(field, VARINT));
        put_varint(out, value);
    }
}

fn field_len((_, value): (u8, u64)) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
