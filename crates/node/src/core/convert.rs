//! Between raft-rs's types and ours, in both directions and nowhere else.

use bytes::Bytes;
use raft::eraftpb::{self, MessageType};

use crate::{
    ConfChange, ConfChangeKind, ConfState, Entry, EntryKind, HardState, LogIndex, MemberId,
    PeerBody, PeerMessage, StateMeta, Term,
};

/// raft-rs marks the votes that a leader itself asked for with this context.
const TRANSFER: &[u8] = b"CampaignTransfer";

/// Our entry from raft-rs's. The conf change form that raft-rs calls V2 is never made here.
pub(super) fn entry(entry: &eraftpb::Entry) -> Entry {
    let (kind, payload) = match entry.entry_type {
        eraftpb::EntryType::EntryNormal => (EntryKind::Normal, &entry.data),
        eraftpb::EntryType::EntryConfChange | eraftpb::EntryType::EntryConfChangeV2 => {
            (EntryKind::ConfChange, &entry.context)
        }
    };
    Entry {
        index: LogIndex(entry.index),
        term: Term(entry.term),
        kind,
        payload: payload.clone(),
    }
}

/// raft-rs's entry from ours.
pub(super) fn raft_entry(entry: Entry) -> eraftpb::Entry {
    eraftpb::Entry {
        index: entry.index.0,
        term: entry.term.0,
        ..proposal(entry.kind, entry.payload)
    }
}

/// An entry that gets its index and term from the leader.
///
/// raft-rs parses the data of a proposed change, and knows fewer kinds of change than there are. It
/// gets no data, which it takes for an ordinary change of one member; what happens is decided when
/// the entry is applied.
pub(super) fn proposal(kind: EntryKind, payload: Bytes) -> eraftpb::Entry {
    let (entry_type, data, context) = match kind {
        EntryKind::Normal => (eraftpb::EntryType::EntryNormal, payload, Bytes::new()),
        EntryKind::ConfChange => (eraftpb::EntryType::EntryConfChange, Bytes::new(), payload),
    };
    eraftpb::Entry {
        entry_type,
        data,
        context,
        ..eraftpb::Entry::default()
    }
}

/// Our hard state from raft-rs's.
pub(super) fn hard_state(state: &eraftpb::HardState) -> HardState {
    HardState {
        term: Term(state.term),
        vote: MemberId(state.vote),
        commit: LogIndex(state.commit),
    }
}

/// raft-rs's hard state from ours.
pub(super) fn raft_hard_state(state: HardState) -> eraftpb::HardState {
    eraftpb::HardState {
        term: state.term.0,
        vote: state.vote.0,
        commit: state.commit.0,
        ..eraftpb::HardState::default()
    }
}

/// Our conf state from raft-rs's, which is never joint here.
pub(super) fn conf_state(state: &eraftpb::ConfState) -> ConfState {
    assert!(
        state.voters_outgoing.is_empty() && state.learners_next.is_empty() && !state.auto_leave,
        "members change one at a time, so no configuration is joint"
    );
    let ids = |ids: &[u64]| ids.iter().map(|id| MemberId(*id)).collect();
    ConfState::new(ids(&state.voters), ids(&state.learners))
}

