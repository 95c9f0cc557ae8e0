//! What the log tells of the configuration when the server starts.

use std::path::Path;

use super::{AutoCompaction, Config, Gate, GoDuration, MemberUrl, Quota};
use crate::logging::{Level, Note};
use crate::version;

/// What the start line tells beyond the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct StartFacts {
    /// Whether there was data already.
    pub member_initialized: bool,
    /// Processors that this process uses.
    pub cpus_used: usize,
    /// Processors that the machine has.
    pub cpus_available: usize,
}

const REQUEST_BYTES_ADVISED: u64 = 10 << 20;

impl Config {
    /// The line `configuring peer listeners`.
    #[must_use]
    pub fn peer_listeners_note(&self) -> Note {
        Note::new(Level::Info, "configuring peer listeners")
            .field("listen-peer-urls", texts(&self.listen.peer_urls))
    }

    /// The line `configuring client listeners`, and a warning if pages are served there too.
    #[must_use]
    pub fn client_listeners_notes(&self) -> Vec<Note> {
        let mut notes = vec![
            Note::new(Level::Info, "configuring client listeners")
                .field("listen-client-urls", texts(&self.listen.client_urls)),
        ];
        if self.listen.client_http_urls.is_empty() {
            notes.push(Note::new(
                Level::Warn,
                "Running http and grpc server on single port. This is not recommended for production.",
            ));
        }
        notes
    }

    /// Advice about single flags, to be logged before the start.
    #[must_use]
    pub fn advice(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        for flag in &self.told.deprecated {
            let note = Note::new(Level::Warn, "deprecated flag is set; it has no effect");
            notes.push(note.field("flag", flag));
        }
        for flag in &self.told.not_yet {
            let note = Note::new(Level::Warn, "flag has no effect in this version of ferrod");
            notes.push(note.field("flag", flag));
        }
        for flag in &self.told.without_effect {
            let note = Note::new(
                Level::Debug,
                "flag tunes a storage engine that is not in use; it has no effect",
            );
            notes.push(note.field("flag", flag));
        }
        if self.gates.is_enabled(Gate::LeaseCheckpoint)
            && !self.gates.is_enabled(Gate::LeaseCheckpointPersist)
        {
            notes.push(Note::new(
                Level::Warn,
                "feature gate LeaseCheckpoint is on without LeaseCheckpointPersist; what is left of leases is kept on disk all the same",
            ));
        }
        let request_bytes = self.limits.request_bytes_max as u64;
        if request_bytes > REQUEST_BYTES_ADVISED {
            notes.push(
                Note::new(Level::Warn, "exceeded recommended request limit")
                    .field("max-request-bytes", request_bytes)
                    .field("max-request-size", human_bytes(request_bytes))
                    .field("recommended-request-bytes", REQUEST_BYTES_ADVISED)
                    .field(
                        "recommended-request-size",
                        human_bytes(REQUEST_BYTES_ADVISED),
                    ),
            );
        }
        notes
    }

    /// What is done about the size of the store.
    #[must_use]
    pub fn quota_notes(&self) -> Vec<Note> {
        let note = |level, message| {
            Note::new(level, message)
                .field("quota-name", "v3-applier")
                .field("quota-size-bytes", self.storage.quota.reported())
        };
        let Some(bytes) = self.storage.quota.bytes() else {
            return vec![note(Level::Info, "disabled backend quota")];
        };
        let size = human_bytes(bytes);
        if self.storage.quota.flag() == 0 {
            let message = "enabled backend quota with default value";
            return vec![note(Level::Info, message).field("quota-size", size)];
        }
        let mut notes = Vec::new();
        if bytes > Quota::ADVISED_BYTES_MAX {
            notes.push(
                note(Level::Warn, "quota exceeds the maximum value")
                    .field("quota-size", &size)
                    .field("quota-maximum-size-bytes", Quota::ADVISED_BYTES_MAX)
                    .field("quota-maximum-size", human_bytes(Quota::ADVISED_BYTES_MAX)),
            );
        }
        notes.push(note(Level::Info, "enabled backend quota").field("quota-size", size));
        notes
    }

    /// The line `starting an etcd server`, which tells every setting.
    #[must_use]
    pub fn start_note(&self, facts: StartFacts) -> Note {
        let note = Note::new(Level::Info, "starting an etcd server")
            .field("etcd-version", version::ETCD_VERSION)
            .field("git-sha", version::git_sha())
            .field("go-version", version::runtime())
            .field("go-os", version::os())
            .field("go-arch", version::arch())
            .field("max-cpu-set", facts.cpus_used)
            .field("max-cpu-available", facts.cpus_available)
            .field("member-initialized", facts.member_initialized);
        let note = self.tell_discovery(self.tell_store(self.tell_cluster(self.tell_member(note))));
        note.field(
            "downgrade-check-interval",
            span(self.downgrade_check_time.unwrap_or_default()),
        )
        .field("max-learners", self.cluster.learners_max)
        .field("v2-deprecation", &self.told.v2_deprecation)
    }

