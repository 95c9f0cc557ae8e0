//! How long requests take, by what they ask for.

use std::sync::OnceLock;

use prometheus::{Histogram, HistogramVec};

/// What a request asks for, in the words of the labels `type` and `op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the requests")]
pub enum Operation {
    Range,
    /// A transaction without writes, which does not go through the log.
    ReadonlyTxn,
    Put,
    DeleteRange,
    Txn,
    Compaction,
    LeaseGrant,
    LeaseRevoke,
    LeaseCheckpoint,
    Alarm,
    Authenticate,
    AuthEnable,
    AuthDisable,
    AuthStatus,
    AuthUserAdd,
    AuthUserDelete,
    AuthUserChangePassword,
    AuthUserGrantRole,
    AuthUserGet,
    AuthUserRevokeRole,
    AuthUserList,
    AuthRoleAdd,
    AuthRoleGrantPermission,
    AuthRoleGet,
    AuthRoleRevokePermission,
    AuthRoleDelete,
    AuthRoleList,
    ClusterVersionSet,
    ClusterMemberAttrSet,
    DowngradeInfoSet,
    DowngradeVersionTest,
    /// Anything else.
    Unknown,
}

const COUNT: usize = Operation::Unknown as usize + 1;

impl Operation {
    fn name(self) -> String {
        // The variants are named like the labels.
        format!("{self:?}")
    }
}

/// Durations by operation and success. A series appears with its first observation; from then on an
/// observation looks nothing up.
#[derive(Debug)]
pub struct Durations {
    family: HistogramVec,
    /// Further labels in front of the operation.
    before: &'static [&'static str],
    /// What this family calls [`Operation::Unknown`].
    unknown: &'static str,
    series: [[OnceLock<Histogram>; 2]; COUNT],
}

impl Durations {
    pub(crate) fn new(
        family: HistogramVec,
        before: &'static [&'static str],
        unknown: &'static str,
    ) -> Durations {
        Durations {
            family,
            before,
            unknown,
            series: Default::default(),
        }
    }

    /// Adds one observation.
    pub fn observe(&self, operation: Operation, success: bool, seconds: f64) {
        self.series[operation as usize][usize::from(success)]
            .get_or_init(|| self.make(operation, success))
            .observe(seconds);
    }

    fn make(&self, operation: Operation, success: bool) -> Histogram {
        let name = match operation {
            Operation::Unknown => self.unknown.to_owned(),
            other => other.name(),
        };
        let success = if success { "true" } else { "false" };
        let labels: Vec<&str> = self
            .before
            .iter()
            .copied()
            .chain([&*name, success])
            .collect();
        self.family.with_label_values(&labels)
    }
}
