//! The checks that etcd makes of its flags, in its order and its words.

use std::net::IpAddr;

use super::options::{DEFAULT_INITIAL_CLUSTER, Options};
use super::sources::Settings;
use super::{GoDuration, MemberUrl, Refusal, compaction};

const ELECTION_TIMEOUT_MAX_MS: u64 = 50_000;

/// Checks flags against each other, and takes back defaults that other flags rule out.
///
/// Tells whether advertised client URLs are missing, which etcd says twice.
pub(crate) fn check(settings: &mut Settings) -> Result<(), Refusal> {
    clear_defaults(settings);
    let options = &settings.options;
    for urls in [
        &options.listen_peer_urls,
        &options.listen_client_urls,
        &options.listen_client_http_urls,
        &options.listen_metrics_urls,
    ] {
        check_bind(urls)?;
    }
    check_advertised(options)?;
    check_bootstrap(options)?;
    check_timing(options)?;
    if options.advertise_client_urls.is_empty() {
        return refuse(NO_ADVERTISED_CLIENT_URLS);
    }
    check_compaction(options)?;
    check_tls_versions(options)?;
    check_not_negative(options)?;
    if options.discovery_fallback == "proxy" {
        return refuse(
            "v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"",
        );
    }
    Ok(())
}

pub(crate) const NO_ADVERTISED_CLIENT_URLS: &str =
    "--advertise-client-urls is required when --listen-client-urls is set explicitly";

/// The checks whose failure etcd notices only while it starts.
pub(crate) fn check_start(options: &Options) -> Result<(), Refusal> {
    for url in &options.listen_client_http_urls {
        if let Some(other) = options
            .listen_client_urls
            .iter()
            .find(|other| other.address() == url.address())
        {
            return Err(Refusal::Start(format!(
                "cannot bind both --listen-client-urls and --listen-client-http-urls on the same \
                 url {other}"
            )));
        }
    }
    Ok(())
}

fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Flags(text.into()))
}

fn clear_defaults(settings: &mut Settings) {
    use super::sources::Source;
    // In the file, listening elsewhere leaves the advertised default; etcd does so too.
    let listens_by_flag = settings
        .given
        .get("listen-client-urls")
        .is_some_and(|source| *source != Source::File);
    if listens_by_flag && !settings.is_given("advertise-client-urls") {
        settings.options.advertise_client_urls.clear();
    }
    let options = &mut settings.options;
    let discovers = !options.discovery_endpoints.is_empty()
        || !options.discovery_srv.is_empty()
        || !options.discovery_srv_name.is_empty();
    if discovers && !settings.given.contains_key("initial-cluster") {
        options.initial_cluster.clear();
    }
    if options.initial_cluster_state.is_empty() {
        options.initial_cluster_state = "new".to_owned();
    }
}

/// Listening needs an address: names may have several, or none at the moment.
fn check_bind(urls: &[MemberUrl]) -> Result<(), Refusal> {
    for url in urls {
        let host = url.host();
        if !url.scheme().is_unix() && host != "localhost" && host.parse::<IpAddr>().is_err() {
            return refuse(format!("expected IP in URL for binding ({url})"));
        }
    }
    Ok(())
}

fn check_advertised(options: &Options) -> Result<(), Refusal> {
    for (flag, form, urls) in [
        (
            "--initial-advertise-peer-urls",
            r#"must be "host:port""#,
            &options.initial_advertise_peer_urls,
        ),
        (
            "--advertise-client-urls",
            r#"must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket""#,
            &options.advertise_client_urls,
        ),
    ] {
        let empty_host = |url: &&MemberUrl| !url.scheme().is_unix() && url.host().is_empty();
        if let Some(url) = urls.iter().find(empty_host) {
            let all: Vec<&str> = urls.iter().map(MemberUrl::as_str).collect();
            let all = all.join(",");
            return refuse(format!(
                "{flag} {all:?} {form} (unexpected empty host ({url}))"
            ));
        }
    }
    Ok(())
}

fn check_bootstrap(options: &Options) -> Result<(), Refusal> {
    let has_endpoints = !options.discovery_endpoints.is_empty();
    let ways = [
        !options.initial_cluster.is_empty(),
        has_endpoints,
        !options.discovery_srv.is_empty(),
    ];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return refuse(
            "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \
             \"discovery-endpoints\" or \"discovery-srv\"",
        );
    }
    if has_endpoints == options.discovery_token.is_empty() {
        return refuse("both --discovery-token and --discovery-endpoints must be set");
    }
    if options
        .discovery_endpoints
        .iter()
        .any(|endpoint| endpoint.trim().is_empty())
    {
        return refuse("--discovery-endpoints must not contain empty endpoints");
    }
    Ok(())
}

