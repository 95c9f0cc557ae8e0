//! What applying an entry comes to.

use ferrod_lease::{LeaseId, Ttl};
use ferrod_mvcc::Changes;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{
    AlarmMember, AlarmResponse, CompactionResponse, DeleteRangeResponse, LeaseCheckpointResponse,
    LeaseGrantResponse, LeaseRevokeResponse, PutResponse, ResponseHeader, TxnResponse,
};

/// The answer to one request. Headers have their revision only: who answers, and in which term, is not replicated.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "named after the requests")]
pub enum Answer {
    Put(PutResponse),
    DeleteRange(DeleteRangeResponse),
    Txn(TxnResponse),
    Compaction(CompactionResponse),
    LeaseGrant(LeaseGrantResponse),
    LeaseRevoke(LeaseRevokeResponse),
    LeaseCheckpoint(LeaseCheckpointResponse),
    Alarm(AlarmResponse),
    /// A cluster version or a member's attributes were stored.
    Stored,
}

/// What an entry did beside its answer.
#[derive(Debug)]
pub struct Applied {
    /// For whoever waits for the entry.
    pub answer: Result<Answer, ApiError>,
    /// What happened to keys, for whoever watches them; `None` if nothing did.
    pub changes: Option<Changes>,
    /// What the leader's clock must hear of.
    pub effect: Option<Effect>,
    /// Bytes that the request counts for against the quota; zero if it stores nothing.
    pub cost: u64,
}

/// A change that concerns more than the key space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A lease began.
    Granted(LeaseId, Ttl),
    /// A lease ended.
    Revoked(LeaseId),
    /// Remaining times were stored; `None` means the full time again.
    Checkpointed(Vec<(LeaseId, Option<Ttl>)>),
    /// An alarm was raised, or raised again.
    AlarmRaised(AlarmMember),
    /// An alarm that was raised is over.
    AlarmCleared(AlarmMember),
    /// Members or the cluster version are others now.
    Cluster,
}

impl Applied {
    pub(crate) fn answer(answer: Answer) -> Applied {
        Applied {
            answer: Ok(answer),
            changes: None,
            effect: None,
            cost: 0,
        }
    }

    pub(crate) fn refused(error: ApiError) -> Applied {
        Applied {
            answer: Err(error),
            changes: None,
            effect: None,
            cost: 0,
        }
    }

    pub(crate) fn with_changes(mut self, changes: Changes) -> Applied {
        self.changes = (!changes.list.is_empty()).then_some(changes);
        self
    }

    pub(crate) fn with_effect(mut self, effect: Effect) -> Applied {
        self.effect = Some(effect);
        self
    }
}

/// A header with nothing but a revision.
pub(crate) fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision,
        ..ResponseHeader::default()
    })
}
