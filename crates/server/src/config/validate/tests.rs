use super::*;
use crate::config::command_line;
use crate::config::sources::Source;

fn settings_of(words: &[&str]) -> Settings {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let mut settings = Settings::default();
    command_line::read(&words, &mut settings).unwrap();
    settings
}

fn check_words(words: &[&str]) -> Result<(), String> {
    check(&mut settings_of(words)).map_err(|refusal| refusal.to_string())
}

/// Each text is what etcd 3.5.1 logged for the same flags, where it has them.
///
/// covers: R-074
#[test]
fn mistakes_are_told_in_the_words_of_etcd() {
    for (words, message) in [
        (
            &["--listen-peer-urls=http://foo:23"][..],
            "expected IP in URL for binding (http://foo:23)",
        ),
        (
            &["--listen-peer-urls=http://:23"],
            "expected IP in URL for binding (http://:23)",
        ),
        (
            &["--listen-metrics-urls=http://:23"],
            "expected IP in URL for binding (http://:23)",
        ),
        (
            &["--initial-advertise-peer-urls=http://:23"],
            r#"--initial-advertise-peer-urls "http://:23" must be "host:port" (unexpected empty host (http://:23))"#,
        ),
        (
            &["--advertise-client-urls=http://:23"],
            r#"--advertise-client-urls "http://:23" must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (unexpected empty host (http://:23))"#,
        ),
        (
            &["--discovery-srv=x", "--initial-cluster=a=http://b:1"],
            r#"multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv""#,
        ),
        (
            &["--discovery-token=x"],
            "both --discovery-token and --discovery-endpoints must be set",
        ),
        (
            &["--discovery-endpoints=x"],
            "both --discovery-token and --discovery-endpoints must be set",
        ),
        (
            &["--discovery-endpoints=x, ", "--discovery-token=x"],
            "--discovery-endpoints must not contain empty endpoints",
        ),
        (
            &["--heartbeat-interval=0"],
            "--heartbeat-interval must be >0 (set to 0ms)",
        ),
        (
            &["--election-timeout=0"],
            "--election-timeout must be >0 (set to 0ms)",
        ),
        (
            &["--election-timeout=100"],
            "--election-timeout[100ms] should be at least as 5 times as --heartbeat-interval[100ms]",
        ),
        (
            &["--election-timeout=60000"],
            "--election-timeout[60000ms] is too long, and should be set less than 50000ms",
        ),
        (
            &["--heartbeat-interval=18446744073709551615"],
            "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[18446744073709551615ms]",
        ),
        (
            &["--listen-client-urls=http://127.0.0.1:1"],
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        (
            &["--auto-compaction-mode=x"],
            r#"unknown auto-compaction-mode "x""#,
        ),
        (
            &["--auto-compaction-mode="],
            "undefined auto-compaction-mode",
        ),
        (
            &["--compact-hash-check-time=0"],
            "--compact-hash-check-time must be >0 (set to 0s)",
        ),
        (&["--tls-min-version=x"], r#"unexpected TLS version "x""#),
        (
            &["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"],
            "min version (TLS1.3) is greater than max version (TLS1.2)",
        ),
        (
            &["--tls-min-version=TLS1.3", "--cipher-suites=x"],
            "cipher suites cannot be configured when only TLS1.3 is enabled",
        ),
        (
            &["--discovery-fallback=proxy"],
            r#"v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy""#,
        ),
        (
            &["--compaction-batch-limit=-1"],
            "--compaction-batch-limit must be >=0 (set to -1)",
        ),
        (
            &["--warning-apply-duration=-1s"],
            "--warning-apply-duration must be >=0 (set to -1s)",
        ),
    ] {
        assert_eq!(check_words(words), Err(message.to_owned()), "{words:?}");
    }
}

#[test]
fn the_defaults_and_usual_flags_pass() {
    for words in [
        &[][..],
        &[
            "--listen-client-urls=http://0.0.0.0:1",
            "--advertise-client-urls=http://host:1",
        ],
        &["--listen-client-urls="],
        &[
            "--listen-peer-urls=http://[::]:1",
            "--heartbeat-interval=200",
        ],
        &[
            "--auto-compaction-mode=revision",
            "--auto-compaction-retention=5",
        ],
    ] {
        let outcome = check_words(words);
        let expected = if words == ["--listen-client-urls="] {
            // Given, though it changes nothing; etcd refuses that too.
            Err(NO_ADVERTISED_CLIENT_URLS.to_owned())
        } else {
            Ok(())
        };
        assert_eq!(outcome, expected, "{words:?}");
    }
}

#[test]
fn the_file_may_listen_without_advertising() {
    let mut settings = settings_of(&["--listen-client-urls=http://127.0.0.1:1"]);
    settings.given.insert("listen-client-urls", Source::File);
    assert_eq!(check(&mut settings), Ok(()));
    assert_eq!(settings.options.advertise_client_urls.len(), 1);
}

#[test]
fn one_address_serves_clients_or_pages() {
    let settings = settings_of(&[
        "--listen-client-urls=http://127.0.0.1:1",
        "--listen-client-http-urls=http://127.0.0.1:1",
    ]);
    assert!(matches!(
        check_start(&settings.options),
        Err(Refusal::Start(_))
    ));
}

/// The members and the advertised URLs after rewriting.
fn rewritten(words: &[&str], host: Option<&str>) -> (String, String, String, bool) {
    let mut options = settings_of(words).options;
    let host = host.map(|host| host.parse().unwrap());
    let used = rewrite_defaults(&mut options, host);
    (
        options.initial_cluster,
        options.initial_advertise_peer_urls[0].to_string(),
        options.advertise_client_urls[0].to_string(),
        used.is_some(),
    )
}

#[test]
fn a_name_alone_is_enough_for_a_cluster_of_one() {
    let (cluster, ..) = rewritten(&["--name=x"], None);
    assert_eq!(cluster, "x=http://localhost:2380");
    let (cluster, ..) = rewritten(
        &[
            "--name=x",
            "--initial-advertise-peer-urls=http://a:1,http://b:1",
        ],
        None,
    );
    assert_eq!(cluster, "x=http://a:1,x=http://b:1");
    let (cluster, ..) = rewritten(&["--name=x", "--initial-cluster=y=http://c:1"], None);
    assert_eq!(cluster, "y=http://c:1");
    let words = ["--initial-advertise-peer-urls=http://a:1"];
    let (cluster, ..) = rewritten(&words, None);
    assert_eq!(cluster, "default=http://localhost:2380");
}

#[test]
fn listening_on_all_interfaces_advertises_one_that_others_reach() {
    let words = ["--name=x", "--listen-peer-urls=http://0.0.0.0:7"];
    let (cluster, peer, client, used) = rewritten(&words, Some("192.0.2.1"));
    assert_eq!(cluster, "x=http://192.0.2.1:7");
    assert_eq!(peer, "http://192.0.2.1:7");
    assert_eq!(client, "http://localhost:2379");
    assert!(used);
    let (_, peer, _, used) = rewritten(&words, None);
    assert_eq!(peer, "http://localhost:2380");
    assert!(!used);
    let words = [
        "--listen-peer-urls=http://0.0.0.0:7",
        "--initial-advertise-peer-urls=http://a:7",
    ];
    let (_, peer, _, used) = rewritten(&words, Some("192.0.2.1"));
    assert_eq!(peer, "http://a:7");
    assert!(!used);
}
