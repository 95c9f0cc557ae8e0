//! One function for each kind of request.

use ferrod_lease::{LeaseId, Ttl};
use ferrod_mvcc::KeyRange;
use ferrod_mvcc::backend::Bucket;
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{
    AlarmRequest, AlarmResponse, CompactionRequest, CompactionResponse, DeleteRangeRequest,
    LeaseCheckpointRequest, LeaseCheckpointResponse, LeaseGrantRequest, LeaseGrantResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, PutRequest, TxnRequest,
};
use ferrod_proto::leasepb;
use ferrod_proto::membershippb::{ClusterMemberAttrSetRequest, ClusterVersionSetRequest};
use prost::Message;

use super::Store;
use crate::alarm::{ALARM_ROW_VALUE, AlarmChange};
use crate::answer::header;
use crate::cluster::is_version;
use crate::convert::read_error;
use crate::recover::{CLUSTER_VERSION, lease_row_key};
use crate::write::Write;
use crate::{Alarms, Answer, Applied, Effect, Error, Member, txn};

impl Store {
    pub(super) fn carry_out(&mut self, request: Request) -> Result<Applied, Error> {
        match request {
            Request::Put(r) => self.put(&r),
            Request::DeleteRange(r) => self.delete_range(&r),
            Request::Txn(r) => self.txn(&r),
            Request::Compaction(r) => self.compact(&r),
            Request::LeaseGrant(r) => self.lease_grant(&r),
            Request::LeaseRevoke(r) => self.lease_revoke(&r),
            Request::LeaseCheckpoint(r) => self.lease_checkpoint(&r),
            Request::Alarm(r) => Ok(self.alarm(&r)),
            Request::ClusterVersionSet(r) => self.set_cluster_version(r),
            Request::ClusterMemberAttrSet(r) => self.set_member_attributes(r),
            // Nothing proposes these yet. A member of a later version might: all refuse alike.
            Request::Range(_)
            | Request::AuthEnable(_)
            | Request::AuthDisable(_)
            | Request::AuthStatus(_)
            | Request::Authenticate(_)
            | Request::AuthUserAdd(_)
            | Request::AuthUserDelete(_)
            | Request::AuthUserGet(_)
            | Request::AuthUserChangePassword(_)
            | Request::AuthUserGrantRole(_)
            | Request::AuthUserRevokeRole(_)
            | Request::AuthUserList(_)
            | Request::AuthRoleList(_)
            | Request::AuthRoleAdd(_)
            | Request::AuthRoleDelete(_)
            | Request::AuthRoleGet(_)
            | Request::AuthRoleGrantPermission(_)
            | Request::AuthRoleRevokePermission(_)
            | Request::DowngradeInfoSet(_)
            | Request::DowngradeVersionTest(_) => Err(ApiError::NotCapable.into()),
        }
    }