fn check_timing(options: &Options) -> Result<(), Refusal> {
    let (heartbeat, election) = (options.heartbeat_interval_ms, options.election_timeout_ms);
    if heartbeat == 0 {
        return refuse("--heartbeat-interval must be >0 (set to 0ms)");
    }
    if election == 0 {
        return refuse("--election-timeout must be >0 (set to 0ms)");
    }
    if heartbeat.saturating_mul(5) > election {
        return refuse(format!(
            "--election-timeout[{election}ms] should be at least as 5 times as \
             --heartbeat-interval[{heartbeat}ms]"
        ));
    }
    if election > ELECTION_TIMEOUT_MAX_MS {
        return refuse(format!(
            "--election-timeout[{election}ms] is too long, and should be set less than \
             {ELECTION_TIMEOUT_MAX_MS}ms"
        ));
    }
    Ok(())
}

fn check_compaction(options: &Options) -> Result<(), Refusal> {
    let mode = &options.auto_compaction_mode;
    if mode.is_empty() {
        return refuse("undefined auto-compaction-mode");
    }
    if compaction::counts_revisions(mode).is_none() {
        return refuse(format!("unknown auto-compaction-mode {mode:?}"));
    }
    if !options.compact_hash_check_time.is_positive() {
        return refuse(format!(
            "--compact-hash-check-time must be >0 (set to {})",
            options.compact_hash_check_time
        ));
    }
    Ok(())
}

fn check_tls_versions(options: &Options) -> Result<(), Refusal> {
    let mut bounds = [0; 2];
    for (bound, text) in bounds
        .iter_mut()
        .zip([&options.tls_min_version, &options.tls_max_version])
    {
        *bound = match text.as_str() {
            "" => 0,
            "TLS1.2" => 2,
            "TLS1.3" => 3,
            _ => return refuse(format!("unexpected TLS version {text:?}")),
        };
    }
    let [min, max] = bounds;
    if max != 0 && min > max {
        return refuse(format!(
            "min version ({}) is greater than max version ({})",
            options.tls_min_version, options.tls_max_version
        ));
    }
    if min == 3 && !options.cipher_suites.is_empty() {
        return refuse("cipher suites cannot be configured when only TLS1.3 is enabled");
    }
    Ok(())
}

/// etcd takes negative numbers here and runs with whatever comes of them.
fn check_not_negative(options: &Options) -> Result<(), Refusal> {
    for (flag, number) in [
        ("backend-batch-limit", options.backend_batch_limit),
        ("compaction-batch-limit", options.compaction_batch_limit),
        ("max-learners", options.max_learners),
    ] {
        if number < 0 {
            return refuse(format!("--{flag} must be >=0 (set to {number})"));
        }
    }
    for (flag, span) in [
        ("backend-batch-interval", options.backend_batch_interval),
        (
            "compaction-sleep-interval",
            options.compaction_sleep_interval,
        ),
        ("corrupt-check-time", options.corrupt_check_time),
        ("downgrade-check-time", options.downgrade_check_time),
        ("grpc-keepalive-min-time", options.grpc_keepalive_min_time),
        ("warning-apply-duration", options.warning_apply_duration),
        (
            "warning-unary-request-duration",
            options.warning_unary_request_duration,
        ),
        (
            "watch-progress-notify-interval",
            options.watch_progress_notify_interval,
        ),
    ] {
        if span < GoDuration::ZERO {
            return refuse(format!("--{flag} must be >=0 (set to {span})"));
        }
    }
    Ok(())
}

/// Fills in what follows from the name and from the host, and what is zero for "the usual".
///
/// `host` finds the address of this machine that others would use, where one is needed. Returns it
/// if it was used.
pub(crate) fn rewrite_defaults(options: &mut Options, host: Option<IpAddr>) -> Option<IpAddr> {
    let defaults = Options::default();
    let mut used = None;
    if let Some(host) = host {
        for (advertised, default, listened) in [
            (
                &mut options.initial_advertise_peer_urls,
                &defaults.initial_advertise_peer_urls,
                &options.listen_peer_urls,
            ),
            (
                &mut options.advertise_client_urls,
                &defaults.advertise_client_urls,
                &options.listen_client_urls,
            ),
        ] {
            let Some(first) = listened.first().filter(|url| url.host() == "0.0.0.0") else {
                continue;
            };
            if let (true, Some(port)) = (advertised == default, first.port()) {
                *advertised = vec![MemberUrl::of_parts(default[0].scheme(), host, port)];
                used = Some(host);
            }
        }
    }
    if options.name != defaults.name && options.initial_cluster == DEFAULT_INITIAL_CLUSTER {
        let members: Vec<String> = options
            .initial_advertise_peer_urls
            .iter()
            .map(|url| format!("{}={url}", options.name))
            .collect();
        options.initial_cluster = members.join(",");
    }
    used
}

#[cfg(test)]
mod tests;
