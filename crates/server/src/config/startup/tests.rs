use super::*;
use crate::config::{AutoCompaction, ClusterState, GoDuration};

fn surroundings(args: &[&str], variables: &[(&str, &str)]) -> Surroundings {
    let mut surroundings = Surroundings::for_test(args);
    surroundings.variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    surroundings
}

fn answer_of(args: &[&str]) -> Answer {
    match Startup::read(&surroundings(args, &[])) {
        Startup::Answer(answer) => answer,
        Startup::Log(beginning) => panic!("{beginning:?}"),
    }
}

fn beginning_of(surroundings: &Surroundings) -> Beginning {
    match Startup::read(surroundings) {
        Startup::Answer(answer) => panic!("{answer:?}"),
        Startup::Log(beginning) => *beginning,
    }
}

fn notes_of(beginning: &Beginning) -> Vec<String> {
    beginning.notes.iter().map(Note::to_string).collect()
}

#[test]
fn without_any_flag_it_runs_on_a_directory_of_its_own() {
    let beginning = beginning_of(&surroundings(&[], &[]));
    assert_eq!(
        notes_of(&beginning),
        [
            r#"info Running:  {"args":["ferrod"]}"#,
            r#"info failed to detect default host {"error":"no network"}"#,
            r#"warn 'data-dir' was empty; using default {"data-dir":"default.etcd"}"#,
        ]
    );
    let config = beginning.outcome.unwrap();
    assert_eq!(config.data_dir, Path::new("default.etcd"));
    assert_eq!(config.wal_dir(), Path::new("default.etcd/member/wal"));
    assert_eq!(config.request_timeout().as_secs(), 7);
    assert_eq!(config.lease_ttl_min().as_secs(), 2);
    assert_eq!(config.raft.election_ticks, 10);
    assert_eq!(config.storage.quota.bytes(), Some(2 << 30));
    assert_eq!(config.limits.request_bytes_max, 1_572_864);
    assert_eq!(config.limits.txn_ops_max, 128);
    assert_eq!(config.limits.keepalive_interval.as_secs(), 7200);
    assert_eq!(config.compaction.auto, AutoCompaction::Off);
    assert_eq!(config.compaction.batch_limit, 1000);
    assert_eq!(config.watch_progress_notify_interval.as_secs(), 600);
    assert_eq!(config.cluster.state, ClusterState::New);
    assert!(!config.extensive_metrics);
}

#[test]
fn zero_means_the_usual_and_too_little_is_raised() {
    let config = Startup::read(&surroundings(
        &[
            "--data-dir=/d",
            "--wal-dir=/w",
            "--snapshot-count=0",
            "--snapshot-catchup-entries=0",
            "--grpc-keepalive-min-time=0",
            "--grpc-keepalive-timeout=0",
            "--grpc-keepalive-interval=1m",
            "--watch-progress-notify-interval=1ms",
            "--warning-unary-request-duration=0",
            "--raft-read-timeout=1s",
            "--downgrade-check-time=0",
            "--max-wals=0",
            "--auto-compaction-retention=2",
            "--bootstrap-defrag-threshold-megabytes=3",
            "--metrics=extensive",
            "--election-timeout=1750",
        ],
        &[],
    ))
    .config()
    .unwrap();
    assert_eq!(config.wal_dir(), Path::new("/w"));
    assert_eq!(config.raft.snapshot_count, 10_000);
    assert_eq!(config.raft.snapshot_catchup_entries, 5_000);
    assert_eq!(config.limits.keepalive_min_time.as_secs(), 300);
    assert_eq!(config.limits.keepalive_interval.as_secs(), 7200);
    assert_eq!(config.limits.keepalive_timeout.as_secs(), 20);
    assert_eq!(config.watch_progress_notify_interval.as_millis(), 100);
    assert_eq!(config.warning_unary_request_duration.as_millis(), 300);
    assert_eq!(config.raft.read_timeout.as_secs(), 5);
    assert_eq!(config.downgrade_check_time, None);
    assert_eq!(config.storage.wal_segments_max, None);
    assert_eq!(config.storage.bootstrap_defrag_threshold, Some(3 << 20));
    let two_hours = GoDuration::from_secs(7200);
    assert_eq!(config.compaction.auto, AutoCompaction::Periodic(two_hours));
    assert!(config.extensive_metrics);
    assert_eq!(config.raft.election_ticks, 17);
    assert_eq!(config.lease_ttl_min().as_secs(), 3);
}

#[test]
fn help_and_version_are_answers() {
    let answer = answer_of(&["--help"]);
    assert_eq!(answer.code, 0);
    assert!(answer.stdout.contains("\nMember:\n  --name 'default'\n"));
    assert!(answer.stderr.starts_with("Usage:\n"));
    for words in [&["--version"][..], &["-version", "--data-dir=x"]] {
        let answer = answer_of(words);
        assert_eq!(answer.code, 0);
        assert!(answer.stdout.starts_with("etcd Version: 3.7.1\n"));
        assert_eq!(answer.stderr, "");
    }
}

