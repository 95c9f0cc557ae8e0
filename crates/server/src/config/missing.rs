//! What etcd has and this version of ferrod has not.
//!
//! A flag that would switch on something that is missing is refused by name. To leave it without
//! effect would be worse: who asks for TLS must not be served in the clear. This is the whole list;
//! a feature that arrives takes its rows away.

use super::flags::Flag;
use super::gates::{FeatureGates, Gate};
use super::options::Options;
use super::{MemberUrl, Refusal};

const TLS: &str = "TLS is";
const DISCOVERY: &str = "discovery is";
const TRACING: &str = "distributed tracing is";
const AUTH: &str = "authentication is";

/// Flags, each with what is missing. They may be given with their default value.
#[rustfmt::skip]
const FLAGS: &[(&str, &str)] = &[
    ("cert-file", TLS),
    ("key-file", TLS),
    ("client-cert-file", TLS),
    ("client-key-file", TLS),
    ("client-cert-auth", TLS),
    ("client-crl-file", TLS),
    ("client-cert-allowed-hostname", TLS),
    ("trusted-ca-file", TLS),
    ("auto-tls", TLS),
    ("peer-cert-file", TLS),
    ("peer-key-file", TLS),
    ("peer-client-cert-file", TLS),
    ("peer-client-key-file", TLS),
    ("peer-client-cert-auth", TLS),
    ("peer-crl-file", TLS),
    ("peer-trusted-ca-file", TLS),
    ("peer-auto-tls", TLS),
    ("peer-cert-allowed-cn", TLS),
    ("peer-cert-allowed-hostname", TLS),
    ("peer-skip-client-san-verification", TLS),
    ("self-signed-cert-validity", TLS),
    ("cipher-suites", TLS),
    ("tls-min-version", TLS),
    ("tls-max-version", TLS),
    ("discovery-endpoints", DISCOVERY),
    ("discovery-token", DISCOVERY),
    ("discovery-dial-timeout", DISCOVERY),
    ("discovery-request-timeout", DISCOVERY),
    ("discovery-keepalive-time", DISCOVERY),
    ("discovery-keepalive-timeout", DISCOVERY),
    ("discovery-insecure-transport", DISCOVERY),
    ("discovery-insecure-skip-tls-verify", DISCOVERY),
    ("discovery-cert", DISCOVERY),
    ("discovery-key", DISCOVERY),
    ("discovery-cacert", DISCOVERY),
    ("discovery-user", DISCOVERY),
    ("discovery-password", DISCOVERY),
    ("bcrypt-cost", AUTH),
    ("auth-token-ttl", AUTH),
    ("auth-token", "a kind of token other than \"simple\" is"),
    ("enable-pprof", "profiling is"),
    ("enable-distributed-tracing", TRACING),
    ("distributed-tracing-address", TRACING),
    ("distributed-tracing-service-name", TRACING),
    ("distributed-tracing-instance-id", TRACING),
    ("distributed-tracing-sampling-rate", TRACING),
    ("memory-mlock", "locking memory is"),
];

/// Feature gates, each with what is missing. They may be off.
const GATES: &[(Gate, &str)] = &[
    (
        Gate::PriorityRequest,
        "a backlog of its own for revocations is",
    ),
    (Gate::SetMemberLocalAddr, "choosing a local address is"),
    (
        Gate::StopGRPCServiceOnDefrag,
        "a health status for defragmentations is",
    ),
];

/// Words with which etcd starts another program.
const PROGRAMS: &[&str] = &["gateway", "grpc-proxy"];

/// Refuses what is missing.
pub(crate) fn check(options: &Options, gates: &FeatureGates) -> Result<(), Refusal> {
    let mut given = options.clone();
    let mut defaults = Options::default();
    for &(name, what) in FLAGS {
        let flag = Flag::find(name).expect("the list names only flags of the table");
        if flag.field.show(&mut given) != flag.field.show(&mut defaults) {
            return Err(refuse(&format!("--{name}"), what));
        }
    }
    for (flag, urls) in [
        ("listen-peer-urls", &options.listen_peer_urls),
        ("listen-client-urls", &options.listen_client_urls),
        ("listen-client-http-urls", &options.listen_client_http_urls),
        ("listen-metrics-urls", &options.listen_metrics_urls),
    ] {
        urls.iter().try_for_each(|url| check_url(flag, url))?;
    }
    for &(gate, what) in GATES {
        if gates.is_enabled(gate) {
            return Err(refuse(&format!("--feature-gates: {gate}"), what));
        }
    }
    Ok(())
}

/// Whether this word, as the first argument, starts another program in etcd.
pub(crate) fn is_program(word: &str) -> bool {
    PROGRAMS.contains(&word)
}

fn check_url(flag: &str, url: &MemberUrl) -> Result<(), Refusal> {
    let what = if url.scheme().is_secure() {
        TLS
    } else if url.scheme().is_unix() {
        "listening on a unix socket is"
    } else {
        return Ok(());
    };
    Err(refuse(&format!("--{flag}: {url}"), what))
}

fn refuse(place: &str, what: &str) -> Refusal {
    Refusal::Flags(sentence(place, what))
}

/// The text of a refusal; `what` ends in a verb.
pub(crate) fn sentence(place: &str, what: &str) -> String {
    format!("{place}: {what} not available in this version of ferrod")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::command_line;
    use crate::config::sources::Settings;

    fn check_words(words: &[&str]) -> Result<(), String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let mut settings = Settings::default();
        command_line::read(&words, &mut settings).unwrap();
        let gates = FeatureGates::parse(&settings.options.feature_gates).unwrap();
        check(&settings.options, &gates).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn every_row_names_a_flag_and_its_default_is_accepted() {
        assert_eq!(check_words(&[]), Ok(()));
        for &(name, _) in FLAGS {
            let flag = Flag::find(name).unwrap();
            let default = flag.field.show(&mut Options::default());
            let word = format!("--{name}={default}");
            assert_eq!(check_words(&[&word]), Ok(()), "{word}");
        }
    }

    #[test]
    fn what_is_missing_is_refused_by_name() {
        for (word, message) in [
            (
                "--cert-file=x",
                "--cert-file: TLS is not available in this version of ferrod",
            ),
            (
                "--auth-token=jwt,sign-method=RS256",
                "--auth-token: a kind of token other than \"simple\" is not available in this version of ferrod",
            ),
            (
                "--listen-client-urls=https://127.0.0.1:1",
                "--listen-client-urls: https://127.0.0.1:1: TLS is not available in this version of ferrod",
            ),
            (
                "--listen-metrics-urls=unix:///x",
                "--listen-metrics-urls: unix:///x: listening on a unix socket is not available in this version of ferrod",
            ),
            (
                "--feature-gates=AllAlpha=true,CompactHashCheck=false",
                "--feature-gates: PriorityRequest: a backlog of its own for revocations is not available in this version of ferrod",
            ),
        ] {
            assert_eq!(check_words(&[word]), Err(message.to_owned()));
        }
    }
}
