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

/// Whether a text is a version: three numbers with dots between them.
pub(crate) fn is_version(text: &str) -> bool {
    let is_number =
        |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u32>().is_ok();
    text.split('.').count() == 3 && text.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers() {
        assert!(is_version("3.7.0") && is_version("10.0.4294967295"));
        for text in [
            "",
            "3",
            "3.7",
            "3.7.0.1",
            "3..0",
            "3.7.x",
            "3.7.+1",
            "3.7.4294967296",
        ] {
            assert!(!is_version(text), "{text}");
        }
    }
}
