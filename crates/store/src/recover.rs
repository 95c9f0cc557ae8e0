//! Reading the small buckets back, at start and when a state is installed, and checking that they are what this version
//! writes.

use std::collections::HashMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use ferrod_lease::{Grant, LeaseId, Leases, Ttl};
use ferrod_mvcc::LoadedRow;
use ferrod_mvcc::backend::{Bucket, Snapshot};
use ferrod_proto::leasepb;
use prost::Message;

use crate::{Alarms, Cluster, Error, Member, Members};

pub(crate) const CLUSTER_VERSION: &[u8] = b"clusterVersion";

/// Which key is attached to which lease, collected while the key space reads its rows in revision order.
#[derive(Default)]
pub(crate) struct Attachments {
    by_key: HashMap<Box<[u8]>, i64>,
}

impl Attachments {
    pub(crate) fn visit(&mut self, row: LoadedRow<'_>) {
        if row.lease != 0 {
            self.by_key.insert(row.key.into(), row.lease);
        } else if !self.by_key.is_empty() {
            self.by_key.remove(row.key);
        }
    }

    /// The leases of the bucket, with their keys.
    ///
    /// A key of a lease that is not there was attached to one that has been revoked in the same entry that deleted it,
    /// so it cannot be: the store is damaged.
    pub(crate) fn leases(self, snapshot: &dyn Snapshot) -> Result<Leases, Error> {
        let mut leases = Leases::new();
        for (key, value) in rows(snapshot, Bucket::Lease)? {
            let malformed = |reason: String| Error::Malformed {
                what: format!("lease row {key:02x?}"),
                reason,
            };
            let row = leasepb::Lease::decode(value).map_err(|e| malformed(e.to_string()))?;
            let grant = grant_of(&row).map_err(|e| malformed(e.to_string()))?;
            leases
                .restore(grant)
                .map_err(|e| malformed(e.to_string()))?;
        }
        for (key, lease) in self.by_key {
            let attached = leases.attach(Bytes::from(key.clone()), LeaseId(lease));
            attached.map_err(|e| Error::Malformed {
                what: format!("lease {lease} of key {key:02x?}"),
                reason: e.to_string(),
            })?;
        }
        Ok(leases)
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

/// Reads members, alarms and the cluster version.
pub(crate) fn cluster(snapshot: &dyn Snapshot) -> Result<Cluster, Error> {
    let version = snapshot
        .get(Bucket::Cluster, CLUSTER_VERSION)
        .map_err(Error::Storage)?;
    Ok(Cluster {
        members: members(snapshot)?,
        alarms: alarms(snapshot)?,
        version: version.map(|v| String::from_utf8_lossy(v).into_owned()),
    })
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
        let member: Member = serde_json::from_slice(&value).map_err(|e| Error::Malformed {
            what: format!("member row {}", String::from_utf8_lossy(&key)),
            reason: e.to_string(),
        })?;
        members.present.insert(member.id, member);
    }
    for (key, _) in rows(snapshot, Bucket::MembersRemoved)? {
        let text = String::from_utf8_lossy(&key);
        let id = u64::from_str_radix(&text, 16).map_err(|e| Error::Malformed {
            what: format!("removed member {text}"),
            reason: e.to_string(),
        })?;
        members.removed.insert(id);
    }
    Ok(members)
}

fn alarms(snapshot: &dyn Snapshot) -> Result<Alarms, Error> {
    let mut alarms = Alarms::default();
    for (key, _) in rows(snapshot, Bucket::Alarm)? {
        alarms.restore(&key).ok_or_else(|| Error::Malformed {
            what: format!("alarm row {key:02x?}"),
            reason: "not an alarm".into(),
        })?;
    }
    Ok(alarms)
}
