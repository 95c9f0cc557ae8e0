//! Reading the small buckets back, at start and when a state is installed, and checking that they are what this version
//! writes.

use std::ops::ControlFlow;

use bytes::Bytes;
use ferrod_lease::{Grant, LeaseId, Leases, Ttl};
use ferrod_mvcc::Attachment;
use ferrod_mvcc::backend::{Backend, Bucket, Snapshot};
use ferrod_proto::leasepb;
use prost::Message;

use crate::cluster::is_version;
use crate::{Alarms, Cluster, ConfState, Error, Member, Members};

pub(crate) const CLUSTER_VERSION: &[u8] = b"clusterVersion";

/// Which key is attached to which lease, as the key space tells when it is opened.
#[derive(Default)]
pub(crate) struct Attachments {
    found: Vec<(Bytes, LeaseId)>,
}

impl Attachments {
    pub(crate) fn visit(&mut self, found: Attachment<'_>) {
        let key = Bytes::copy_from_slice(found.key);
        self.found.push((key, LeaseId(found.lease)));
    }

    /// The leases of the bucket, with their keys.
    ///
    /// A key of a lease that is not there was attached to one that has been revoked in the same entry that deleted it,
    /// so it cannot be: the store is damaged.
    pub(crate) fn leases(self, snapshot: &dyn Snapshot) -> Result<Leases, Error> {
        let mut leases = Leases::new();
        for (key, value) in rows(snapshot, Bucket::Lease)? {
            let malformed = |reason: String| bad_row(Bucket::Lease, &key, reason);
            let row = leasepb::Lease::decode(value).map_err(|e| malformed(e.to_string()))?;
            if lease_row_key(LeaseId(row.id)) != key[..] {
                return Err(malformed(format!("the row is of lease {:x}", row.id)));
            }
            let grant = grant_of(&row).map_err(|e| malformed(e.to_string()))?;
            leases
                .restore(grant)
                .map_err(|e| malformed(e.to_string()))?;
        }
        for (key, lease) in self.found {
            let attached = leases.attach(key.clone(), lease);
            attached.map_err(|e| Error::Malformed {
                what: format!("lease {:x} of key {}", lease.0, key.escape_ascii()),
                reason: e.to_string(),
            })?;
        }
        Ok(leases)
    }
}

/// A row of a small bucket is not what this version writes.
fn bad_row(bucket: Bucket, key: &[u8], reason: String) -> Error {
    Error::Malformed {
        what: format!("row {} of bucket {}", key.escape_ascii(), bucket.name()),
        reason,
    }
}

fn grant_of(row: &leasepb::Lease) -> Result<Grant, ferrod_lease::Error> {
    let ttl = Ttl::new(row.ttl, 0)?;
    let remaining = Ttl::new(row.remaining_ttl, 0)?;
    Ok(Grant {
        id: LeaseId(row.id),
        ttl,
        checkpoint: (row.remaining_ttl > 0).then_some(remaining),
    })
}

/// The key of a lease's row.
pub(crate) fn lease_row_key(id: LeaseId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// The members as a backend has them, without looking at anything else in it.
///
/// # Errors
/// [`Error::Malformed`] or [`Error::Storage`] if a row of theirs is not what this version writes.
pub fn stored_members(backend: &dyn Backend) -> Result<Members, Error> {
    members(&*backend.snapshot().map_err(Error::Storage)?)
}

/// Reads members, alarms and the cluster version.
pub(crate) fn cluster(snapshot: &dyn Snapshot) -> Result<Cluster, Error> {
    let members = members(snapshot)?;
    ConfState::stored(snapshot)?.check(&members)?;
    Ok(Cluster {
        members,
        alarms: alarms(snapshot)?,
        version: version(snapshot)?,
    })
}

fn version(snapshot: &dyn Snapshot) -> Result<Option<String>, Error> {
    let row = snapshot
        .get(Bucket::Cluster, CLUSTER_VERSION)
        .map_err(Error::Storage)?;
    let text = |row: &[u8]| {
        let text = std::str::from_utf8(row).ok().map(str::to_owned);
        let reason = || "the value is not a version".to_owned();
        text.filter(|text| is_version(text))
            .ok_or_else(|| bad_row(Bucket::Cluster, CLUSTER_VERSION, reason()))
    };
    row.map(text).transpose()
}

fn rows(snapshot: &dyn Snapshot, bucket: Bucket) -> Result<Vec<(Bytes, Bytes)>, Error> {
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        ControlFlow::Continue(())
    };
    let scan = snapshot.scan(bucket, &[], None, &mut visit);
    scan.map_err(Error::Storage)?;
    Ok(rows)
}

fn members(snapshot: &dyn Snapshot) -> Result<Members, Error> {
    let mut members = Members::default();
    for (key, value) in rows(snapshot, Bucket::Members)? {
        let bad = |reason| bad_row(Bucket::Members, &key, reason);
        let member: Member = serde_json::from_slice(&value).map_err(|e| bad(e.to_string()))?;
        if Member::row_key(member.id) != key[..] {
            return Err(bad(format!("the row is of member {:x}", member.id)));
        }
        members.present.insert(member.id, member);
    }
    for (key, _) in rows(snapshot, Bucket::MembersRemoved)? {
        let text = std::str::from_utf8(&key).ok();
        let id = text.and_then(|text| u64::from_str_radix(text, 16).ok());
        // Another spelling of an id would not be found when the id is asked for.
        let id = id.filter(|id| Member::row_key(*id) == key[..]);
        let reason = || "the key is not an id in lower-case hex".to_owned();
        let id = id.ok_or_else(|| bad_row(Bucket::MembersRemoved, &key, reason()))?;
        members.removed.insert(id);
    }
    Ok(members)
}

fn alarms(snapshot: &dyn Snapshot) -> Result<Alarms, Error> {
    let mut alarms = Alarms::default();
    for (key, _) in rows(snapshot, Bucket::Alarm)? {
        let reason = || "the key is not an alarm".to_owned();
        alarms
            .restore(&key)
            .ok_or_else(|| bad_row(Bucket::Alarm, &key, reason()))?;
    }
    Ok(alarms)
}