    /// Opens a write transaction over keys and leases, and commits it if `run` succeeds.
    fn write<A>(
        &mut self,
        run: impl FnOnce(&mut Write<'_>) -> Result<A, Error>,
    ) -> Result<(A, ferrod_mvcc::Changes), Error> {
        let compacted = self.keyspace.compacted();
        let mut leases = self.leases.write();
        let mut write = Write {
            txn: self.keyspace.write(),
            leases: &mut leases,
            compacted,
        };
        let answer = run(&mut write)?;
        Ok((answer, write.txn.commit()))
    }

    fn put(&mut self, request: &PutRequest) -> Result<Applied, Error> {
        let (answer, changes) = self.write(|write| {
            txn::check_put(write, request)?;
            write.put(request)
        })?;
        Ok(Applied::answer(Answer::Put(answer)).with_changes(changes))
    }

    fn delete_range(&mut self, request: &DeleteRangeRequest) -> Result<Applied, Error> {
        let (answer, changes) = self.write(|write| write.delete_range(request))?;
        Ok(Applied::answer(Answer::DeleteRange(answer)).with_changes(changes))
    }

    fn txn(&mut self, request: &TxnRequest) -> Result<Applied, Error> {
        let (answer, changes) = self.write(|write| {
            let path = txn::choose(write, request)?;
            txn::check(write, request, &path)?;
            write.run(request, &path)
        })?;
        Ok(Applied::answer(Answer::Txn(answer)).with_changes(changes))
    }

    fn compact(&mut self, request: &CompactionRequest) -> Result<Applied, Error> {
        self.keyspace
            .compact(request.revision)
            .map_err(read_error)?;
        let header = header(self.keyspace.revision());
        Ok(Applied::answer(Answer::Compaction(CompactionResponse {
            header,
        })))
    }

    fn lease_grant(&mut self, request: &LeaseGrantRequest) -> Result<Applied, Error> {
        // Chosen by whoever proposed it, because choosing needs a clock. Zero means no lease everywhere else.
        if request.id == 0 {
            return Err(ApiError::LeaseNotFound.into());
        }
        // Raised to the minimum by whoever proposed it: the minimum is a setting, and settings may differ.
        let ttl = Ttl::new(request.ttl, 0).map_err(lease_error)?;
        let id = LeaseId(request.id);
        self.leases.write().grant(id, ttl).map_err(lease_error)?;
        self.put_lease_row(id, ttl, 0);
        let header = header(self.keyspace.revision());
        let answer = LeaseGrantResponse {
            header,
            id: id.0,
            ttl: ttl.seconds(),
            error: String::new(),
        };
        Ok(Applied::answer(Answer::LeaseGrant(answer)).with_effect(Effect::Granted(id, ttl)))
    }

    fn lease_revoke(&mut self, request: &LeaseRevokeRequest) -> Result<Applied, Error> {
        let id = LeaseId(request.id);
        let ((), changes) = self.write(|write| {
            for key in write.leases.revoke(id).map_err(lease_error)? {
                write.delete(KeyRange::Single(&key), false)?;
            }
            Ok(())
        })?;
        self.keyspace.delete_row(Bucket::Lease, &lease_row_key(id));
        let answer = LeaseRevokeResponse {
            header: header(changes.revision),
        };
        Ok(Applied::answer(Answer::LeaseRevoke(answer))
            .with_changes(changes)
            .with_effect(Effect::Revoked(id)))
    }

    /// Stores remaining times; zero or less is the full time again. Leases that are gone by now are passed over.
    fn lease_checkpoint(&mut self, request: &LeaseCheckpointRequest) -> Result<Applied, Error> {
        let remaining: Vec<(LeaseId, Option<Ttl>)> = request
            .checkpoints
            .iter()
            .map(|checkpoint| {
                let ttl = Ttl::new(checkpoint.remaining_ttl, 0).map_err(lease_error)?;
                Ok((LeaseId(checkpoint.id), (ttl.seconds() > 0).then_some(ttl)))
            })
            .collect::<Result<_, Error>>()?;
        let mut stored = Vec::new();
        for (id, remaining) in remaining {
            let mut leases = self.leases.write();
            let Some(ttl) = leases.get(id).map(|lease| lease.ttl()) else {
                continue;
            };
            leases.checkpoint(id, remaining).map_err(lease_error)?;
            drop(leases);
            self.put_lease_row(id, ttl, remaining.map_or(0, Ttl::seconds));
            stored.push((id, remaining));
        }
        let answer = LeaseCheckpointResponse {
            header: header(self.keyspace.revision()),
        };
        Ok(Applied::answer(Answer::LeaseCheckpoint(answer))
            .with_effect(Effect::Checkpointed(stored)))
    }

    fn put_lease_row(&mut self, id: LeaseId, ttl: Ttl, remaining_ttl: i64) {
        let row = leasepb::Lease {
            id: id.0,
            ttl: ttl.seconds(),
            remaining_ttl,
        };
        self.keyspace.put_row(
            Bucket::Lease,
            &lease_row_key(id),
            row.encode_to_vec().into(),
        );
    }

    fn alarm(&mut self, request: &AlarmRequest) -> Applied {
        let (alarms, effect) = match self.cluster.alarms.decide(request) {
            AlarmChange::None(listed) => (listed, None),
            AlarmChange::RaiseAgain(alarm) => (vec![alarm], Some(Effect::AlarmRaised(alarm))),
            AlarmChange::Raise(alarm) => {
                self.cluster.alarms.raise(&alarm);
                let key = Alarms::row_key(&alarm);
                self.keyspace.put_row(Bucket::Alarm, &key, ALARM_ROW_VALUE);
                self.cluster_changed = true;
                (vec![alarm], Some(Effect::AlarmRaised(alarm)))
            }
            AlarmChange::Clear(alarm) => {
                self.cluster.alarms.clear(&alarm);
                self.keyspace
                    .delete_row(Bucket::Alarm, &Alarms::row_key(&alarm));
                self.cluster_changed = true;
                (vec![alarm], Some(Effect::AlarmCleared(alarm)))
            }
        };
        let answer = AlarmResponse {
            header: header(self.keyspace.revision()),
            alarms,
        };
        Applied {
            effect,
            ..Applied::answer(Answer::Alarm(answer))
        }
    }

    fn set_cluster_version(&mut self, request: ClusterVersionSetRequest) -> Result<Applied, Error> {
        // It would be refused at the next start.
        if !is_version(&request.ver) {
            return Err(ApiError::NotCapable.into());
        }
        let row = bytes::Bytes::from(request.ver.clone().into_bytes());
        self.keyspace.put_row(Bucket::Cluster, CLUSTER_VERSION, row);
        self.cluster.version = Some(request.ver);
        Ok(self.cluster_effect(Applied::answer(Answer::Stored)))
    }

    /// A member publishes its name and where clients reach it.
    fn set_member_attributes(
        &mut self,
        request: ClusterMemberAttrSetRequest,
    ) -> Result<Applied, Error> {
        let id = request.member_id;
        let known = self.cluster.members.present.get(&id);
        let Some(known) = known else {
            return Err(ApiError::MemberNotFound.into());
        };
        let attributes = request.member_attributes.unwrap_or_default();
        let member = Member {
            name: attributes.name,
            client_urls: attributes.client_urls,
            ..known.clone()
        };
        self.put_member(member)?;
        Ok(self.cluster_effect(Applied::answer(Answer::Stored)))
    }

    pub(super) fn cluster_effect(&mut self, applied: Applied) -> Applied {
        self.cluster_changed = true;
        applied.with_effect(Effect::Cluster)
    }
}

fn lease_error(error: ferrod_lease::Error) -> Error {
    match error {
        ferrod_lease::Error::Exists(_) => ApiError::LeaseExists.into(),
        ferrod_lease::Error::NotFound(_) => ApiError::LeaseNotFound.into(),
        ferrod_lease::Error::TtlTooLarge(_) => ApiError::LeaseTtlTooLarge.into(),
    }
}