#[test]
fn mistakes_in_the_flags_end_with_code_2_and_the_usage() {
    let answer = answer_of(&["--nope"]);
    assert_eq!(answer.code, 2);
    assert_eq!(answer.stdout, "");
    let expected = format!("flag provided but not defined: -nope\n{}", help::USAGE);
    assert_eq!(answer.stderr, expected);
    // etcd dropped these; an old command line must not seem to work.
    for flag in [
        "--discovery=x",
        "--proxy=off",
        "--enable-v2",
        "--debug",
        "--ca-file=x",
        "--addr=x",
        "--experimental-initial-corrupt-check",
        "--experimental-max-learners=1",
    ] {
        assert_eq!(answer_of(&[flag]).code, 2, "{flag}");
    }
    assert_eq!(answer_of(&["--log-level=x"]).code, 2);
    let answer = answer_of(&["gateway", "start"]);
    assert_eq!(answer.code, 1);
    assert_eq!(
        answer.stderr,
        "gateway: this program is not available in this version of ferrod\n"
    );
}

#[test]
fn flags_that_make_no_sense_are_told_by_the_log() {
    let beginning = beginning_of(&surroundings(&["--heartbeat-interval=0"], &[]));
    assert_eq!(
        notes_of(&beginning),
        [
            r#"info Running:  {"args":["ferrod","--heartbeat-interval=0"]}"#,
            r#"warn failed to verify flags {"error":"--heartbeat-interval must be >0 (set to 0ms)"}"#,
        ]
    );
    let beginning = beginning_of(&surroundings(&["--version", "foo"], &[]));
    assert_eq!(
        notes_of(&beginning)[1],
        r#"warn failed to verify flags {"error":"\"foo\" is not a valid flag"}"#
    );
    let words = ["--listen-client-urls=http://127.0.0.1:1"];
    let beginning = beginning_of(&surroundings(&words, &[]));
    let text = NO_ADVERTISED_CLIENT_URLS;
    assert_eq!(
        notes_of(&beginning)[1..],
        [
            format!("warn failed to verify flags {{\"error\":\"{text}\"}}"),
            format!("warn advertise client URLs are not set {{\"error\":\"{text}\"}}"),
        ]
    );
}

#[test]
fn what_only_the_start_notices_is_fatal() {
    let beginning = beginning_of(&surroundings(&["--auto-compaction-retention=x"], &[]));
    assert!(matches!(beginning.outcome, Err(Refusal::Start(_))));
    assert_eq!(
        notes_of(&beginning).last().unwrap(),
        r#"fatal discovery failed {"error":"error parsing CompactionRetention: time: invalid duration \"x\""}"#
    );
}

#[test]
fn a_conflict_is_fatal_before_anything_else() {
    let variables = [("ETCD_NAME", "x"), ("ETCD_PRE_VOTE", "1")];
    let beginning = beginning_of(&surroundings(&["--name=x"], &variables));
    assert_eq!(
        notes_of(&beginning),
        [
            r#"info recognized and used environment variable {"variable-name":"ETCD_PRE_VOTE","variable-value":"1"}"#,
            r#"fatal conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag)) {"environment-variable":"ETCD_NAME"}"#,
        ]
    );
}

#[test]
fn a_variable_counts_as_given() {
    let variables = [("ETCD_LISTEN_CLIENT_URLS", "http://127.0.0.1:1")];
    let beginning = beginning_of(&surroundings(&[], &variables));
    let text = NO_ADVERTISED_CLIENT_URLS.to_owned();
    assert_eq!(beginning.outcome.unwrap_err(), Refusal::Flags(text));
}

#[test]
fn a_file_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, "name: by-file\nlog-level: warn\nsnapshot-count: 0\n").unwrap();
    let path = path.to_str().unwrap();
    let by_flag = surroundings(
        &["--config-file", path, "--name=x", "--raft-read-timeout=1s"],
        &[("ETCD_NAME", "y"), ("ETCD_NOPE", "z")],
    );
    let by_variable = surroundings(&[], &[("ETCD_CONFIG_FILE", path), ("ETCD_NAME", "y")]);
    for surroundings in [by_flag, by_variable] {
        let beginning = beginning_of(&surroundings);
        assert_eq!(beginning.logging.level, Level::Warn);
        let notes = notes_of(&beginning);
        assert!(notes[0].starts_with("info loaded server configuration, other"));
        assert!(notes[1].starts_with("info Running: "));
        let config = beginning.outcome.unwrap();
        assert_eq!(config.name, "by-file");
        assert_eq!(config.data_dir, Path::new("by-file.etcd"));
        assert_eq!(config.raft.snapshot_count, 10_000);
    }
}

#[test]
fn a_file_that_cannot_be_used_is_told() {
    let beginning = beginning_of(&surroundings(&["--config-file=/nonexist"], &[]));
    let notes = notes_of(&beginning);
    assert_eq!(
        notes[1],
        r#"warn failed to verify flags {"error":"open /nonexist: no such file or directory"}"#
    );
    let mut surroundings = surroundings(&["--config-file=x"], &[]);
    surroundings.read_file = |_| Ok("listen-peer-urls: x\n".to_owned());
    let Startup::Answer(answer) = Startup::read(&surroundings) else {
        panic!("a bad URL in the file is told without the log");
    };
    assert_eq!(answer.code, 1);
    assert_eq!(
        answer.stderr,
        "unexpected error setting up listen-peer-urls: \
         URL scheme must be http, https, unix, or unixs: x\n"
    );
}
