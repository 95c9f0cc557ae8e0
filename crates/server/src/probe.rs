//! What the pages beside gRPC see of the member.

use std::sync::Arc;

use ferrod_metrics::Metrics;
use ferrod_mvcc::{KeyRange, RangeQuery};
use ferrod_node::Role;
use ferrod_proto::etcdserverpb::AlarmType;

use crate::engine::Engine;
use crate::http::{AlarmKind, Consistency, Probe, RaftStatus};

/// The member as the pages see it.
pub(crate) struct MemberProbe {
    engine: Arc<Engine>,
}

impl MemberProbe {
    pub(crate) fn new(engine: Arc<Engine>) -> MemberProbe {
        MemberProbe { engine }
    }
}

impl Probe for MemberProbe {
    fn has_leader(&self) -> bool {
        self.engine.node.status().soft.leader.known().is_some()
    }

    fn is_learner(&self) -> bool {
        let cluster = self.engine.cluster.load();
        cluster
            .members
            .present
            .get(&self.engine.member.0)
            .is_some_and(|member| member.is_learner)
    }

    fn suspect(&self) -> Option<String> {
        self.engine.suspicion.reason().map(str::to_owned)
    }

    fn alarms(&self) -> Vec<AlarmKind> {
        let alarms = self
            .engine
            .cluster
            .load()
            .alarms
            .list(AlarmType::None as i32);
        let kind = |alarm: i32| match AlarmType::try_from(alarm) {
            Ok(AlarmType::Nospace) => AlarmKind::NoSpace,
            Ok(AlarmType::Corrupt) => AlarmKind::Corrupt,
            Ok(AlarmType::None) | Err(_) => AlarmKind::Unknown,
        };
        alarms.iter().map(|alarm| kind(alarm.alarm)).collect()
    }

    async fn read(&self, consistency: Consistency) -> Result<(), String> {
        if consistency == Consistency::Linearizable {
            let barrier = self.engine.barrier(None).await;
            barrier.map_err(|status| status.message().to_owned())?;
        }
        let mut reader = self.engine.views.reader();
        let view = reader.view();
        let query = RangeQuery {
            limit: 1,
            ..RangeQuery::new(KeyRange::Single(b"\0"))
        };
        let read = reader.range(&view, &query, &mut |_| {});
        read.map(drop).map_err(|error| error.to_string())
    }

    fn cluster_version(&self) -> Option<String> {
        self.engine.cluster.load().version.clone()
    }

    fn storage_version(&self) -> Option<String> {
        self.engine.cluster.load().version.clone()
    }

    fn raft_status(&self) -> RaftStatus {
        let status = self.engine.node.status();
        RaftStatus {
            id: self.engine.member.0,
            term: status.soft.term.0,
            commit: status.committed.0,
            lead: status.soft.leader.0,
            raft_state: match status.soft.role {
                Role::Leader => "StateLeader",
                Role::Follower => "StateFollower",
                Role::Candidate => "StateCandidate",
                Role::PreCandidate => "StatePreCandidate",
            },
            applied: status.applied.0,
            ..RaftStatus::default()
        }
    }

    fn refresh(&self, metrics: &Metrics) {
        let engine = &self.engine;
        let status = engine.node.status();
        let server = &metrics.server;
        server
            .has_leader
            .set(i64::from(status.soft.leader.known().is_some()));
        server
            .is_leader
            .set(i64::from(status.soft.role == Role::Leader));
        server.is_learner.set(i64::from(self.is_learner()));
        server
            .proposals_committed_total
            .set(signed(status.committed.0));
        server.proposals_applied_total.set(signed(status.applied.0));
        server.quota_backend_bytes.set(engine.limits.quota_shown);

        let view = engine.views.load();
        let mvcc = &metrics.mvcc;
        mvcc.keys_total.set(signed(view.key_count()));
        mvcc.current_revision.set(view.revision());
        mvcc.compact_revision.set(view.compacted());
        if let Ok(sizes) = engine.backend.sizes() {
            let waiting = engine.views.unflushed_bytes() as u64;
            mvcc.db_total_size_in_bytes
                .set(signed(sizes.allocated_bytes + waiting));
            mvcc.db_total_size_in_use_in_bytes
                .set(signed(sizes.used_bytes + waiting));
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
