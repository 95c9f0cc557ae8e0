//! What a peer's messages may cost here before the node has taken them: the connection is not read while they cost more.
//!
//! Messages are counted before they are decoded. An entry of two bytes takes a hundred times that in memory, so bytes
//! alone bound nothing.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages, entries and proposals in one parcel. A sender fills a parcel up to a megabyte and one message beyond, which
/// holds less than half as many of the smallest entries.
pub(super) const ITEMS_MAX: usize = 256 << 10;

/// What an item costs beside its payload while it passes through the node, about.
const ITEM_BYTES: usize = 256;

/// Why a parcel was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParcelError {
    #[error("messages that cannot be told apart")]
    Malformed,
    #[error("more than {ITEMS_MAX} messages and entries in one parcel")]
    TooMany,
}

/// What may wait for the node, of one peer on one lane.
pub(super) struct Inbox {
    permits: Arc<Semaphore>,
    bytes_max: usize,
}

/// So much memory is taken until this is dropped.
pub(super) struct Taken {
    _permit: OwnedSemaphorePermit,
}

impl Inbox {
    /// Room for so many bytes; one parcel is always taken.
    pub(super) fn new(bytes_max: usize) -> Inbox {
        Inbox {
            permits: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
        }
    }

    /// Waits until there is room for what is in a parcel.
    ///
    /// # Errors
    /// If it must not be decoded at all.
    pub(super) async fn admit(&self, parcel: &Bytes) -> Result<Taken, ParcelError> {
        let cost = parcel.len() + ITEM_BYTES * items(parcel)?;
        let cost = u32::try_from(cost.min(self.bytes_max)).unwrap_or(u32::MAX);
        let permit = self.permits.clone().acquire_many_owned(cost).await;
        Ok(Taken {
            _permit: permit.expect("nobody closes it"),
        })
    }
}

/// Counts messages, entries and proposals in encoded `ferrod.peer.v1.Messages`.
fn items(messages: &[u8]) -> Result<usize, ParcelError> {
    // Fields of `Messages`, of `Message` (append and propose), and of these two.
    const MESSAGE: u64 = 1;
    const APPEND: u64 = 2;
    const PROPOSE: u64 = 12;
    const ENTRY: u64 = 4;
    const PROPOSAL: u64 = 3;
    let mut count = 0;
    let mut add = |items: usize| {
        count += items;
        (count <= ITEMS_MAX)
            .then_some(())
            .ok_or(ParcelError::TooMany)
    };
    for message in Fields(messages).of(MESSAGE) {
        add(1)?;
        for body in Fields(message?) {
            let item = match body?.0 {
                APPEND => ENTRY,
                PROPOSE => PROPOSAL,
                _ => continue,
            };
            for item in Fields(body?.1).of(item) {
                item?;
                add(1)?;
            }
        }
    }
    Ok(count)
}

/// The fields of an encoded message: number, and content if it is length-delimited.
struct Fields<'a>(&'a [u8]);

type Field<'a> = Result<(u64, &'a [u8]), ParcelError>;

impl<'a> Fields<'a> {
    /// The contents of the fields of one number.
    fn of(self, number: u64) -> impl Iterator<Item = Result<&'a [u8], ParcelError>> {
        self.filter_map(move |field| match field {
            Ok((found, content)) => (found == number).then_some(Ok(content)),
            Err(error) => Some(Err(error)),
        })
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, &'a [u8])> {
        let key = self.varint()?;
        let content = match key & 7 {
            0 => {
                self.varint()?;
                &[]
            }
            1 => {
                self.take(8)?;
                &[]
            }
            2 => {
                let len = self.varint()?;
                self.take(usize::try_from(len).ok()?)?
            }
            5 => {
                self.take(4)?;
                &[]
            }
            // Groups are none of ours.
            _ => return None,
        };
        Some((key >> 3, content))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            // Nothing behind it makes sense.
            self.0 = &[];
        }
        Some(field.ok_or(ParcelError::Malformed))
    }
}

#[cfg(test)]
mod tests {
    use ferrod_proto::peer::message::Body;
    use ferrod_proto::peer::{Append, Entry, Forward, Message, Messages, Proposal, TimeoutNow};
    use prost::Message as _;

    use super::*;

    fn parcel(messages: Vec<Body>) -> Bytes {
        let message = |body| Message {
            term: 1 << 40,
            body: Some(body),
        };
        let messages = messages.into_iter().map(message).collect();
        Messages { messages }.encode_to_vec().into()
    }

    fn append(entries: usize, bytes: usize) -> Body {
        let payload = Bytes::from(vec![7; bytes]);
        Body::Append(Append {
            prev_index: 1 << 50,
            entries: vec![
                Entry {
                    payload,
                    ..Entry::default()
                };
                entries
            ],
            ..Append::default()
        })
    }

    #[test]
    fn items_are_counted_without_decoding_them() {
        let forward = Body::Propose(Forward {
            nonce: 1,
            number: 2,
            proposals: vec![Proposal::default(); 3],
        });
        let all = parcel(vec![append(5, 9), Body::TimeoutNow(TimeoutNow {}), forward]);
        assert_eq!(items(&all), Ok(3 + 5 + 3));
        assert_eq!(items(&[]), Ok(0));
        let cut = &all[..all.len() - 1];
        assert_eq!(items(cut), Err(ParcelError::Malformed));
        // A length beyond the end, a number without one, a group.
        for bytes in [&[0x0a, 0xff, 0x01][..], &[0x08, 0x80], &[0x0b, 0x0c]] {
            assert_eq!(items(bytes), Err(ParcelError::Malformed), "{bytes:?}");
        }
    }

    /// covers: P-A-09, X-06
    #[tokio::test]
    async fn a_parcel_of_too_many_items_is_not_opened() {
        let inbox = Inbox::new(1 << 30);
        let fits = parcel(vec![append(ITEMS_MAX - 1, 0)]);
        assert!(inbox.admit(&fits).await.is_ok());
        for too_many in [
            parcel(vec![append(ITEMS_MAX, 0)]),
            parcel(vec![append(ITEMS_MAX / 2, 0), append(ITEMS_MAX / 2, 0)]),
            [0x0a, 0x00].repeat(ITEMS_MAX + 1).into(),
        ] {
            let refused = inbox.admit(&too_many).await.err();
            assert_eq!(refused, Some(ParcelError::TooMany));
        }
    }

    /// covers: P-10
    #[tokio::test]
    async fn what_has_no_room_waits_until_the_node_has_taken_something() {
        let inbox = Arc::new(Inbox::new(10_000));
        let parcel = parcel(vec![append(1, 4_000)]);
        let first = inbox.admit(&parcel).await.unwrap();
        let second = inbox.admit(&parcel).await.unwrap();
        let (waiting, more) = (inbox.clone(), parcel.clone());
        let third = tokio::spawn(async move { waiting.admit(&more).await.map(drop) });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        third.await.unwrap().unwrap();
        drop(second);
        let large = super::tests::parcel(vec![append(1, 1 << 20)]);
        assert!(inbox.admit(&large).await.is_ok(), "one is always taken");
    }
}
