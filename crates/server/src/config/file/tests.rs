use super::*;
use crate::config::GoDuration;

fn read_text(text: &str) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    read(text, &mut settings)?;
    Ok(settings)
}

#[test]
fn the_shapes_of_the_published_sample_are_read() {
    let settings = read_text(
        "name: m1
data-dir: /srv/etcd/m1
listen-client-urls: https://10.0.0.1:2379,http://127.0.0.1:2379
initial-cluster: m1=https://10.0.0.1:2380,m2=https://10.0.0.2:2380
heartbeat-interval: 150          # ms
grpc-keepalive-min-time: 6000000000   # ns
auto-compaction-retention: 1
feature-gates: CompactHashCheck=true
log-outputs: [stdout, stderr]
cors: http://a:1,http://b:1
discovery:
proxy: 'off'
socket-options:
  reuse-port: true
peer-transport-security:
  cert-file: /etc/pki/peer.crt
  client-cert-auth: true
  allowed-cn: [b, a]
discovery-config:
  client:
    secure: { insecure-transport: false }
    auth:
",
    )
    .unwrap();
    let options = &settings.options;
    assert_eq!(options.name, "m1");
    assert_eq!(options.listen_client_urls.len(), 2);
    assert_eq!(options.heartbeat_interval_ms, 150);
    assert_eq!(options.grpc_keepalive_min_time, GoDuration::from_secs(6));
    assert_eq!(options.auto_compaction_retention, "1");
    assert_eq!(options.log_outputs, ["stderr", "stdout"]);
    assert_eq!(options.cors, ["http://a:1", "http://b:1"]);
    assert!(options.socket_reuse_port);
    assert_eq!(options.peer_tls.cert_file, "/etc/pki/peer.crt");
    assert!(options.peer_tls.client_cert_auth);
    assert_eq!(options.peer_cert_allowed_cn, ["a", "b"]);
    assert!(!options.discovery_insecure_transport);
    assert!(settings.is_given("peer-cert-file"));
    assert!(!settings.is_given("peer-key-file"));
}

#[test]
fn an_empty_file_or_node_leaves_the_defaults() {
    for text in [
        "",
        "# nothing\n",
        "{}",
        "name:\nlisten-client-urls:\ninitial-cluster-state: ''",
    ] {
        let settings = read_text(text).unwrap();
        assert_eq!(settings.options.name, "default");
        assert_eq!(settings.options.listen_client_urls.len(), 1);
        assert_eq!(settings.options.initial_cluster_state, "new");
    }
}

#[test]
fn keys_may_be_in_another_case() {
    let settings = read_text("Name: x\nSocket-Options:\n  Reuse-Port: true\n").unwrap();
    assert_eq!(settings.options.name, "x");
    assert!(settings.options.socket_reuse_port);
}

#[test]
fn mistakes_name_the_key() {
    for (text, message) in [
        (
            "heartbeat-interval: x",
            "heartbeat-interval: expected a whole number, 0 or more, found a text",
        ),
        (
            "grpc-keepalive-min-time: 5s",
            "grpc-keepalive-min-time: expected a whole number of nanoseconds, found a text",
        ),
        (
            "peer-transport-security: x",
            "peer-transport-security: expected a section, found a text",
        ),
        (
            "socket-options: {reuse-port: 1}",
            "socket-options.reuse-port: expected true or false, found a number",
        ),
        (
            "log-outputs: stderr",
            "log-outputs: expected a list of texts, found a text",
        ),
        ("name: [a]", "name: expected a text, found a list"),
        ("initial-cluster-state: x", "unexpected clusterState \"x\""),
        (
            "listen-peer-urls: x",
            "unexpected error setting up listen-peer-urls: \
             URL scheme must be http, https, unix, or unixs: x",
        ),
        (
            "- a",
            "the configuration file must be a list of keys with values",
        ),
    ] {
        assert_eq!(read_text(text).unwrap_err().to_string(), message);
    }
    let error = read_text("{").unwrap_err().to_string();
    let prefix = "error converting YAML to JSON: yaml: ";
    assert!(error.starts_with(prefix), "{error}");
}

#[test]
fn flags_without_a_key_are_not_read() {
    let settings = read_text("raft-read-timeout: 1\nversion: true\nconfig-file: x\n").unwrap();
    assert_eq!(settings.given.len(), 0);
    assert!(!settings.options.version);
}
