//! Membership as raft sees it: who votes, who learns, and one change of it.

use bytes::Bytes;
use prost::Message as _;

use crate::MemberId;

/// Who counts for a quorum and who receives without voting.
///
/// The state machine stores it together with the applied index and gives it back at start. Both
/// lists are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfState {
    /// Members that count for a quorum.
    pub voters: Vec<MemberId>,
    /// Members that receive the log without voting.
    pub learners: Vec<MemberId>,
}

impl ConfState {
    /// Sorts both lists, so that equal configurations are equal values.
    #[must_use]
    pub fn new(mut voters: Vec<MemberId>, mut learners: Vec<MemberId>) -> ConfState {
        voters.sort_unstable();
        learners.sort_unstable();
        ConfState { voters, learners }
    }

    /// Why raft could not start from this configuration.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let mut all: Vec<_> = self.voters.iter().chain(&self.learners).collect();
        all.sort_unstable();
        if all.first() == Some(&&MemberId::NONE) {
            return Some("member id 0");
        }
        if all.windows(2).any(|pair| pair[0] == pair[1]) {
            return Some("a member twice");
        }
        if self.voters.is_empty() && !self.learners.is_empty() {
            return Some("learners without a voter");
        }
        None
    }
}

/// What a change of membership does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfChangeKind {
    /// Adds a voter, or makes a learner one.
    AddVoter,
    /// Removes a member for ever.
    Remove,
    /// Changes what is known about a member; quorums stay as they are.
    Update,
    /// Adds a member that does not vote.
    AddLearner,
}

/// One change of membership: one member at a time, never a joint configuration.
///
/// Encoded as etcd's `raftpb.ConfChange` (same field numbers and values), so that foreign tools can
/// read the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfChange {
    /// The proposer's number for it; opaque.
    pub id: u64,
    /// What happens.
    pub kind: ConfChangeKind,
    /// To whom.
    pub member: MemberId,
    /// What the state machine wants to know about the member; opaque.
    pub context: Bytes,
}

/// Field numbers and values of etcd's message.
#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(uint64, tag = "3")]
    member: u64,
    #[prost(bytes = "bytes", tag = "4")]
    context: Bytes,
}

impl ConfChange {
    /// The payload of the entry.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let kind = match self.kind {
            ConfChangeKind::AddVoter => 0,
            ConfChangeKind::Remove => 1,
            ConfChangeKind::Update => 2,
            ConfChangeKind::AddLearner => 3,
        };
        let wire = Wire {
            id: self.id,
            kind,
            member: self.member.0,
            context: self.context.clone(),
        };
        wire.encode_to_vec().into()
    }

    /// Reads an entry's payload; `None` if it is not one.
    #[must_use]
    pub fn decode(payload: Bytes) -> Option<ConfChange> {
        let wire = Wire::decode(payload).ok()?;
        let kind = match wire.kind {
            0 => ConfChangeKind::AddVoter,
            1 => ConfChangeKind::Remove,
            2 => ConfChangeKind::Update,
            3 => ConfChangeKind::AddLearner,
            _ => return None,
        };
        let member = MemberId(wire.member).known()?;
        Some(ConfChange {
            id: wire.id,
            kind,
            member,
            context: wire.context,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_etcd_does() {
        let change = ConfChange {
            id: 1,
            kind: ConfChangeKind::AddLearner,
            member: MemberId(300),
            context: Bytes::from_static(b"{}"),
        };
        let bytes = change.encode();
        assert_eq!(
            bytes[..],
            [0x08, 1, 0x10, 3, 0x18, 0xac, 2, 0x22, 2, b'{', b'}']
        );
        assert_eq!(ConfChange::decode(bytes), Some(change));
    }

    #[test]
    fn refuses_what_is_no_change() {
        for payload in [&b"\xff\xff"[..], b"", b"\x10\x09\x18\x01"] {
            assert_eq!(ConfChange::decode(Bytes::from_static(payload)), None);
        }
    }

    #[test]
    fn finds_flaws() {
        let ids = |ids: &[u64]| ids.iter().map(|id| MemberId(*id)).collect::<Vec<_>>();
        let flaw = |voters, learners| ConfState::new(ids(voters), ids(learners)).flaw();
        assert_eq!(flaw(&[3, 1], &[2]), None);
        assert_eq!(flaw(&[], &[]), None);
        assert!(flaw(&[1, 0], &[]).is_some());
        assert!(flaw(&[1, 2], &[2]).is_some());
        assert!(flaw(&[], &[2]).is_some());
    }
}
