//! Answers to the endpoint commands: one entry per endpoint.

use std::io::{self, Write};

use ferrod_client::proto::{HashKvResponse, StatusResponse};
use serde::Serialize;

use super::fields::Fields;
use super::json::{Header, is_default};
use super::table::Table;
use super::{Printable, Style};
use crate::go;

/// Whether one endpoint takes part in a linearizable read.
#[derive(Serialize)]
pub(crate) struct EndpointHealth {
    pub(crate) endpoint: String,
    pub(crate) health: bool,
    pub(crate) took: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) error: String,
}

/// Go prints a list without elements that was never made as `null`.
fn list<T>(items: &[T]) -> Option<&[T]> {
    Some(items).filter(|items| !items.is_empty())
}

impl Printable for Vec<EndpointHealth> {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut healthy = self.iter().filter(|health| health.error.is_empty());
        healthy.try_for_each(|EndpointHealth { endpoint, took, .. }| {
            let what = "is healthy: successfully committed proposal: took";
            writeln!(out, "{endpoint} {what} = {took}")
        })
    }

    fn complaints(&self, _: &Style) -> String {
        let unhealthy = self.iter().filter(|health| !health.error.is_empty());
        unhealthy
            .map(
                |EndpointHealth {
                     endpoint, error, ..
                 }| {
                    format!("{endpoint} is unhealthy: failed to commit proposal: {error}\n")
                },
            )
            .collect()
    }

    fn json(&self, _: &Style) -> impl Serialize {
        list(self)
    }

    fn fields(&self, _: &Style) -> Option<String> {
        let mut fields = Fields::default();
        for health in self {
            fields.quoted("Endpoint", &health.endpoint);
            fields.line("Health", health.health);
            fields.line("Took", &health.took);
            fields.line("Error", &health.error);
            fields.empty_line();
        }
        fields.done()
    }

    fn table(&self) -> Option<Table> {
        let row = |health: &EndpointHealth| {
            let EndpointHealth {
                endpoint,
                health,
                took,
                error,
            } = health;
            vec![
                endpoint.clone(),
                health.to_string(),
                took.clone(),
                error.clone(),
            ]
        };
        Some(Table::new(
            &["endpoint", "health", "took", "error"],
            self.iter().map(row),
        ))
    }
}

/// What one endpoint says about itself.
pub(crate) struct EndpointStatus {
    pub(crate) endpoint: String,
    pub(crate) status: StatusResponse,
}

const STATUS_COLUMNS: [&str; 16] = [
    "endpoint",
    "id",
    "version",
    "storage version",
    "db size",
    "in use",
    "percentage not in use",
    "quota",
    "is leader",
    "is learner",
    "raft term",
    "raft index",
    "raft applied index",
    "errors",
    "downgrade target version",
    "downgrade enabled",
];

impl EndpointStatus {
    fn member_id(&self) -> u64 {
        self.status.header.map_or(0, |header| header.member_id)
    }

    /// Share of the database that is free, in whole per cent.
    fn percent_free(&self) -> i64 {
        let (used, size) = (self.status.db_size_in_use, self.status.db_size);
        if size <= 0 {
            0
        } else {
            100 - used.saturating_mul(100) / size
        }
    }

    fn downgrade(&self) -> (bool, String) {
        let info = self.status.downgrade_info.clone().unwrap_or_default();
        (info.enabled, info.target_version)
    }

    fn row(&self) -> Vec<String> {
        let status = &self.status;
        let size = |bytes: i64| go::format_size(u64::try_from(bytes).unwrap_or_default());
        let (downgrade_enabled, downgrade_target) = self.downgrade();
        vec![
            self.endpoint.clone(),
            format!("{:x}", self.member_id()),
            status.version.clone(),
            status.storage_version.clone(),
            size(status.db_size),
            size(status.db_size_in_use),
            format!("{}%", self.percent_free()),
            size(status.db_size_quota),
            (status.leader == self.member_id()).to_string(),
            status.is_learner.to_string(),
            status.raft_term.to_string(),
            status.raft_index.to_string(),
            status.raft_applied_index.to_string(),
            status.errors.join(", "),
            downgrade_target,
            downgrade_enabled.to_string(),
        ]
    }

