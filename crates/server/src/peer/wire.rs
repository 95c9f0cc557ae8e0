//! Between the node's messages and what travels: written out, in both directions and nowhere else.
//!
//! Only the form is judged here: what cannot be a message at all is refused, with the connection. Whether a message makes
//! sense at this moment is the node's to judge.

use ferrod_node::{Entry, EntryKind, Forward, LogIndex, MemberId, PeerBody, PeerMessage, Term};
use ferrod_proto::peer::{self, message::Body};

/// Why something that came from a peer is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A message of a kind that this version does not know, or of none.
    #[error("message without a known body")]
    Body,
    /// An entry or proposal of a kind that this version does not know.
    #[error("entry of an unknown kind {0}")]
    EntryKind(i32),
    /// An index that does not fit.
    #[error("index out of range")]
    Index,
}

/// What goes to a peer; `None` for a copy of the state, which travels by a call of its own.
pub(crate) fn encode(message: PeerMessage) -> Option<peer::Message> {
    let term = message.term.0;
    let body = Some(body(message.body)?);
    Some(peer::Message { term, body })
}

/// What came from `from` for `to`.
///
/// # Errors
/// [`WireError`]
pub fn decode(
    message: peer::Message,
    from: MemberId,
    to: MemberId,
) -> Result<PeerMessage, WireError> {
    let body = peer_body(message.body.ok_or(WireError::Body)?)?;
    let term = Term(message.term);
    Ok(PeerMessage {
        from,
        to,
        term,
        body,
    })
}

fn body(body: PeerBody) -> Option<Body> {
    Some(match body {
        PeerBody::State(_) => return None,
        PeerBody::Append {
            prev_index,
            prev_term,
            commit,
            entries,
        } => Body::Append(peer::Append {
            prev_index: prev_index.0,
            prev_term: prev_term.0,
            commit: commit.0,
            entries: entries.into_iter().map(entry).collect(),
        }),
        PeerBody::Accepted { index, commit } => Body::Accepted(peer::Accepted {
            index: index.0,
            commit: commit.0,
        }),
        PeerBody::Rejected {
            index,
            hint_index,
            hint_term,
            commit,
        } => Body::Rejected(peer::Rejected {
            index: index.0,
            hint_index: hint_index.0,
            hint_term: hint_term.0,
            commit: commit.0,
        }),
        PeerBody::Heartbeat { commit, context } => Body::Heartbeat(peer::Heartbeat {
            commit: commit.0,
            context,
        }),
        PeerBody::HeartbeatAnswer { commit, context } => Body::HeartbeatAnswer(peer::Heartbeat {
            commit: commit.0,
            context,
        }),
        PeerBody::Vote {
            pre,
            last_index,
            last_term,
            commit,
            commit_term,
            transfer,
        } => Body::Vote(peer::Vote {
            pre,
            last_index: last_index.0,
            last_term: last_term.0,
            commit: commit.0,
            commit_term: commit_term.0,
            transfer,
        }),
        PeerBody::VoteAnswer {
            pre,
            granted,
            commit,
            commit_term,
        } => Body::VoteAnswer(peer::VoteAnswer {
            pre,
            granted,
            commit: commit.0,
            commit_term: commit_term.0,
        }),
        PeerBody::TimeoutNow => Body::TimeoutNow(peer::TimeoutNow {}),
        PeerBody::ReadIndex { context } => Body::ReadIndex(peer::ReadIndex { context }),
        PeerBody::ReadIndexAnswer { index, context } => {
            Body::ReadIndexAnswer(peer::ReadIndexAnswer {
                index: index.0,
                context,
            })
        }
        PeerBody::Propose(forward) => Body::Propose(peer::Forward {
            nonce: forward.nonce,
            number: forward.number,
            proposals: forward.proposals.into_iter().map(proposal).collect(),
        }),
    })
}

fn peer_body(body: Body) -> Result<PeerBody, WireError> {
    Ok(match body {
        Body::Append(append) => PeerBody::Append {
            prev_index: LogIndex(append.prev_index),
            prev_term: Term(append.prev_term),
            commit: LogIndex(append.commit),
            entries: entries(append.prev_index, append.entries)?,
        },
        Body::Accepted(accepted) => PeerBody::Accepted {
            index: LogIndex(accepted.index),
            commit: LogIndex(accepted.commit),
        },
        Body::Rejected(rejected) => PeerBody::Rejected {
            index: LogIndex(rejected.index),
            hint_index: LogIndex(rejected.hint_index),
            hint_term: Term(rejected.hint_term),
            commit: LogIndex(rejected.commit),
        },
        Body::Heartbeat(heartbeat) => PeerBody::Heartbeat {
            commit: LogIndex(heartbeat.commit),
            context: heartbeat.context,
        },
        Body::HeartbeatAnswer(answer) => PeerBody::HeartbeatAnswer {
            commit: LogIndex(answer.commit),
            context: answer.context,
        },
        Body::Vote(vote) => PeerBody::Vote {
            pre: vote.pre,
            last_index: LogIndex(vote.last_index),
            last_term: Term(vote.last_term),
            commit: LogIndex(vote.commit),
            commit_term: Term(vote.commit_term),
            transfer: vote.transfer,
        },
        Body::VoteAnswer(answer) => PeerBody::VoteAnswer {
            pre: answer.pre,
            granted: answer.granted,
            commit: LogIndex(answer.commit),
            commit_term: Term(answer.commit_term),
        },
        Body::TimeoutNow(_) => PeerBody::TimeoutNow,
        Body::ReadIndex(read) => PeerBody::ReadIndex {
            context: read.context,
        },
        Body::ReadIndexAnswer(answer) => PeerBody::ReadIndexAnswer {
            index: LogIndex(answer.index),
            context: answer.context,
        },
        Body::Propose(forward) => PeerBody::Propose(Forward {
            nonce: forward.nonce,
            number: forward.number,
            proposals: forward
                .proposals
                .into_iter()
                .map(|proposal| Ok((entry_kind(proposal.kind)?, proposal.payload)))
                .collect::<Result<_, _>>()?,
        }),
    })
}

