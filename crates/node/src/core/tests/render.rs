//! Actions and messages as lines of a trace.

use crate::{
    Action, AppliedChange, CommittedChange, ConfChange, ConfState, Entry, EntryKind, HardState,
    LogIndex, MemberId, PeerBody, PeerMessage, Role, SoftState, StateMeta, Term,
};

pub(super) fn action(action: &Action) -> Vec<String> {
    let line = match action {
        Action::RoleChanged(state) => role(state),
        Action::Send(messages) => {
            return messages
                .iter()
                .map(|message| format!("send {}", self::message(message)))
                .collect();
        }
        Action::Persist(batch) => {
            let mut parts = vec![format!("persist #{}", batch.number.0)];
            parts.extend(batch.state.as_ref().map(state));
            parts.extend(batch.entries.iter().map(entry));
            parts.extend(batch.hard_state.as_ref().map(hard_state));
            if !batch.sync {
                parts.push("without sync".to_owned());
            }
            parts.join(", ")
        }
        Action::Apply(entries) => format!("apply {}", self::entries(entries)),
        Action::JudgeChange(change) => format!("judge {}", committed_change(change)),
        Action::ApplyChange(AppliedChange {
            committed,
            conf_state: None,
        }) => {
            format!("refuse {}", committed_change(committed))
        }
        Action::ApplyChange(AppliedChange {
            committed,
            conf_state: Some(conf),
        }) => {
            format!(
                "change {} -> {}",
                committed_change(committed),
                self::conf(conf)
            )
        }
        Action::CampaignSoon { permille } => format!("campaign in {permille}"),
        Action::Fetch(fetch) => format!("fetch from {} to {}", fetch.low, fetch.high.0 - 1),
        Action::OfferState { to } => format!("offer state to {to}"),
        Action::WithdrawState { to } => format!("withdraw state from {to}"),
        Action::RefuseState(state) => format!("refuse {}", self::state(state)),
        Action::InstallState(state) => format!("install {}", self::state(state)),
        Action::ReadReady { reads, index } => {
            format!("reads {} at {index}", numbers(reads.iter().map(|r| r.0)))
        }
        Action::ReadFailed { reads, reason } => {
            format!(
                "reads {} failed: {reason}",
                numbers(reads.iter().map(|r| r.0))
            )
        }
        Action::Refused { from, refusal } => {
            let hangs_up = if refusal.is_absurd() { ", hang up" } else { "" };
            format!("refuse {from}: {refusal}{hangs_up}")
        }
        Action::Contradicted(contradiction) => format!("fail: {contradiction}"),
        Action::Forgotten(forgotten) => format!("fail: {forgotten}"),
        Action::Dropped { ids, reason } => {
            format!("dropped {}: {reason}", numbers(ids.iter().map(|id| id.0)))
        }
    };
    vec![line]
}

fn conf(conf: &ConfState) -> String {
    let ids = |ids: &[MemberId]| {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        ids.join(" ")
    };
    let learners = if conf.learners.is_empty() {
        String::new()
    } else {
        format!(" learners {}", ids(&conf.learners))
    };
    format!("voters {}{learners}", ids(&conf.voters))
}

fn state(state: &StateMeta) -> String {
    let place = at(state.index, state.term);
    format!("state at {place} of {}", conf(&state.conf))
}

fn numbers(numbers: impl Iterator<Item = u64>) -> String {
    numbers
        .map(|number| number.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

fn role(state: &SoftState) -> String {
    let role = match state.role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    };
    match state.leader.known() {
        Some(leader) => format!("{role} of term {}, leader {leader}", state.term),
        None => format!("{role} of term {}", state.term),
    }
}

fn hard_state(state: &HardState) -> String {
    format!(
        "hard state term {} vote {} commit {}",
        state.term, state.vote, state.commit
    )
}

/// Index, term and what is in it.
fn entry(entry: &Entry) -> String {
    let place = at(entry.index, entry.term);
    match entry.kind {
        EntryKind::ConfChange => match ConfChange::decode(entry.payload.clone()) {
            Some(change) => format!("{place} {}", self::change(&change)),
            None => format!("{place} malformed change"),
        },
        EntryKind::Normal if entry.payload.is_empty() => format!("{place} empty"),
        EntryKind::Normal => format!("{place} {:?}", String::from_utf8_lossy(&entry.payload)),
    }
}

fn entries(entries: &[Entry]) -> String {
    entries.iter().map(entry).collect::<Vec<_>>().join(", ")
}

fn change(change: &ConfChange) -> String {
    format!("{:?} {}", change.kind, change.member)
}

fn committed_change(committed: &CommittedChange) -> String {
    format!(
        "{} {}",
        at(committed.index, committed.term),
        change(&committed.change)
    )
}

/// `index@term`.
fn at(index: LogIndex, term: Term) -> String {
    format!("{index}@{term}")
}

pub(super) fn message(message: &PeerMessage) -> String {
    let body = match &message.body {
        PeerBody::Append {
            prev_index,
            prev_term,
            commit,
            entries,
        } => {
            format!(
                "append after {} [{}] commit {commit}",
                at(*prev_index, *prev_term),
                self::entries(entries)
            )
        }
        PeerBody::Accepted { index, commit } => format!("accepted {index} commit {commit}"),
        PeerBody::Rejected {
            index,
            hint_index,
            hint_term,
            commit,
        } => {
            format!(
                "rejected {index}, try {} commit {commit}",
                at(*hint_index, *hint_term)
            )
        }
        PeerBody::Heartbeat { commit, context } => {
            format!("heartbeat commit {commit}{}", self::context(context))
        }
        PeerBody::HeartbeatAnswer { commit, context } => {
            format!("heartbeat answer commit {commit}{}", self::context(context))
        }
        PeerBody::Vote {
            pre,
            last_index,
            last_term,
            commit,
            commit_term,
            transfer,
        } => {
            let kind = if *pre { "pre-vote" } else { "vote" };
            let transfer = if *transfer { " for transfer" } else { "" };
            let (last, commit) = (at(*last_index, *last_term), at(*commit, *commit_term));
            format!("{kind} with log to {last} commit {commit}{transfer}")
        }
        PeerBody::VoteAnswer { pre, granted, .. } => {
            let kind = if *pre { "pre-vote" } else { "vote" };
            format!("{kind} {}", if *granted { "granted" } else { "refused" })
        }
        PeerBody::TimeoutNow => "timeout now".to_owned(),
        PeerBody::State(state) => self::state(state),
        PeerBody::ReadIndex { context } => format!("read index{}", self::context(context)),
        PeerBody::ReadIndexAnswer { index, context } => {
            format!("read index answer {index}{}", self::context(context))
        }
        PeerBody::Propose(forward) => {
            let payloads = forward
                .proposals
                .iter()
                .map(|(_, payload)| String::from_utf8_lossy(payload));
            format!(
                "propose #{} {:?}",
                forward.number,
                payloads.collect::<Vec<_>>()
            )
        }
    };
    format!(
        "{}->{} term {} {body}",
        message.from, message.to, message.term
    )
}

/// Member, boot and counter of a read.
fn context(context: &[u8]) -> String {
    let words: Vec<_> = context
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_be_bytes(*word).to_string())
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(" context {}", words.join("/"))
    }
}
