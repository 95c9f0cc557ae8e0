use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{GrpcCode, Operation, ProcessSample, Rpc, StreamApi, StreamFailure};

/// The families that show with nothing used, and their types.
const ALWAYS: &str = "
etcd_server_has_leader=gauge etcd_server_is_leader=gauge etcd_server_is_learner=gauge
ferrod_server_suspect=gauge
etcd_server_leader_changes_seen_total=counter etcd_server_learner_promote_successes=counter
etcd_server_heartbeat_send_failures_total=counter
etcd_server_snapshot_apply_in_progress_total=gauge etcd_server_proposals_committed_total=gauge
etcd_server_proposals_applied_total=gauge etcd_server_proposals_pending=gauge
etcd_server_proposals_failed_total=counter etcd_server_slow_apply_total=counter
etcd_server_slow_read_indexes_total=counter etcd_server_read_indexes_failed_total=counter
etcd_server_quota_backend_bytes=gauge etcd_server_health_success=counter
etcd_server_health_failures=counter etcd_debugging_server_lease_expired_total=counter
etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds=histogram
etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds=histogram
etcd_debugging_server_watch_send_loop_control_stream_duration_seconds=histogram
etcd_debugging_server_watch_send_loop_progress_duration_seconds=histogram
etcd_debugging_auth_revision=gauge etcd_disk_wal_fsync_duration_seconds=histogram
etcd_disk_wal_write_duration_seconds=histogram etcd_disk_wal_write_bytes_total=gauge
etcd_disk_backend_commit_duration_seconds=histogram
etcd_disk_backend_defrag_duration_seconds=histogram
etcd_disk_backend_snapshot_duration_seconds=histogram etcd_disk_defrag_inflight=gauge
etcd_debugging_disk_backend_commit_rebalance_duration_seconds=histogram
etcd_debugging_disk_backend_commit_spill_duration_seconds=histogram
etcd_debugging_disk_backend_commit_write_duration_seconds=histogram
etcd_network_client_grpc_sent_bytes_total=counter
etcd_network_client_grpc_received_bytes_total=counter etcd_mvcc_range_total=counter
etcd_mvcc_put_total=counter etcd_mvcc_delete_total=counter etcd_mvcc_txn_total=counter
etcd_mvcc_db_total_size_in_bytes=gauge etcd_mvcc_db_total_size_in_use_in_bytes=gauge
etcd_mvcc_db_open_read_transactions=gauge etcd_mvcc_hash_duration_seconds=histogram
etcd_mvcc_hash_rev_duration_seconds=histogram etcd_debugging_mvcc_keys_total=gauge
etcd_debugging_mvcc_watch_stream_total=gauge etcd_debugging_mvcc_watcher_total=gauge
etcd_debugging_mvcc_slow_watcher_total=gauge etcd_debugging_mvcc_pending_events_total=gauge
etcd_debugging_mvcc_events_total=counter etcd_debugging_mvcc_current_revision=gauge
etcd_debugging_mvcc_compact_revision=gauge etcd_debugging_mvcc_total_put_size_in_bytes=gauge
etcd_debugging_mvcc_db_compaction_last=gauge etcd_debugging_mvcc_db_compaction_keys_total=counter
etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds=histogram
etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds=histogram
etcd_debugging_mvcc_db_compaction_total_duration_milliseconds=histogram
etcd_debugging_lease_granted_total=counter etcd_debugging_lease_revoked_total=counter
etcd_debugging_lease_renewed_total=counter etcd_debugging_lease_ttl_total=histogram
etcd_snap_fsync_duration_seconds=histogram etcd_snap_db_save_total_duration_seconds=histogram
etcd_snap_db_fsync_duration_seconds=histogram
etcd_debugging_snap_save_marshalling_duration_seconds=histogram
etcd_debugging_snap_save_total_duration_seconds=histogram
etcd_debugging_store_expires_total=counter etcd_debugging_store_watch_requests_total=counter
etcd_debugging_store_watchers=gauge etcd_grpc_proxy_watchers_coalescing_total=gauge
etcd_grpc_proxy_events_coalescing_total=counter etcd_grpc_proxy_cache_keys_total=gauge
etcd_grpc_proxy_cache_hits_total=gauge etcd_grpc_proxy_cache_misses_total=gauge
grpc_server_started_total=counter grpc_server_handled_total=counter
grpc_server_msg_received_total=counter grpc_server_msg_sent_total=counter os_fd_used=gauge
os_fd_limit=gauge process_cpu_seconds_total=counter process_open_fds=gauge process_max_fds=gauge
process_resident_memory_bytes=gauge process_virtual_memory_bytes=gauge
process_virtual_memory_max_bytes=gauge process_start_time_seconds=gauge
process_network_receive_bytes_total=counter process_network_transmit_bytes_total=counter
promhttp_metric_handler_requests_total=counter promhttp_metric_handler_requests_in_flight=gauge
";

