//! Which messages must not wait for which.

use ferrod_node::PeerBody;
use ferrod_proto::peer;

/// One of the two ways to a peer, each a connection of its own: on a shared one, a heartbeat would wait behind
/// megabytes of entries in the buffers of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Small messages that must not wait.
    Urgent,
    /// Entries and proposals.
    Bulk,
}

impl Lane {
    pub(super) const ALL: [Lane; 2] = [Lane::Urgent, Lane::Bulk];

    /// The lane of a message.
    ///
    /// Answers to appends are urgent: behind forwarded proposals they would hold up the leader's pipeline.
    pub(super) fn of(body: &PeerBody) -> Lane {
        match body {
            PeerBody::Append { .. } | PeerBody::Propose(_) | PeerBody::State(_) => Lane::Bulk,
            PeerBody::Accepted { .. }
            | PeerBody::Rejected { .. }
            | PeerBody::Heartbeat { .. }
            | PeerBody::HeartbeatAnswer { .. }
            | PeerBody::Vote { .. }
            | PeerBody::VoteAnswer { .. }
            | PeerBody::TimeoutNow
            | PeerBody::ReadIndex { .. }
            | PeerBody::ReadIndexAnswer { .. } => Lane::Urgent,
        }
    }

    /// Bytes that may wait on it.
    pub(super) fn bytes_max(self) -> usize {
        match self {
            Lane::Urgent => 4 << 20,
            Lane::Bulk => 64 << 20,
        }
    }

    /// Its name in etcd's log lines.
    pub(super) fn etcd_name(self) -> &'static str {
        match self {
            Lane::Urgent => "stream Message",
            Lane::Bulk => "stream MsgApp v2",
        }
    }

    pub(super) fn wire(self) -> peer::Lane {
        match self {
            Lane::Urgent => peer::Lane::Urgent,
            Lane::Bulk => peer::Lane::Bulk,
        }
    }

    pub(super) fn from_wire(lane: i32) -> Option<Lane> {
        match peer::Lane::try_from(lane) {
            Ok(peer::Lane::Urgent) => Some(Lane::Urgent),
            Ok(peer::Lane::Bulk) => Some(Lane::Bulk),
            Ok(peer::Lane::Unknown) | Err(_) => None,
        }
    }
}
