//! The lines in the log about changes of membership, worded as etcd's: people and tools look for them.

use ferrod_node::{ConfChange, ConfChangeKind, MemberId};
use ferrod_proto::ApiError;
use ferrod_store::{MemberChange, Members};

use crate::ids::ClusterId;

/// Says what became of a change that came out of the log; `members` are those after it.
pub(crate) fn applied(
    cluster: ClusterId,
    local: MemberId,
    change: &ConfChange,
    members: &Members,
    verdict: Result<(), ApiError>,
) {
    let id = change.member;
    if let Err(error) = verdict {
        tracing::warn!(
            "local-member-id" = %local,
            "raft-conf-change-node-id" = %id,
            error = error.text(),
            "rejected a configuration change from raft"
        );
        return;
    }
    let member = members.present.get(&id.0);
    let urls = member.map(|member| member.peer_urls.join(","));
    let learner = member.is_some_and(|member| member.is_learner);
    match super::of_entry(change) {
        Some(MemberChange::Add(_) | MemberChange::AddLearner(..)) => tracing::info!(
            "cluster-id" = %cluster,
            "local-member-id" = %local,
            "added-peer-id" = %id,
            "added-peer-peer-urls" = urls,
            "added-peer-is-learner" = learner,
            "added member"
        ),
        Some(MemberChange::Promote(_)) => tracing::info!(
            "cluster-id" = %cluster,
            "local-member-id" = %local,
            "promoted-member-id" = %id,
            "promote member"
        ),
        Some(MemberChange::Update(_)) => tracing::info!(
            "cluster-id" = %cluster,
            "local-member-id" = %local,
            "updated-remote-peer-id" = %id,
            "updated-remote-peer-urls" = urls,
            "updated-remote-peer-is-learner" = learner,
            "updated member"
        ),
        Some(MemberChange::Remove(_)) | None => tracing::info!(
            "cluster-id" = %cluster,
            "local-member-id" = %local,
            "removed-remote-peer-id" = %id,
            "removed member"
        ),
    }
    tracing::info!(
        "local-member-id" = %local,
        "raft-conf-change" = kind(change.kind),
        "raft-conf-change-node-id" = %id,
        "applied a configuration change through raft"
    );
}

/// raft's name of a kind of change.
fn kind(kind: ConfChangeKind) -> &'static str {
    match kind {
        ConfChangeKind::AddVoter => "ConfChangeAddNode",
        ConfChangeKind::Remove => "ConfChangeRemoveNode",
        ConfChangeKind::Update => "ConfChangeUpdateNode",
        ConfChangeKind::AddLearner => "ConfChangeAddLearnerNode",
    }
}
