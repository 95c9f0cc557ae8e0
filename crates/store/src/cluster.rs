//! What every member knows of the cluster: who is in it, what is wrong, and which version it speaks.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{Alarms, Members};

/// The cluster as of some applied entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Who is, and who was.
    pub members: Members,
    /// What is wrong.
    pub alarms: Alarms,
    /// `major.minor.patch` of what all members understand; `None` until the first leader has set it.
    pub version: Option<String>,
}

/// A handle to the cluster as applied last, for any thread.
#[derive(Debug, Clone, Default)]
pub struct ClusterView {
    current: Arc<ArcSwap<Cluster>>,
}

impl ClusterView {
    /// The cluster now.
    pub fn load(&self) -> Arc<Cluster> {
        self.current.load_full()
    }

    /// Whether this alarm is raised now, without counting a reference.
    pub fn is_raised(&self, alarm: ferrod_proto::etcdserverpb::AlarmType) -> bool {
        self.current.load().alarms.is_raised(alarm)
    }

    pub(crate) fn publish(&self, cluster: Cluster) {
        self.current.store(Arc::new(cluster));
    }
}
