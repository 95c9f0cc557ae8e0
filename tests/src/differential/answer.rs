//! What a server answered, without what differs between any two servers: identities, raft terms, addresses, sizes.

use ferrod_proto::etcdserverpb::{
    AlarmResponse, CompactionResponse, DefragmentResponse, DeleteRangeResponse, HashKvResponse,
    LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeResponse,
    LeaseTimeToLiveResponse, MemberListResponse, PutResponse, RangeResponse, ResponseHeader,
    StatusResponse, TxnResponse, WatchResponse,
};
use tonic::{Code, Status};

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Range(RangeResponse),
    Put(PutResponse),
    Delete(DeleteRangeResponse),
    Txn(TxnResponse),
    Compact(CompactionResponse),
    Grant(LeaseGrantResponse),
    Revoke(LeaseRevokeResponse),
    KeepAlive(LeaseKeepAliveResponse),
    TimeToLive(LeaseTimeToLiveResponse),
    Leases(LeaseLeasesResponse),
    HashKv(HashKvResponse),
    Status(StatusResponse),
    Members(MemberListResponse),
    Alarm(AlarmResponse),
    Defragment(DefragmentResponse),
    Health(i32),
    Watch(WatchResponse),
    /// Revision of a progress response, if one came.
    Progress(Option<i64>),
    /// Several answers of one operation.
    Many(Vec<Answer>),
    Failed(Code, String),
    /// The operation has no answer.
    Nothing,
    /// There should have been an answer.
    Silence,
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::Failed(status.code(), status.message().to_owned())
    }
}

impl Answer {
    /// The answer without identities.
    pub(crate) fn normal(mut self) -> Self {
        if let Some(Some(header)) = self.header_mut() {
            anonymous(header);
        }
        match &mut self {
            Self::TimeToLive(a) => {
                a.keys.sort();
                // Time passes differently for the two, and a restart begins again with a little more.
                if a.ttl >= 0 && (a.granted_ttl - a.ttl).abs() < 600 {
                    a.ttl = a.granted_ttl;
                }
            }
            Self::Leases(a) => a.leases.sort_by_key(|l| l.id),
            Self::Alarm(a) => a.alarms.sort_by_key(|m| (m.member_id, m.alarm)),
            Self::Status(a) => {
                *a = StatusResponse {
                    header: a.header,
                    leader: u64::from(a.leader != 0),
                    errors: a.errors.iter().map(|_| String::new()).collect(),
                    is_learner: a.is_learner,
                    ..Default::default()
                };
            }
            Self::Members(a) => {
                for member in &mut a.members {
                    member.id = u64::from(member.id != 0);
                    member.peer_ur_ls.iter_mut().for_each(String::clear);
                    member.client_ur_ls.iter_mut().for_each(String::clear);
                }
            }
            _ => {}
        }
        self
    }

    fn header_mut(&mut self) -> Option<&mut Option<ResponseHeader>> {
        Some(match self {
            Self::Range(a) => &mut a.header,
            Self::Put(a) => &mut a.header,
            Self::Delete(a) => &mut a.header,
            Self::Txn(a) => &mut a.header,
            Self::Compact(a) => &mut a.header,
            Self::Grant(a) => &mut a.header,
            Self::Revoke(a) => &mut a.header,
            Self::KeepAlive(a) => &mut a.header,
            Self::TimeToLive(a) => &mut a.header,
            Self::Leases(a) => &mut a.header,
            Self::HashKv(a) => &mut a.header,
            Self::Status(a) => &mut a.header,
            Self::Members(a) => &mut a.header,
            Self::Alarm(a) => &mut a.header,
            Self::Defragment(a) => &mut a.header,
            Self::Watch(a) => &mut a.header,
            _ => return None,
        })
    }

    /// Revision in the header, where there is one.
    pub(crate) fn revision(&self) -> Option<i64> {
        match self {
            Self::Many(all) => all.iter().filter_map(Self::revision).max(),
            // Only the copy is looked at.
            other => other.clone().header_mut()?.as_ref().map(|h| h.revision),
        }
    }

    /// A line for the trace.
    pub(crate) fn brief(&self) -> String {
        let mut text = format!("{self:?}");
        if text.len() > 300 {
            let cut = (0..=300)
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0);
            text.truncate(cut);
            text.push('…');
        }
        text
    }
}

/// Checks that identities are there and takes them away; a missing one stays visible as a zero term.
pub(crate) fn anonymous(header: &mut ResponseHeader) {
    let complete = header.cluster_id != 0 && header.member_id != 0 && header.raft_term != 0;
    header.cluster_id = 0;
    header.member_id = 0;
    header.raft_term = u64::from(complete);
}