    fn tell_member(&self, note: Note) -> Note {
        let dedicated = self.wal_dir.as_deref().map(path_text).unwrap_or_default();
        note.field("name", &self.name)
            .field("data-dir", path_text(&self.data_dir))
            .field("wal-dir", &dedicated)
            .field("wal-dir-dedicated", dedicated)
            .field("member-dir", path_text(&self.member_dir()))
            .field("force-new-cluster", self.cluster.force_new)
            .field("heartbeat-interval", span(self.raft.heartbeat_interval))
            .field("election-timeout", span(self.raft.election_timeout))
            .field(
                "initial-election-tick-advance",
                self.raft.initial_election_tick_advance,
            )
            .field("snapshot-count", self.raft.snapshot_count)
            .field("max-wals", self.told.max_wals)
            .field("max-snapshots", self.told.max_snapshots)
            .field(
                "snapshot-catchup-entries",
                self.raft.snapshot_catchup_entries,
            )
            .field(
                "initial-advertise-peer-urls",
                texts(&self.advertise_peer_urls),
            )
            .field("listen-peer-urls", texts(&self.listen.peer_urls))
            .field("advertise-client-urls", texts(&self.advertise_client_urls))
            .field("listen-client-urls", texts(&self.listen.client_urls))
            .field("listen-metrics-urls", texts(&self.listen.metrics_urls))
            .field("local-address", "")
    }

    fn tell_cluster(&self, note: Note) -> Note {
        let state = match self.cluster.state {
            super::ClusterState::New => "new",
            super::ClusterState::Existing => "existing",
        };
        note.field("cors", &self.web.cors)
            .field("host-whitelist", &self.web.host_whitelist)
            .field("initial-cluster", &self.cluster.initial)
            .field("initial-cluster-state", state)
            .field("initial-cluster-token", &self.cluster.token)
    }

    fn tell_store(&self, note: Note) -> Note {
        let retention = match self.compaction.auto {
            AutoCompaction::Off => GoDuration::ZERO,
            AutoCompaction::Periodic(span) => span,
            // etcd keeps a number of revisions in the same field as nanoseconds.
            AutoCompaction::Revisions(count) => GoDuration(count),
        };
        note.field("quota-backend-bytes", self.storage.quota.reported())
            .field("max-request-bytes", self.limits.request_bytes_max)
            .field("max-concurrent-streams", self.limits.concurrent_streams_max)
            .field("pre-vote", self.raft.pre_vote)
            .field("feature-gates", self.gates.log_text())
            .field(
                "initial-corrupt-check",
                self.gates.is_enabled(Gate::InitialCorruptCheck),
            )
            .field(
                "corrupt-check-time-interval",
                span(self.checks.newest.unwrap_or_default()),
            )
            .field(
                "compact-check-time-interval",
                span(self.checks.compactions.unwrap_or_default()),
            )
            .field("auto-compaction-mode", &self.compaction.mode)
            .field("auto-compaction-retention", retention.to_string())
            .field("auto-compaction-interval", retention.to_string())
    }

    /// The flags of discovery, which all have their defaults as long as others are refused.
    fn tell_discovery(&self, note: Note) -> Note {
        note.field("discovery-token", "")
            .field("discovery-endpoints", "")
            .field("discovery-dial-timeout", "2s")
            .field("discovery-request-timeout", "5s")
            .field("discovery-keepalive-time", "2s")
            .field("discovery-keepalive-timeout", "6s")
            .field("discovery-insecure-transport", true)
            .field("discovery-insecure-skip-tls-verify", false)
            .field("discovery-cert", "")
            .field("discovery-key", "")
            .field("discovery-cacert", "")
            .field("discovery-user", "")
    }

    /// The line `now serving peer/client/metrics`.
    #[must_use]
    pub fn serving_note(&self, member_id: &str) -> Note {
        Note::new(Level::Info, "now serving peer/client/metrics")
            .field("local-member-id", member_id)
            .field(
                "initial-advertise-peer-urls",
                texts(&self.advertise_peer_urls),
            )
            .field("listen-peer-urls", texts(&self.listen.peer_urls))
            .field("advertise-client-urls", texts(&self.advertise_client_urls))
            .field("listen-client-urls", texts(&self.listen.client_urls))
            .field("listen-metrics-urls", texts(&self.listen.metrics_urls))
    }

