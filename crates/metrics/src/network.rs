//! `etcd_network_*`, and `ferrod_network_*` for what etcd does not count.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};

use crate::buckets::doubling;
use crate::labelled::{ByLabel, Counters, Gauges, Histograms};
use crate::registrar::Registrar;

/// Connections to clients and to other members: `etcd_network_*`.
#[derive(Debug)]
pub struct Network {
    /// Bytes of messages that went to clients.
    pub client_grpc_sent_bytes_total: IntCounter,
    /// Bytes of messages that came from clients.
    pub client_grpc_received_bytes_total: IntCounter,
    /// 1 for each member of the cluster, this one too, 0 for a removed one; by own and other id.
    pub known_peers: IntGaugeVec,
    /// Connections to other members, by own and other id.
    pub active_peers: IntGaugeVec,
    /// Connections to other members that were lost, by own and other id.
    pub disconnected_peers_total: IntCounterVec,
    /// Bytes sent, by the other member.
    pub peer_sent_bytes_total: Counters,
    /// Bytes received, by the other member.
    pub peer_received_bytes_total: Counters,
    /// Messages that could not be sent, by the other member.
    pub peer_sent_failures_total: Counters,
    /// Messages that could not be received, by the other member or its address.
    pub peer_received_failures_total: Counters,
    /// Messages that were received and made no sense, by the other member and the reason.
    pub peer_refused_messages_total: IntCounterVec,
    /// Round trips, by the other member.
    pub peer_round_trip_time_seconds: Histograms,
    /// Copies of the state sent, by the other member.
    pub snapshot_send_success: Counters,
    /// Copies of the state that failed on the way out, by the other member.
    pub snapshot_send_failures: Counters,
    /// Copies of the state on the way out, by the other member.
    pub snapshot_send_inflights_total: Gauges,
    /// How long sending a copy of the state took, by the other member.
    pub snapshot_send_total_duration_seconds: Histograms,
    /// Copies of the state received, by the other member.
    pub snapshot_receive_success: Counters,
    /// Copies of the state that failed on the way in, by the other member.
    pub snapshot_receive_failures: Counters,
    /// Copies of the state on the way in, by the other member.
    pub snapshot_receive_inflights_total: Gauges,
    /// How long receiving a copy of the state took, by the other member.
    pub snapshot_receive_total_duration_seconds: Histograms,
    stream_failures: IntCounterVec,
}

/// In which direction a stream broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFailure {
    /// While the server sent.
    Send,
    /// While the server received.
    Receive,
}

/// Which stream broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamApi {
    /// A watch.
    Watch,
    /// The keep-alive of leases.
    LeaseKeepAlive,
}

impl Network {
    pub(crate) fn new(r: &Registrar<'_>) -> Network {
        let counters = |name: &str, help: &str, label: &str| {
            ByLabel::new(r.counters(&format!("etcd_network_{name}"), help, &[label]))
        };
        let gauges = |name: &str, help: &str, label: &str| {
            ByLabel::new(r.gauges(&format!("etcd_network_{name}"), help, &[label]))
        };
        let durations = |name: &str, help: &str, label: &str, buckets| {
            ByLabel::new(r.histograms(&format!("etcd_network_{name}"), help, &[label], buckets))
        };
        let snapshots = || doubling(0.1, 10);
        let pair = ["Local", "Remote"];
        Network {
            client_grpc_sent_bytes_total: r.counter(
                "etcd_network_client_grpc_sent_bytes_total",
                "Bytes of messages that went to clients.",
            ),
            client_grpc_received_bytes_total: r.counter(
                "etcd_network_client_grpc_received_bytes_total",
                "Bytes of messages that came from clients.",
            ),
            known_peers: r.gauges(
                "etcd_network_known_peers",
                "1 for each member of the cluster, 0 for a removed one.",
                &pair,
            ),
            active_peers: r.gauges(
                "etcd_network_active_peers",
                "Connections to other members.",
                &pair,
            ),
            disconnected_peers_total: r.counters(
                "etcd_network_disconnected_peers_total",
                "Connections to other members that were lost.",
                &pair,
            ),
            peer_sent_bytes_total: counters(
                "peer_sent_bytes_total",
                "Bytes sent to other members.",
                "To",
            ),
            peer_received_bytes_total: counters(
                "peer_received_bytes_total",
                "Bytes received from other members.",
                "From",
            ),
            peer_sent_failures_total: counters(
                "peer_sent_failures_total",
                "Messages to other members that were dropped or failed.",
                "To",
            ),
            peer_received_failures_total: counters(
                "peer_received_failures_total",
                "Messages from other members that failed.",
                "From",
            ),
            peer_refused_messages_total: r.counters(
                "ferrod_network_peer_refused_messages_total",
                "Messages from other members that were dropped because they made no sense.",
                &["From", "Reason"],
            ),
            peer_round_trip_time_seconds: durations(
                "peer_round_trip_time_seconds",
                "Round trips to other members.",
                "To",
                doubling(0.0001, 16),
            ),
            snapshot_send_success: counters(
                "snapshot_send_success",
                "Copies of the state sent.",
                "To",
            ),
            snapshot_send_failures: counters(
                "snapshot_send_failures",
                "Copies of the state that failed on the way out.",
                "To",
            ),
            snapshot_send_inflights_total: gauges(
                "snapshot_send_inflights_total",
                "Copies of the state on the way out.",
                "To",
            ),
            snapshot_send_total_duration_seconds: durations(
                "snapshot_send_total_duration_seconds",
                "How long sending a copy of the state took.",
                "To",
                snapshots(),
            ),
            snapshot_receive_success: counters(
                "snapshot_receive_success",
                "Copies of the state received.",
                "From",
            ),
            snapshot_receive_failures: counters(
                "snapshot_receive_failures",
                "Copies of the state that failed on the way in.",
                "From",
            ),
            snapshot_receive_inflights_total: gauges(
                "snapshot_receive_inflights_total",
                "Copies of the state on the way in.",
                "From",
            ),
            snapshot_receive_total_duration_seconds: durations(
                "snapshot_receive_total_duration_seconds",
                "How long receiving a copy of the state took.",
                "From",
                snapshots(),
            ),
            stream_failures: r.counters(
                "etcd_network_server_stream_failures_total",
                "Streams of clients that broke.",
                &["Type", "API"],
            ),
        }
    }

    /// Counts a stream of a client that broke.
    pub fn count_stream_failure(&self, failure: StreamFailure, api: StreamApi) {
        let failure = match failure {
            StreamFailure::Send => "send",
            StreamFailure::Receive => "receive",
        };
        let api = match api {
            StreamApi::Watch => "watch",
            StreamApi::LeaseKeepAlive => "lease-keepalive",
        };
        self.stream_failures
            .with_label_values(&[failure, api])
            .inc();
    }
}
