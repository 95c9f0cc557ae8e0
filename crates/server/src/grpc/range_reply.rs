//! A `RangeResponse` written straight from stored rows.
//!
//! A row is stored as the encoded `KeyValue` that the answer carries, so the answer is one copy of each row behind a tag
//! and a length. The gRPC prefix and the header come first on the wire but are known last: room is left for them in
//! front of the first piece. A long answer is a row of pieces, none of which is ever moved again.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use ferrod_proto::etcdserverpb::ResponseHeader;
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

use super::reply::{PREFIX_BYTES, put_prefix};

/// Prefix, then field 1 with a header of four varints at most.
const ROOM_BYTES: usize = PREFIX_BYTES + 2 + 4 * 11;
/// A small answer should be one allocation, and not a large one.
const FIRST_BYTES: usize = 512;
const PIECE_BYTES: usize = 256 << 10;

const HEADER_TAG: u8 = 1 << 3 | 2;
const KVS_TAG: u8 = 2 << 3 | 2;
const MORE_TAG: u8 = 3 << 3;
const COUNT_TAG: u8 = 4 << 3;

/// Collects the rows of one answer.
pub(crate) struct RangeReply {
    full: VecDeque<Bytes>,
    current: BytesMut,
    /// Bytes of message in `full` and `current`, without the room in front.
    message_bytes: usize,
    rows: usize,
}

impl RangeReply {
    pub(crate) fn new() -> RangeReply {
        let mut current = BytesMut::with_capacity(FIRST_BYTES);
        current.put_bytes(0, ROOM_BYTES);
        RangeReply {
            full: VecDeque::new(),
            current,
            message_bytes: 0,
            rows: 0,
        }
    }

    /// Appends a row: an encoded `KeyValue`.
    pub(crate) fn push(&mut self, row: &[u8]) {
        let len = 1 + encoded_len_varint(row.len() as u64) + row.len();
        if self.current.len() + len > PIECE_BYTES && !self.current.is_empty() {
            let piece = std::mem::replace(&mut self.current, BytesMut::with_capacity(PIECE_BYTES));
            self.full.push_back(piece.freeze());
        }
        self.current.put_u8(KVS_TAG);
        encode_varint(row.len() as u64, &mut self.current);
        self.current.put_slice(row);
        self.message_bytes += len;
        self.rows += 1;
    }

    /// How many rows are in.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes the rows take.
    pub(crate) fn row_bytes(&self) -> usize {
        self.message_bytes
    }

    /// The whole message with its prefix. Without a header, as the pieces of a range stream are, `header` is `None`.
    pub(crate) fn finish(
        mut self,
        header: Option<&ResponseHeader>,
        more: bool,
        count: i64,
    ) -> VecDeque<Bytes> {
        let before = self.current.len();
        if more {
            self.current.put_slice(&[MORE_TAG, 1]);
        }
        if count != 0 {
            self.current.put_u8(COUNT_TAG);
            encode_varint(count as u64, &mut self.current);
        }
        self.message_bytes += self.current.len() - before;
        self.full.push_back(self.current.freeze());
        let front = front(header, self.message_bytes);
        let first = self.full.front_mut().expect("one piece was just pushed");
        *first = fill_room(std::mem::take(first), &front);
        self.full
    }
}

/// The prefix of the whole message, and its header field.
fn front(header: Option<&ResponseHeader>, message_bytes: usize) -> BytesMut {
    let mut field = BytesMut::with_capacity(ROOM_BYTES);
    if let Some(header) = header {
        field.put_u8(HEADER_TAG);
        header
            .encode_length_delimited(&mut field)
            .expect("the buffer grows");
    }
    let mut front = BytesMut::with_capacity(ROOM_BYTES);
    put_prefix(&mut front, field.len() + message_bytes);
    front.extend_from_slice(&field);
    front
}

/// Puts the front into the end of the room and cuts off what is left of it.
fn fill_room(piece: Bytes, front: &[u8]) -> Bytes {
    let mut piece = piece
        .try_into_mut()
        .expect("nobody else has seen the piece");
    let start = ROOM_BYTES - front.len();
    piece[start..ROOM_BYTES].copy_from_slice(front);
    piece.freeze().slice(start..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrod_proto::etcdserverpb::RangeResponse;
    use ferrod_proto::mvccpb::KeyValue;

    fn decode(pieces: VecDeque<Bytes>) -> RangeResponse {
        let all: Vec<u8> = pieces.iter().flatten().copied().collect();
        assert_eq!(all[0], 0);
        let len = u32::from_be_bytes(all[1..5].try_into().unwrap()) as usize;
        assert_eq!(all.len(), PREFIX_BYTES + len);
        RangeResponse::decode(&all[PREFIX_BYTES..]).unwrap()
    }

    #[test]
    fn answers_decode_to_what_was_put_in() {
        let header = ResponseHeader {
            cluster_id: u64::MAX,
            member_id: u64::MAX,
            revision: i64::MAX,
            raft_term: u64::MAX,
        };
        for (rows, value_len) in [(0, 0), (1, 10), (3, 300_000), (2000, 500)] {
            let kvs: Vec<KeyValue> = (0..rows)
                .map(|i| KeyValue {
                    key: format!("k{i}").into(),
                    value: vec![7; value_len].into(),
                    mod_revision: i,
                    ..KeyValue::default()
                })
                .collect();
            let mut reply = RangeReply::new();
            kvs.iter().for_each(|kv| reply.push(&kv.encode_to_vec()));
            assert_eq!(reply.rows(), kvs.len());
            let answer = decode(reply.finish(Some(&header), true, rows));
            let want = RangeResponse {
                header: Some(header),
                kvs,
                more: true,
                count: rows,
            };
            assert_eq!(answer, want);
        }
        assert_eq!(
            decode(RangeReply::new().finish(None, false, 0)),
            RangeResponse::default()
        );
    }
}
