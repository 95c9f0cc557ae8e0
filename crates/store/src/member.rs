//! The members of the cluster, as every member knows them, and their rows.
//!
//! Row of bucket `members`: lower-case hex id to JSON `{"id":..,"peerURLs":[..],"isLearner":..,"name":..,"clientURLs":[..]}`,
//! where the last three are left out when they have nothing to say. Source: etcd's backend, so that backups agree.

use std::collections::{BTreeMap, BTreeSet};

use ferrod_proto::etcdserverpb;
use serde::{Deserialize, Serialize};

/// A member of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Never reused, not even after the member was removed.
    pub id: u64,
    /// Where other members reach it.
    #[serde(rename = "peerURLs", default)]
    pub peer_urls: Vec<String>,
    /// Whether it only receives, without a vote.
    #[serde(
        rename = "isLearner",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_learner: bool,
    /// Empty until the member has started and said so through the log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where clients reach it; empty as long as the name is.
    #[serde(rename = "clientURLs", default, skip_serializing_if = "Vec::is_empty")]
    pub client_urls: Vec<String>,
}

impl Member {
    /// The key of the member's row: its id in hex without padding.
    pub fn row_key(id: u64) -> Vec<u8> {
        format!("{id:x}").into_bytes()
    }

    /// The member as a client sees it.
    pub fn to_wire(&self) -> etcdserverpb::Member {
        etcdserverpb::Member {
            id: self.id,
            name: self.name.clone(),
            peer_ur_ls: self.peer_urls.clone(),
            client_ur_ls: self.client_urls.clone(),
            is_learner: self.is_learner,
        }
    }
}

/// All members by id, and the ids that may never come back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// In order of their ids, as answers list them.
    pub present: BTreeMap<u64, Member>,
    /// Removed for good.
    pub removed: BTreeSet<u64>,
}

impl Members {
    /// The members as a client sees them, by id.
    pub fn to_wire(&self) -> Vec<etcdserverpb::Member> {
        self.present.values().map(Member::to_wire).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_look_like_etcds() {
        let unstarted = Member {
            id: 7,
            peer_urls: vec!["http://h:1".into()],
            ..Member::default()
        };
        let json = serde_json::to_string(&unstarted).unwrap();
        assert_eq!(json, r#"{"id":7,"peerURLs":["http://h:1"]}"#);
        let started = Member {
            name: "m1".into(),
            client_urls: vec!["http://h:2".into()],
            is_learner: true,
            ..unstarted
        };
        let json = serde_json::to_string(&started).unwrap();
        let want = r#"{"id":7,"peerURLs":["http://h:1"],"isLearner":true,"name":"m1","clientURLs":["http://h:2"]}"#;
        assert_eq!(json, want);
        assert_eq!(serde_json::from_str::<Member>(&json).unwrap(), started);
        assert_eq!(Member::row_key(0x8e9e_05c5), b"8e9e05c5");
    }
}
