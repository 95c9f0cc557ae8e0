//! What the pages ask of the member.

use std::collections::BTreeMap;

use ferrod_metrics::Metrics;

/// How current a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// What this member has.
    Serializable,
    /// What a majority agrees on.
    Linearizable,
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmKind {
    /// The store is full.
    NoSpace,
    /// Members hold different data.
    Corrupt,
    /// A kind of a later version.
    Unknown,
}

impl AlarmKind {
    /// The word for it in answers and in `exclude=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmKind::NoSpace => "NOSPACE",
            AlarmKind::Corrupt => "CORRUPT",
            AlarmKind::Unknown => "UNKNOWN",
        }
    }
}

/// The raft state, for `/debug/vars`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RaftStatus {
    /// This member.
    pub id: u64,
    /// The term.
    pub term: u64,
    /// Who got this member's vote in it; 0 for nobody.
    pub vote: u64,
    /// The committed index.
    pub commit: u64,
    /// The leader; 0 for none.
    pub lead: u64,
    /// `StateLeader`, `StateFollower`, `StateCandidate` or `StatePreCandidate`.
    pub raft_state: &'static str,
    /// The applied index.
    pub applied: u64,
    /// On the leader: for each member the last index it has, and the next to be sent.
    pub progress: BTreeMap<u64, (u64, u64)>,
    /// Who is to lead next; 0 for nobody.
    pub lead_transferee: u64,
}

/// What the pages ask of the member.
pub trait Probe: Send + Sync + 'static {
    /// Whether a leader is known.
    fn has_leader(&self) -> bool;

    /// Whether this member is a learner.
    fn is_learner(&self) -> bool;

    /// Why this member is suspect; `None` if it is not.
    fn suspect(&self) -> Option<String>;

    /// The alarms that are on, of any member.
    fn alarms(&self) -> Vec<AlarmKind>;

    /// Reads the empty key with root's rights, keys only, at most one: a read that finds nothing and
    /// fails when reads fail. Ends by itself when the request timeout is over. The error is the text
    /// that a client would get.
    fn read(&self, consistency: Consistency) -> impl Future<Output = Result<(), String>> + Send;

    /// The version of the cluster, such as `3.7.0`; `None` before it is decided.
    fn cluster_version(&self) -> Option<String>;

    /// The version of the data on disk, such as `3.7.0`; `None` if there is none yet.
    fn storage_version(&self) -> Option<String>;

    /// The raft state.
    fn raft_status(&self) -> RaftStatus;

    /// Sets the metrics that are only looked up when somebody reads them.
    fn refresh(&self, metrics: &Metrics);
}