fn types_of(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect()
}

fn basic() -> Metrics {
    Metrics::new(Options::default())
}

#[test]
fn families_without_labels_show_from_the_start() {
    let metrics = basic();
    let text = metrics.text();
    let expected: BTreeMap<&str, &str> = ALWAYS
        .split_whitespace()
        .map(|pair| pair.split_once('=').unwrap())
        .collect();
    assert_eq!(types_of(&text), expected);
}

/// What is expected beside [`ALWAYS`] of a member that served a few requests.
#[test]
fn families_with_labels_show_with_their_first_use() {
    let metrics = basic();
    let before: BTreeSet<String> = types_of(&metrics.text())
        .into_keys()
        .map(str::to_owned)
        .collect();
    let server = &metrics.server;
    server.set_id("8e9e05c52164694d");
    server.set_version("3.7.1", "none");
    server.set_cluster_version("3.6");
    server.set_cluster_version("3.7");
    server.set_feature("AllAlpha", "ALPHA", false);
    server.add_alarm("1", "NOSPACE", 1);
    server.count_promote_failure("x");
    server.health.note("livez", "serializable_read", true);
    server
        .request_duration_seconds
        .observe(Operation::Put, true, 0.1);
    server
        .apply_duration_seconds
        .observe(Operation::Unknown, false, 0.1);
    server.range_duration_seconds.observe(true, 0.1);
    server.client_requests.counter(false, None).inc();
    server.client_requests.counter(true, Some("3.7")).inc();
    let network = &metrics.network;
    network.known_peers.with_label_values(&["1", "1"]).set(1);
    network.count_stream_failure(StreamFailure::Send, StreamApi::Watch);
    network.peer_sent_bytes_total.get("2").inc_by(5);

    let text = metrics.text();
    let new: Vec<&str> = types_of(&text)
        .into_keys()
        .filter(|name| !before.contains(*name))
        .collect();
    assert_eq!(
        new,
        [
            "etcd_cluster_version",
            "etcd_debugging_server_alarms",
            "etcd_network_known_peers",
            "etcd_network_peer_sent_bytes_total",
            "etcd_network_server_stream_failures_total",
            "etcd_server_apply_duration_seconds",
            "etcd_server_client_requests_total",
            "etcd_server_feature_enabled",
            "etcd_server_go_version",
            "etcd_server_healthcheck",
            "etcd_server_healthchecks_total",
            "etcd_server_id",
            "etcd_server_learner_promote_failures",
            "etcd_server_range_duration_seconds",
            "etcd_server_request_duration_seconds",
            "etcd_server_version",
        ]
    );
    for line in [
        "etcd_server_id{server_id=\"8e9e05c52164694d\"} 1",
        "etcd_cluster_version{cluster_version=\"3.6\"} 0",
        "etcd_cluster_version{cluster_version=\"3.7\"} 1",
        "etcd_debugging_server_alarms{alarm_type=\"NOSPACE\",server_id=\"1\"} 1",
        "etcd_server_healthcheck{name=\"serializable_read\",type=\"livez\"} 1",
        "etcd_server_request_duration_seconds_bucket{success=\"true\",type=\"Put\",le=\"0.128\"} 1",
        "etcd_server_apply_duration_seconds_count{op=\"unknown\",success=\"false\",version=\"v3\"} 1",
        "etcd_server_client_requests_total{client_api_version=\"unknown\",type=\"unary\"} 1",
        "etcd_server_client_requests_total{client_api_version=\"3.7\",type=\"stream\"} 1",
        "etcd_network_peer_sent_bytes_total{To=\"2\"} 5",
        "etcd_network_server_stream_failures_total{API=\"watch\",Type=\"send\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    network.peer_sent_bytes_total.forget("2");
    assert!(!metrics.text().contains("peer_sent_bytes_total{"));
}

#[test]
fn calls_are_preset_but_for_locks_and_elections() {
    let metrics = basic();
    let text = metrics.text();
    let handled = text
        .lines()
        .filter(|line| line.starts_with("grpc_server_handled_total{"))
        .count();
    // 45 methods with 17 codes each.
    assert_eq!(handled, 45 * 17);
    assert!(!text.contains("v3lockpb"));
    metrics
        .grpc
        .method(Rpc::Lock)
        .begin()
        .end(GrpcCode::Ok, 0.0);
    assert!(metrics.text().contains("v3lockpb"));
}

#[test]
fn a_call_ends_exactly_once() {
    let metrics = basic();
    let method = metrics.grpc.method(Rpc::Watch);
    method.begin().end(GrpcCode::from_number(14), 0.0);
    drop(method.begin());
    let text = metrics.text();
    let labels =
        "grpc_method=\"Watch\",grpc_service=\"etcdserverpb.Watch\",grpc_type=\"bidi_stream\"";
    for line in [
        format!("grpc_server_started_total{{{labels}}} 2"),
        format!("grpc_server_handled_total{{grpc_code=\"Unavailable\",{labels}}} 1"),
        format!("grpc_server_handled_total{{grpc_code=\"Canceled\",{labels}}} 1"),
        format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 0"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    assert_eq!(GrpcCode::from_number(99), GrpcCode::Unknown);
    assert_eq!(GrpcCode::from_number(-1), GrpcCode::Unknown);
}

#[test]
fn durations_of_calls_are_measured_only_on_demand() {
    let observe = |extensive| {
        let metrics = Metrics::new(Options { extensive });
        let method = metrics.grpc.method(Rpc::Range);
        assert_eq!(method.is_timed(), extensive);
        method.begin().end(GrpcCode::Ok, 0.02);
        metrics.text()
    };
    assert!(!observe(false).contains("grpc_server_handling_seconds"));
    assert!(observe(true).contains(
        "grpc_server_handling_seconds_bucket{grpc_method=\"Range\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\",le=\"0.025\"} 1"
    ));
}

#[test]
fn versions_of_clients_are_bounded() {
    let metrics = basic();
    for number in 0..200 {
        let version = format!("v{number}");
        metrics
            .server
            .client_requests
            .counter(false, Some(&version))
            .inc();
    }
    let text = metrics.text();
    let series = text
        .lines()
        .filter(|line| line.starts_with("etcd_server_client_requests_total{"))
        .count();
    assert_eq!(series, 65);
    assert!(text.contains("{client_api_version=\"unknown\",type=\"unary\"} 136\n"));
}

#[test]
fn counters_of_the_process_only_rise() {
    let metrics = basic();
    let mut sample = ProcessSample {
        cpu_seconds: 1.5,
        open_fds: 7,
        network_receive_bytes: 100,
        ..ProcessSample::default()
    };
    metrics.process.set(&sample);
    sample.cpu_seconds = 1.0;
    sample.network_receive_bytes = 50;
    sample.open_fds = 3;
    metrics.process.set(&sample);
    let text = metrics.text();
    for line in [
        "process_cpu_seconds_total 1.5",
        "process_network_receive_bytes_total 100",
        "process_open_fds 3",
        "os_fd_used 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
}
