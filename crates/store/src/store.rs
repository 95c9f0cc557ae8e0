//! The state machine: one entry in, one atomic change of everything out.

mod install;
mod membership;
mod requests;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ferrod_lease::Leases;
use ferrod_mvcc::backend::{Backend, Bucket};
use ferrod_mvcc::{Flusher, KeySpace, Options, View};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{AlarmType, InternalRaftRequest, internal_raft_request::Request};
use parking_lot::RwLock;
use prost::Message;

pub use membership::{ConfState, MemberChange};

use crate::recover::{self, Attachments};
use crate::{Answer, Applied, Cluster, ClusterView, Error, quota};

/// Leases, readable from any thread; only the store changes them.
pub type SharedLeases = Arc<RwLock<Leases>>;

/// The replicated state machine. Exactly one owner: the thread that applies.
///
/// What an entry does is a function of the entries before it: no clock, no randomness, no setting of this member.
/// Entries become visible to readers by [`Store::publish`], in batches.
pub struct Store {
    keyspace: KeySpace,
    leases: SharedLeases,
    cluster: Cluster,
    published: ClusterView,
    /// `cluster` differs from what is published.
    cluster_changed: bool,
}

impl Store {
    /// Opens what the backend holds; entries from [`Store::applied`] on are to be applied again.
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::Storage`] if a row is not what this version writes.
    pub fn open(backend: Arc<dyn Backend>, options: Options) -> Result<(Store, Flusher), Error> {
        let mut attachments = Attachments::default();
        let mut visit = |found: ferrod_mvcc::Attachment<'_>| attachments.visit(found);
        let opened = KeySpace::open(backend.clone(), options, &mut visit);
        let (keyspace, flusher) = opened.map_err(Error::Storage)?;
        let snapshot = backend.snapshot().map_err(Error::Storage)?;
        let leases = attachments.leases(&*snapshot)?;
        let cluster = recover::cluster(&*snapshot)?;
        let published = ClusterView::default();
        published.publish(cluster.clone());
        let leases = Arc::new(RwLock::new(leases));
        let store = Store {
            keyspace,
            leases,
            cluster,
            published,
            cluster_changed: false,
        };
        Ok((store, flusher))
    }

    /// Index and term of the last applied entry.
    pub fn applied(&self) -> (u64, u64) {
        self.keyspace.applied()
    }

    /// The key space, for its handles and its upkeep.
    pub fn keyspace(&mut self) -> &mut KeySpace {
        &mut self.keyspace
    }

    /// The current revision, changes not yet published included.
    pub fn revision(&self) -> i64 {
        self.keyspace.revision()
    }

    /// A handle to the cluster, for any thread.
    pub fn cluster(&self) -> ClusterView {
        self.published.clone()
    }

    /// The leases, for any thread to read.
    pub fn leases(&self) -> SharedLeases {
        self.leases.clone()
    }

    /// Applies the payload of an ordinary entry.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it does not decode, [`Error::Storage`] if this member's storage fails: the member must stop.
    pub fn apply_payload(&mut self, payload: bytes::Bytes) -> Result<(u64, Applied), Error> {
        let entry = InternalRaftRequest::decode(payload).map_err(|e| Error::Malformed {
            what: "log entry".into(),
            reason: e.to_string(),
        })?;
        let id = entry.header.as_ref().map_or(entry.id, |header| header.id);
        Ok((id, self.apply(entry.request)?))
    }

    /// Applies a request. A refusal is an answer, the same on every member.
    ///
    /// # Errors
    /// [`Error::Storage`] if this member's storage fails: the member must stop.
    pub fn apply(&mut self, request: Option<Request>) -> Result<Applied, Error> {
        let Some(request) = request else {
            return Ok(Applied::answer(Answer::Stored));
        };
        if let Some(error) = self.forbidden(&request) {
            return Ok(Applied::refused(error));
        }
        let cost = cost(&request);
        match self.carry_out(request) {
            Err(Error::Refused(error)) => Ok(Applied::refused(error)),
            Ok(applied) => Ok(Applied { cost, ..applied }),
            Err(error) => Err(error),
        }
    }

    /// What raised alarms forbid. Damage wins over lack of space.
    fn forbidden(&self, request: &Request) -> Option<ApiError> {
        let alarms = &self.cluster.alarms;
        let touches_data = matches!(
            request,
            Request::Range(_)
                | Request::Put(_)
                | Request::DeleteRange(_)
                | Request::Txn(_)
                | Request::Compaction(_)
                | Request::LeaseGrant(_)
                | Request::LeaseRevoke(_)
        );
        if touches_data && alarms.is_raised(AlarmType::Corrupt) {
            return Some(ApiError::Corrupt);
        }
        (cost(request) > 0 && alarms.is_raised(AlarmType::Nospace)).then_some(ApiError::NoSpace)
    }

    /// Makes all that was applied visible to readers. `index` and `term` are those of the last entry.
    pub fn publish(&mut self, index: u64, term: u64) -> Arc<View> {
        if std::mem::take(&mut self.cluster_changed) {
            self.published.publish(self.cluster.clone());
        }
        self.keyspace.publish(index, term)
    }

    fn put_meta(&mut self, key: &[u8], value: bytes::Bytes) {
        self.keyspace.put_row(Bucket::Meta, key, value);
    }
}

/// Bytes that a request counts for against the quota; zero if it stores nothing.
pub(crate) fn cost(request: &Request) -> u64 {
    match request {
        Request::Put(put) => quota::put_cost(put),
        Request::Txn(txn) => quota::txn_cost(txn),
        Request::LeaseGrant(_) => quota::LEASE_COST_BYTES,
        _ => 0,
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("applied", &self.applied())
            .finish_non_exhaustive()
    }
}