/// raft-rs's conf state from ours.
pub(super) fn raft_conf_state(state: &ConfState) -> eraftpb::ConfState {
    let ids = |ids: &[MemberId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    let (voters, learners) = (ids(&state.voters), ids(&state.learners));
    eraftpb::ConfState {
        voters,
        learners,
        ..eraftpb::ConfState::default()
    }
}

/// What a copy of the state is, from raft-rs's snapshot, which never has data here.
pub(super) fn state(snapshot: &eraftpb::Snapshot) -> StateMeta {
    let meta = snapshot.get_metadata();
    StateMeta {
        index: LogIndex(meta.index),
        term: Term(meta.term),
        conf: conf_state(meta.get_conf_state()),
    }
}

/// raft-rs's snapshot for a copy of the state.
pub(super) fn raft_snapshot(state: &StateMeta) -> eraftpb::Snapshot {
    let mut snapshot = eraftpb::Snapshot::default();
    let meta = snapshot.mut_metadata();
    meta.index = state.index.0;
    meta.term = state.term.0;
    meta.set_conf_state(raft_conf_state(&state.conf));
    snapshot
}

/// raft-rs's form of a change; `None` if quorums stay as they are.
pub(super) fn raft_conf_change(change: &ConfChange) -> Option<eraftpb::ConfChange> {
    let change_type = match change.kind {
        ConfChangeKind::AddVoter => eraftpb::ConfChangeType::AddNode,
        ConfChangeKind::Remove => eraftpb::ConfChangeType::RemoveNode,
        ConfChangeKind::AddLearner => eraftpb::ConfChangeType::AddLearnerNode,
        ConfChangeKind::Update => return None,
    };
    Some(eraftpb::ConfChange {
        change_type,
        node_id: change.member.0,
        ..eraftpb::ConfChange::default()
    })
}

/// Our message from raft-rs's. `None` for what never travels: local types, forwarded proposals
/// (ours are [`PeerBody::Propose`]).
pub(super) fn message(message: eraftpb::Message) -> Option<PeerMessage> {
    let body = match message.msg_type {
        MessageType::MsgAppend => PeerBody::Append {
            prev_index: LogIndex(message.index),
            prev_term: Term(message.log_term),
            commit: LogIndex(message.commit),
            entries: message.entries.iter().map(entry).collect(),
        },
        MessageType::MsgAppendResponse if message.reject => PeerBody::Rejected {
            index: LogIndex(message.index),
            hint_index: LogIndex(message.reject_hint),
            hint_term: Term(message.log_term),
            commit: LogIndex(message.commit),
        },
        MessageType::MsgAppendResponse => PeerBody::Accepted {
            index: LogIndex(message.index),
            commit: LogIndex(message.commit),
        },
        MessageType::MsgHeartbeat => PeerBody::Heartbeat {
            commit: LogIndex(message.commit),
            context: message.context,
        },
        MessageType::MsgHeartbeatResponse => PeerBody::HeartbeatAnswer {
            commit: LogIndex(message.commit),
            context: message.context,
        },
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => PeerBody::Vote {
            pre: message.msg_type == MessageType::MsgRequestPreVote,
            last_index: LogIndex(message.index),
            last_term: Term(message.log_term),
            commit: LogIndex(message.commit),
            commit_term: Term(message.commit_term),
            transfer: message.context == TRANSFER,
        },
        MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse => {
            PeerBody::VoteAnswer {
                pre: message.msg_type == MessageType::MsgRequestPreVoteResponse,
                granted: !message.reject,
                commit: LogIndex(message.commit),
                commit_term: Term(message.commit_term),
            }
        }
        MessageType::MsgSnapshot => PeerBody::State(state(message.get_snapshot())),
        MessageType::MsgTimeoutNow => PeerBody::TimeoutNow,
        MessageType::MsgReadIndex => PeerBody::ReadIndex {
            context: context(&message)?,
        },
        MessageType::MsgReadIndexResp => PeerBody::ReadIndexAnswer {
            index: LogIndex(message.index),
            context: context(&message)?,
        },
        MessageType::MsgHup
        | MessageType::MsgBeat
        | MessageType::MsgPropose
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum
        | MessageType::MsgTransferLeader => return None,
    };
    Some(PeerMessage {
        from: MemberId(message.from),
        to: MemberId(message.to),
        term: Term(message.term),
        body,
    })
}

/// raft-rs's message from ours, which the validator has passed. `None` for [`PeerBody::Propose`],
/// which raft-rs never sees as a message.
pub(super) fn raft_message(message: PeerMessage) -> Option<eraftpb::Message> {
    let mut raft = eraftpb::Message {
        from: message.from.0,
        to: message.to.0,
        term: message.term.0,
        ..eraftpb::Message::default()
    };
    raft.msg_type = match message.body {
        PeerBody::Append {
            prev_index,
            prev_term,
            commit,
            entries,
        } => {
            raft.index = prev_index.0;
            raft.log_term = prev_term.0;
            raft.commit = commit.0;
            raft.entries = entries
                .into_iter()
                .map(raft_entry)
                .collect::<Vec<_>>()
                .into();
            MessageType::MsgAppend
        }
        PeerBody::Accepted { index, commit } => {
            raft.index = index.0;
            raft.commit = commit.0;
            MessageType::MsgAppendResponse
        }
        PeerBody::Rejected {
            index,
            hint_index,
            hint_term,
            commit,
        } => {
            raft.index = index.0;
            raft.reject = true;
            raft.reject_hint = hint_index.0;
            raft.log_term = hint_term.0;
            raft.commit = commit.0;
            MessageType::MsgAppendResponse
        }
        PeerBody::Heartbeat { commit, context } => {
            raft.commit = commit.0;
            raft.context = context;
            MessageType::MsgHeartbeat
        }
        PeerBody::HeartbeatAnswer { commit, context } => {
            raft.commit = commit.0;
            raft.context = context;
            MessageType::MsgHeartbeatResponse
        }
        PeerBody::Vote {
            pre,
            last_index,
            last_term,
            commit,
            commit_term,
            transfer,
        } => {
            raft.index = last_index.0;
            raft.log_term = last_term.0;
            raft.commit = commit.0;
            raft.commit_term = commit_term.0;
            raft.context = if transfer {
                Bytes::from_static(TRANSFER)
            } else {
                Bytes::new()
            };
            if pre {
                MessageType::MsgRequestPreVote
            } else {
                MessageType::MsgRequestVote
            }
        }
        PeerBody::VoteAnswer {
            pre,
            granted,
            commit,
            commit_term,
        } => {
            raft.reject = !granted;
            raft.commit = commit.0;
            raft.commit_term = commit_term.0;
            if pre {
                MessageType::MsgRequestPreVoteResponse
            } else {
                MessageType::MsgRequestVoteResponse
            }
        }
        PeerBody::TimeoutNow => MessageType::MsgTimeoutNow,
        PeerBody::ReadIndex { context } => {
            raft.entries = vec![proposal(EntryKind::Normal, context)].into();
            MessageType::MsgReadIndex
        }
        PeerBody::ReadIndexAnswer { index, context } => {
            raft.index = index.0;
            raft.entries = vec![proposal(EntryKind::Normal, context)].into();
            MessageType::MsgReadIndexResp
        }
        PeerBody::State(state) => {
            raft.set_snapshot(raft_snapshot(&state));
            MessageType::MsgSnapshot
        }
        PeerBody::Propose(_) => return None,
    };
    Some(raft)
}

fn context(message: &eraftpb::Message) -> Option<Bytes> {
    message.entries.first().map(|entry| entry.data.clone())
}