    fn add_fields(&self, fields: &mut Fields, style: &Style) {
        let status = &self.status;
        let (downgrade_enabled, downgrade_target) = self.downgrade();
        fields.add_header(status.header.as_ref(), style);
        fields.quoted("Version", &status.version);
        fields.quoted("StorageVersion", &status.storage_version);
        fields.line("DBSize", status.db_size);
        fields.line("DBSizeInUse", status.db_size_in_use);
        fields.line("DBSizeQuota", status.db_size_quota);
        fields.line("Leader", status.leader);
        fields.line("IsLearner", status.is_learner);
        fields.line("RaftIndex", status.raft_index);
        fields.line("RaftTerm", status.raft_term);
        fields.line("RaftAppliedIndex", status.raft_applied_index);
        fields.line("Errors", go::list(&status.errors));
        fields.quoted("Endpoint", &self.endpoint);
        fields.quoted("DowngradeTargetVersion", &downgrade_target);
        fields.line("DowngradeEnabled", downgrade_enabled);
        fields.empty_line();
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EndpointStatusJson<'a> {
    endpoint: &'a str,
    status: StatusJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    db_size: i64,
    #[serde(skip_serializing_if = "is_default")]
    leader: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_index: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_term: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_applied_index: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    errors: &'a [String],
    #[serde(skip_serializing_if = "is_default")]
    db_size_in_use: i64,
    #[serde(skip_serializing_if = "is_default")]
    is_learner: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    storage_version: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    db_size_quota: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    downgrade_info: Option<DowngradeJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DowngradeJson<'a> {
    #[serde(skip_serializing_if = "is_default")]
    enabled: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    target_version: &'a str,
}

impl EndpointStatus {
    fn as_json(&self) -> EndpointStatusJson<'_> {
        let status = &self.status;
        let downgrade_info = status.downgrade_info.as_ref().map(|info| DowngradeJson {
            enabled: info.enabled,
            target_version: &info.target_version,
        });
        let status = StatusJson {
            header: Header::of(status.header.as_ref()),
            version: &status.version,
            db_size: status.db_size,
            leader: status.leader,
            raft_index: status.raft_index,
            raft_term: status.raft_term,
            raft_applied_index: status.raft_applied_index,
            errors: &status.errors,
            db_size_in_use: status.db_size_in_use,
            is_learner: status.is_learner,
            storage_version: &status.storage_version,
            db_size_quota: status.db_size_quota,
            downgrade_info,
        };
        EndpointStatusJson {
            endpoint: &self.endpoint,
            status,
        }
    }
}

impl Printable for Vec<EndpointStatus> {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let table = Table::new(&STATUS_COLUMNS, self.iter().map(EndpointStatus::row));
        out.write_all(table.lines().as_bytes())
    }

    fn json(&self, _: &Style) -> impl Serialize {
        let all: Vec<_> = self.iter().map(EndpointStatus::as_json).collect();
        Some(all).filter(|all| !all.is_empty())
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::default();
        self.iter()
            .for_each(|status| status.add_fields(&mut fields, style));
        fields.done()
    }

    fn table(&self) -> Option<Table> {
        Some(Table::new(
            &STATUS_COLUMNS,
            self.iter().map(EndpointStatus::row),
        ))
    }
}

/// The digest of one endpoint's key space.
pub(crate) struct EndpointHash {
    pub(crate) endpoint: String,
    pub(crate) hash: HashKvResponse,
}

const HASH_COLUMNS: [&str; 3] = ["endpoint", "hash", "hash revision"];

impl EndpointHash {
    fn row(&self) -> Vec<String> {
        let HashKvResponse {
            hash,
            hash_revision,
            ..
        } = self.hash;
        vec![
            self.endpoint.clone(),
            hash.to_string(),
            hash_revision.to_string(),
        ]
    }
}

#[derive(Serialize)]
struct EndpointHashJson<'a> {
    #[serde(rename = "Endpoint")]
    endpoint: &'a str,
    #[serde(rename = "HashKV")]
    hash_kv: HashJson,
}

#[derive(Serialize)]
struct HashJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(skip_serializing_if = "is_default")]
    hash: u32,
    #[serde(skip_serializing_if = "is_default")]
    compact_revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    hash_revision: i64,
}

impl EndpointHash {
    fn as_json(&self) -> EndpointHashJson<'_> {
        let hash_kv = HashJson {
            header: Header::of(self.hash.header.as_ref()),
            hash: self.hash.hash,
            compact_revision: self.hash.compact_revision,
            hash_revision: self.hash.hash_revision,
        };
        EndpointHashJson {
            endpoint: &self.endpoint,
            hash_kv,
        }
    }
}

impl Printable for Vec<EndpointHash> {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let table = Table::new(&HASH_COLUMNS, self.iter().map(EndpointHash::row));
        out.write_all(table.lines().as_bytes())
    }

    fn json(&self, _: &Style) -> impl Serialize {
        let all: Vec<_> = self.iter().map(EndpointHash::as_json).collect();
        Some(all).filter(|all| !all.is_empty())
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::default();
        for EndpointHash { endpoint, hash } in self {
            fields.add_header(hash.header.as_ref(), style);
            fields.quoted("Endpoint", endpoint);
            fields.line("Hash", hash.hash);
            fields.line("HashRevision", hash.hash_revision);
            fields.empty_line();
        }
        fields.done()
    }

    fn table(&self) -> Option<Table> {
        Some(Table::new(
            &HASH_COLUMNS,
            self.iter().map(EndpointHash::row),
        ))
    }
}