    /// The line `closing etcd server` or `closed etcd server`.
    #[must_use]
    pub fn closing_note(&self, message: &'static str) -> Note {
        Note::new(Level::Info, message)
            .field("name", &self.name)
            .field("data-dir", path_text(&self.data_dir))
            .field("advertise-peer-urls", texts(&self.advertise_peer_urls))
            .field("advertise-client-urls", texts(&self.advertise_client_urls))
    }
}

fn texts(urls: &[MemberUrl]) -> Vec<&str> {
    urls.iter().map(MemberUrl::as_str).collect()
}

fn span(span: std::time::Duration) -> String {
    GoDuration::from(span).to_string()
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A number of bytes as etcd's log shows it: powers of 1000, one decimal place below ten.
#[must_use]
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let place = (bytes.ilog10() / 3) as usize;
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let value = bytes as f64 / 1000_f64.powi(i32::try_from(place).unwrap_or(0));
    let value = (value * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 {
        format!("{value:.1} {}", UNITS[place])
    } else {
        format!("{value:.0} {}", UNITS[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Startup, Surroundings};

    fn config_of(words: &[&str]) -> Config {
        let startup = Startup::read(&Surroundings::for_test(words));
        startup.config().expect("the flags are good")
    }

    fn told(notes: Vec<Note>) -> Vec<String> {
        notes.iter().map(Note::to_string).collect()
    }

    #[test]
    fn bytes_are_shown_as_etcd_shows_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (9, "9 B"),
            (82, "82 B"),
            (24_576, "25 kB"),
            (2 << 30, "2.1 GB"),
            (8_589_934_593, "8.6 GB"),
            (10 << 20, "10 MB"),
            (99_999_999, "100 MB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }

    /// The texts are those that etcd 3.5.1 logged for the same flags.
    #[test]
    fn quotas_are_told_as_in_etcd() {
        assert_eq!(
            told(config_of(&[]).quota_notes()),
            [
                r#"info enabled backend quota with default value {"quota-name":"v3-applier","quota-size-bytes":2147483648,"quota-size":"2.1 GB"}"#
            ]
        );
        assert_eq!(
            told(config_of(&["--quota-backend-bytes=-1"]).quota_notes()),
            [r#"info disabled backend quota {"quota-name":"v3-applier","quota-size-bytes":-1}"#]
        );
        assert_eq!(
            told(config_of(&["--quota-backend-bytes=8589934593"]).quota_notes()),
            [
                r#"warn quota exceeds the maximum value {"quota-name":"v3-applier","quota-size-bytes":8589934593,"quota-size":"8.6 GB","quota-maximum-size-bytes":8589934592,"quota-maximum-size":"8.6 GB"}"#,
                r#"info enabled backend quota {"quota-name":"v3-applier","quota-size-bytes":8589934593,"quota-size":"8.6 GB"}"#,
            ]
        );
    }

    #[test]
    fn odd_flags_give_advice() {
        assert_eq!(config_of(&[]).advice(), []);
        let config = config_of(&[
            "--max-snapshots=3",
            "--max-request-bytes=99999999",
            "--backend-batch-limit=5",
        ]);
        assert_eq!(
            told(config.advice()),
            [
                r#"warn deprecated flag is set; it has no effect {"flag":"max-snapshots"}"#,
                r#"debug flag tunes a storage engine that is not in use; it has no effect {"flag":"backend-batch-limit"}"#,
                r#"warn exceeded recommended request limit {"max-request-bytes":99999999,"max-request-size":"100 MB","recommended-request-bytes":10485760,"recommended-request-size":"10 MB"}"#,
            ]
        );
    }

    #[test]
    fn the_start_line_tells_every_setting() {
        let note = config_of(&["--name=x"]).start_note(StartFacts::default());
        let text = note.to_string();
        let json = text.strip_prefix("info starting an etcd server ").unwrap();
        let fields: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(fields.as_object().unwrap().len(), 58);
        for (name, value) in [
            ("etcd-version", "3.7.1".into()),
            ("data-dir", "x.etcd".into()),
            ("member-dir", "x.etcd/member".into()),
            ("heartbeat-interval", "100ms".into()),
            ("election-timeout", "1s".into()),
            ("initial-cluster", "x=http://localhost:2380".into()),
            ("quota-backend-bytes", serde_json::Value::from(2_u64 << 30)),
            ("auto-compaction-retention", "0s".into()),
            ("feature-gates", "".into()),
        ] {
            assert_eq!(fields[name], value, "{name}");
        }
    }
}
