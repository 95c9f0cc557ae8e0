//! Encoded events that go out together.

use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// A run of encoded events, each a whole field of a response: their bytes are what follows a response's
/// prefix. Cloning shares them, so that everyone who hears of the same gets the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    bytes: Bytes,
    ends: Ends,
}

/// Where each event ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ends {
    /// With the bytes: there is one event.
    One,
    Many(Arc<[usize]>),
}

impl Events {
    /// One event as it is, or a copy of several behind each other.
    ///
    /// # Panics
    /// If there is none: a response without events is no response.
    pub fn new<'a>(events: impl IntoIterator<Item = &'a Bytes, IntoIter: Clone>) -> Events {
        let events = events.into_iter();
        let mut rest = events.clone();
        let first = rest.next().expect("there is an event");
        if rest.next().is_none() {
            return Events {
                bytes: first.clone(),
                ends: Ends::One,
            };
        }
        let mut bytes = BytesMut::with_capacity(events.clone().map(Bytes::len).sum());
        let append = |event: &Bytes| {
            bytes.extend_from_slice(event);
            bytes.len()
        };
        let ends = events.map(append).collect();
        Events {
            bytes: bytes.freeze(),
            ends: Ends::Many(ends),
        }
    }

    /// How many events there are; at least one.
    pub fn count(&self) -> usize {
        match &self.ends {
            Ends::One => 1,
            Ends::Many(ends) => ends.len(),
        }
    }

    /// All of them.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = Bytes> {
        (0..self.count()).map(|at| self.bytes.slice(self.start(at)..self.start(at + 1)))
    }

    /// Where event number `at` begins; where the bytes end, if there is none.
    pub(crate) fn start(&self, at: usize) -> usize {
        match (at.checked_sub(1), &self.ends) {
            (None, _) => 0,
            (Some(_), Ends::One) => self.bytes.len(),
            (Some(before), Ends::Many(ends)) => ends[before],
        }
    }
}
