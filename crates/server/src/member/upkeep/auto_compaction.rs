//! Compaction by itself: what is older than a span, or beyond a number of revisions.
//!
//! Source: etcd's auto compaction. Only the leader compacts; all members take samples, so that a new leader need not
//! begin to count.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ferrod_node::Role;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::CompactionRequest;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;

use crate::config::AutoCompaction;
use crate::engine::Engine;
use crate::mailbox::Mailbox;

const HOUR: Duration = Duration::from_secs(3600);
const REVISION_CHECK: Duration = Duration::from_secs(5 * 60);

pub(super) async fn run(engine: Arc<Engine>, auto: AutoCompaction) {
    match auto {
        AutoCompaction::Off => {}
        AutoCompaction::Periodic(span) => periodic(engine, span.to_std()).await,
        AutoCompaction::Revisions(keep) => by_revision(engine, keep).await,
    }
}

/// Samples the revision ten times in each interval and compacts to the oldest sample, once it is a period old.
async fn periodic(engine: Arc<Engine>, period: Duration) {
    let step = period.min(HOUR) / 10;
    let mut plan = Plan::new(period, step);
    let mut tick = tokio::time::interval(step.max(Duration::from_millis(1)));
    loop {
        tick.tick().await;
        if let Some(revision) = plan.sample(engine.views.load().revision())
            && compact(&engine, revision).await
        {
            plan.compacted();
        }
    }
}

async fn by_revision(engine: Arc<Engine>, keep: i64) {
    let mut tick = tokio::time::interval(REVISION_CHECK);
    loop {
        tick.tick().await;
        let view = engine.views.load();
        let revision = view.revision() - keep;
        if revision > 0 && revision != view.compacted() {
            compact(&engine, revision).await;
        }
    }
}

/// Compacts if this member leads. Returns whether the revision is compacted now.
async fn compact(engine: &Arc<Engine>, revision: i64) -> bool {
    if engine.node.status().soft.role != Role::Leader {
        return false;
    }
    if revision <= engine.views.load().compacted() {
        return true;
    }
    let request = Request::Compaction(CompactionRequest {
        revision,
        physical: false,
    });
    match engine
        .propose(request, &Arc::new(Mailbox::default()), None)
        .await
    {
        Ok(_) => {
            tracing::info!(revision, "completed auto compaction");
            true
        }
        Err(error) if error.message() == ApiError::Compacted.text() => true,
        Err(error) => {
            tracing::warn!(revision, %error, "failed auto compaction");
            false
        }
    }
}

/// Which revision is due at which sample.
#[derive(Debug)]
struct Plan {
    samples: VecDeque<i64>,
    samples_max: usize,
    /// Samples from one compaction to the next.
    samples_between: usize,
    since_compaction: usize,
}

impl Plan {
    fn new(period: Duration, step: Duration) -> Plan {
        let in_period = (period.as_nanos() / step.as_nanos().max(1)) as usize;
        Plan {
            samples: VecDeque::new(),
            samples_max: in_period + 1,
            samples_between: 10,
            // The first compaction is due as soon as there is a whole period of samples.
            since_compaction: 10,
        }
    }

    /// Takes a sample and says what is to be compacted now.
    fn sample(&mut self, revision: i64) -> Option<i64> {
        self.samples.push_back(revision);
        self.since_compaction += 1;
        if self.samples.len() > self.samples_max {
            self.samples.pop_front();
        }
        let whole = self.samples.len() == self.samples_max;
        let due = whole && self.since_compaction >= self.samples_between;
        self.samples.front().copied().filter(|_| due)
    }

    fn compacted(&mut self) {
        self.since_compaction = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(period: Duration, samples: usize) -> Vec<(usize, i64)> {
        let mut plan = Plan::new(period, period.min(HOUR) / 10);
        let mut due = Vec::new();
        for i in 0..samples {
            if let Some(revision) = plan.sample(i as i64) {
                plan.compacted();
                due.push((i, revision));
            }
        }
        due
    }

    #[test]
    fn a_short_period_compacts_once_per_period() {
        assert_eq!(
            due(Duration::from_secs(600), 32),
            [(10, 0), (20, 10), (30, 20)]
        );
    }

    #[test]
    fn a_long_period_compacts_every_hour_after_the_first() {
        assert_eq!(due(24 * HOUR, 262), [(240, 0), (250, 10), (260, 20)]);
    }
}