fn entry(entry: Entry) -> peer::Entry {
    peer::Entry {
        term: entry.term.0,
        kind: wire_kind(entry.kind) as i32,
        payload: entry.payload,
    }
}

/// Indexes do not travel: entries follow each other.
fn entries(prev_index: u64, entries: Vec<peer::Entry>) -> Result<Vec<Entry>, WireError> {
    prev_index
        .checked_add(entries.len() as u64 + 1)
        .ok_or(WireError::Index)?;
    // An open range from the first index would step past the last one, and may overflow there.
    (1..=entries.len() as u64)
        .zip(entries)
        .map(|(offset, entry)| {
            Ok(Entry {
                index: LogIndex(prev_index + offset),
                term: Term(entry.term),
                kind: entry_kind(entry.kind)?,
                payload: entry.payload,
            })
        })
        .collect()
}

fn proposal((kind, payload): (EntryKind, bytes::Bytes)) -> peer::Proposal {
    peer::Proposal {
        kind: wire_kind(kind) as i32,
        payload,
    }
}

fn wire_kind(kind: EntryKind) -> peer::EntryKind {
    match kind {
        EntryKind::Normal => peer::EntryKind::Normal,
        EntryKind::ConfChange => peer::EntryKind::ConfChange,
    }
}

fn entry_kind(kind: i32) -> Result<EntryKind, WireError> {
    match peer::EntryKind::try_from(kind) {
        Ok(peer::EntryKind::Normal) => Ok(EntryKind::Normal),
        Ok(peer::EntryKind::ConfChange) => Ok(EntryKind::ConfChange),
        Err(_) => Err(WireError::EntryKind(kind)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::*;

    fn samples() -> Vec<PeerBody> {
        let context = Bytes::from_static(b"context");
        let entry = |index, kind| Entry {
            index: LogIndex(index),
            term: Term(3),
            kind,
            payload: Bytes::from_static(b"payload"),
        };
        let vote = |pre, transfer| PeerBody::Vote {
            pre,
            last_index: LogIndex(1),
            last_term: Term(2),
            commit: LogIndex(3),
            commit_term: Term(4),
            transfer,
        };
        vec![
            PeerBody::Append {
                prev_index: LogIndex(7),
                prev_term: Term(2),
                commit: LogIndex(5),
                entries: vec![entry(8, EntryKind::Normal), entry(9, EntryKind::ConfChange)],
            },
            PeerBody::Accepted {
                index: LogIndex(1),
                commit: LogIndex(2),
            },
            PeerBody::Rejected {
                index: LogIndex(1),
                hint_index: LogIndex(2),
                hint_term: Term(3),
                commit: LogIndex(4),
            },
            PeerBody::Heartbeat {
                commit: LogIndex(1),
                context: context.clone(),
            },
            PeerBody::HeartbeatAnswer {
                commit: LogIndex(1),
                context: context.clone(),
            },
            vote(true, false),
            vote(false, true),
            PeerBody::VoteAnswer {
                pre: true,
                granted: true,
                commit: LogIndex(1),
                commit_term: Term(2),
            },
            PeerBody::TimeoutNow,
            PeerBody::ReadIndex {
                context: context.clone(),
            },
            PeerBody::ReadIndexAnswer {
                index: LogIndex(1),
                context,
            },
            PeerBody::Propose(Forward {
                nonce: 1,
                number: 2,
                proposals: vec![(EntryKind::ConfChange, Bytes::from_static(b"p"))],
            }),
        ]
    }

    #[test]
    fn every_message_arrives_as_it_was_sent() {
        for body in samples() {
            let message = PeerMessage {
                from: MemberId(1),
                to: MemberId(2),
                term: Term(9),
                body,
            };
            let bytes = Bytes::from(encode(message.clone()).unwrap().encode_to_vec());
            let wire = peer::Message::decode(bytes).unwrap();
            assert_eq!(decode(wire, MemberId(1), MemberId(2)), Ok(message));
        }
    }

    /// covers: P-A-09
    #[test]
    fn what_is_no_message_is_refused() {
        let decoded = |body| decode(peer::Message { term: 1, body }, MemberId(1), MemberId(2));
        assert_eq!(decoded(None), Err(WireError::Body));
        let entry = peer::Entry {
            kind: 7,
            ..peer::Entry::default()
        };
        let append = |prev_index, entry: &peer::Entry| {
            Some(Body::Append(peer::Append {
                prev_index,
                entries: vec![entry.clone()],
                ..peer::Append::default()
            }))
        };
        assert_eq!(decoded(append(1, &entry)), Err(WireError::EntryKind(7)));
        let entry = peer::Entry::default();
        assert_eq!(decoded(append(u64::MAX, &entry)), Err(WireError::Index));
        assert_eq!(decoded(append(u64::MAX - 1, &entry)), Err(WireError::Index));
        assert!(decoded(append(u64::MAX - 2, &entry)).is_ok());
    }
}
