use std::collections::BTreeMap;
use std::io::Read;

use ferrod_metrics::Options;
use http::HeaderMap;
use http_body_util::BodyExt;

use super::*;
use crate::config::Web;
use crate::http::{AlarmKind, Consistency, RaftStatus};

/// A member that is as a test wants it.
#[derive(Debug, Clone)]
struct Member {
    has_leader: bool,
    is_learner: bool,
    alarms: Vec<AlarmKind>,
    serializable: Result<(), String>,
    linearizable: Result<(), String>,
    versions: Option<String>,
    suspect: Option<String>,
}

impl Member {
    fn healthy() -> Member {
        Member {
            has_leader: true,
            is_learner: false,
            alarms: Vec::new(),
            serializable: Ok(()),
            linearizable: Ok(()),
            versions: Some("3.7.0".to_owned()),
            suspect: None,
        }
    }
}

impl Probe for Member {
    fn has_leader(&self) -> bool {
        self.has_leader
    }

    fn is_learner(&self) -> bool {
        self.is_learner
    }

    fn suspect(&self) -> Option<String> {
        self.suspect.clone()
    }

    fn alarms(&self) -> Vec<AlarmKind> {
        self.alarms.clone()
    }

    async fn read(&self, consistency: Consistency) -> Result<(), String> {
        match consistency {
            Consistency::Serializable => self.serializable.clone(),
            Consistency::Linearizable => self.linearizable.clone(),
        }
    }

    fn cluster_version(&self) -> Option<String> {
        self.versions.clone()
    }

    fn storage_version(&self) -> Option<String> {
        self.versions.clone()
    }

    fn raft_status(&self) -> RaftStatus {
        RaftStatus {
            id: 0xa,
            term: 2,
            vote: 0xa,
            commit: 9,
            lead: 0xa,
            raft_state: "StateLeader",
            applied: 8,
            progress: BTreeMap::from([(0xa, (9, 10))]),
            lead_transferee: 0,
        }
    }

    fn refresh(&self, metrics: &Metrics) {
        metrics.mvcc.current_revision.set(17);
    }
}

/// Status, headers and body, for comparisons.
struct Seen {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn pages(member: Member, hosts: &[&str], origins: &[&str]) -> Pages<Member> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let web = Web {
        cors: words(origins),
        host_whitelist: words(hosts),
        gateway: true,
    };
    let metrics = Arc::new(Metrics::new(Options::default()));
    Pages::new(member, metrics, Access::new(&web), true)
}

fn ask(
    pages: &Pages<Member>,
    place: Place,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Seen {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(async {
        let (parts, body) = pages.answer(place, &request).await.into_parts();
        Seen {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    })
}

fn get(member: Member, target: &str) -> (u16, String) {
    let seen = ask(
        &pages(member, &["*"], &["*"]),
        Place::Clients,
        "GET",
        target,
        &[],
    );
    (seen.status, seen.text().to_owned())
}

const PLAIN: &str = "text/plain; charset=utf-8";

#[test]
fn version_tells_three_versions() {
    assert_eq!(
        get(Member::healthy(), "/version"),
        (
            200,
            r#"{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}"#.to_owned()
        )
    );
    let young = Member {
        versions: None,
        ..Member::healthy()
    };
    assert_eq!(
        get(young, "/version").1,
        r#"{"etcdserver":"3.7.1","etcdcluster":"not_decided","storage":"unknown"}"#
    );
}

#[test]
fn health_names_the_first_thing_that_is_wrong() {
    let healthy = Member::healthy();
    let good = (200, r#"{"health":"true","reason":""}"#.to_owned());
    let bad = |reason: &str| {
        (
            503,
            format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n"),
        )
    };
    assert_eq!(get(healthy.clone(), "/health"), good);

    let full = Member {
        alarms: vec![AlarmKind::NoSpace],
        ..healthy.clone()
    };
    assert_eq!(get(full.clone(), "/health"), bad("ALARM NOSPACE"));
    assert_eq!(
        get(full.clone(), "/health?exclude=CORRUPT&exclude="),
        bad("ALARM NOSPACE")
    );
    assert_eq!(get(full, "/health?exclude=CORRUPT&exclude=NOSPACE"), good);

    let doubted = Member {
        suspect: Some("corrupt data".to_owned()),
        ..healthy.clone()
    };
    assert_eq!(
        get(doubted.clone(), "/health"),
        bad("SUSPECT: corrupt data")
    );
    let (status, page) = get(doubted.clone(), "/readyz");
    assert_eq!(status, 503);
    assert!(
        page.contains("[-]data_corruption failed: this member is suspect"),
        "{page}"
    );
    // A member that heals must be left alone.
    assert_eq!(get(doubted, "/livez").0, 200);

    let lonely = Member {
        has_leader: false,
        linearizable: Err("etcdserver: no leader".to_owned()),
        ..healthy.clone()
    };
    assert_eq!(get(lonely.clone(), "/health"), bad("RAFT NO LEADER"));
    assert_eq!(
        get(lonely.clone(), "/health?serializable=1"),
        bad("RAFT NO LEADER")
    );
    assert_eq!(get(lonely, "/health?serializable=true"), good);

    let slow = Member {
        linearizable: Err("etcdserver: request \"timed\" out".to_owned()),
        ..healthy
    };
    let reason = r#"RANGE ERROR:etcdserver: request \"timed\" out"#;
    assert_eq!(get(slow, "/health"), bad(reason));
}

#[test]
fn health_is_counted() {
    let mut member = Member::healthy();
    let pages_good = pages(member.clone(), &[], &[]);
    ask(&pages_good, Place::Metrics, "GET", "/health", &[]);
    ask(&pages_good, Place::Metrics, "GET", "/readyz", &[]);
    let text = pages_good.metrics.text();
    assert!(text.contains("etcd_server_health_success 1\n"));
    assert!(text.contains("etcd_server_healthcheck{name=\"non_learner\",type=\"readyz\"} 1\n"));
    member.serializable = Err("x".to_owned());
    member.linearizable = Err("x".to_owned());
    let pages_bad = pages(member, &[], &[]);
    ask(&pages_bad, Place::Metrics, "GET", "/health", &[]);
    ask(&pages_bad, Place::Metrics, "GET", "/livez", &[]);
    let text = pages_bad.metrics.text();
    assert!(text.contains("etcd_server_health_failures 1\n"));
    assert!(text.contains(
        "etcd_server_healthchecks_total{name=\"serializable_read\",status=\"error\",type=\"livez\"} 1\n"
    ));
}

#[test]
fn readyz_runs_all_checks_and_livez_one() {
    let healthy = Member::healthy();
    let ok = (200, "ok\n".to_owned());
    for path in [
        "/livez",
        "/readyz",
        "/livez/serializable_read",
        "/readyz/data_corruption",
        "/readyz/linearizable_read",
        "/readyz/non_learner",
        "/readyz?exclude=nope",
    ] {
        assert_eq!(get(healthy.clone(), path), ok, "{path}");
    }
    assert_eq!(
        get(healthy.clone(), "/readyz?verbose"),
        (
            200,
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n\
             [+]non_learner ok\nok\n"
                .to_owned()
        )
    );
    assert_eq!(
        get(
            healthy.clone(),
            "/readyz?verbose=&exclude=non_learner&exclude=data_corruption"
        )
        .1,
        "[+]serializable_read ok\n[+]linearizable_read ok\nok\n"
    );
    let sick = Member {
        is_learner: true,
        alarms: vec![AlarmKind::Corrupt],
        linearizable: Err("etcdserver: no leader".to_owned()),
        ..healthy
    };
    assert_eq!(
        get(sick.clone(), "/readyz"),
        (
            503,
            "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n\
             [-]linearizable_read failed: etcdserver: no leader\n\
             [-]non_learner failed: not supported for learner\n\n"
                .to_owned()
        )
    );
    assert_eq!(get(sick.clone(), "/livez"), ok);
    // A single check is not excluded by name.
    let (status, _) = get(sick, "/readyz/non_learner?exclude=non_learner");
    assert_eq!(status, 503);
}

#[test]
fn unknown_paths_and_methods_are_refused_as_in_go() {
    let pages = pages(Member::healthy(), &["*"], &["*"]);
    for path in [
        "/",
        "/nope",
        "/livez/",
        "/livez/nope",
        "/health/",
        "/debug/pprof/",
        "/v2/keys",
    ] {
        let seen = ask(&pages, Place::Clients, "GET", path, &[]);
        assert_eq!(
            (seen.status, seen.text()),
            (404, "404 page not found\n"),
            "{path}"
        );
        assert_eq!(seen.header("content-type"), Some(PLAIN));
        assert_eq!(seen.header("x-content-type-options"), Some("nosniff"));
    }
    for path in [
        "/version",
        "/health",
        "/livez",
        "/readyz/non_learner",
        "/debug/vars",
    ] {
        for method in ["POST", "HEAD", "DELETE"] {
            let seen = ask(&pages, Place::Clients, method, path, &[]);
            assert_eq!(
                (seen.status, seen.text()),
                (405, "Method Not Allowed\n"),
                "{path}"
            );
            assert_eq!(seen.header("allow"), Some("GET"));
            assert_eq!(seen.header("content-type"), Some(PLAIN));
        }
    }
    for path in ["/version", "/debug/vars", "/v3/kv/range"] {
        assert_eq!(
            ask(&pages, Place::Metrics, "GET", path, &[]).status,
            404,
            "{path}"
        );
    }
}

#[test]
fn the_gateway_is_refused_rather_than_unknown() {
    let pages = pages(Member::healthy(), &["*"], &["*"]);
    for path in ["/v3/kv/range", "/v3beta/kv/put"] {
        let seen = ask(&pages, Place::Clients, "POST", path, &[]);
        assert_eq!(seen.status, 501);
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert!(
            seen.text().starts_with(r#"{"code":12,"message":""#),
            "{}",
            seen.text()
        );
    }
}

#[test]
fn origins_are_told_what_they_may_do() {
    let all = pages(Member::healthy(), &["*"], &["*"]);
    let seen = ask(
        &all,
        Place::Clients,
        "OPTIONS",
        "/nope",
        &[("origin", "http://x:1")],
    );
    assert_eq!((seen.status, seen.text()), (200, ""));
    assert_eq!(seen.header("access-control-allow-origin"), Some("*"));
    let methods = "POST, GET, OPTIONS, PUT, DELETE";
    assert_eq!(seen.header("access-control-allow-methods"), Some(methods));
    let headers = "accept, content-type, authorization";
    assert_eq!(seen.header("access-control-allow-headers"), Some(headers));
    let seen = ask(&all, Place::Metrics, "GET", "/health", &[]);
    assert_eq!(seen.header("access-control-allow-origin"), None);

    let some = pages(Member::healthy(), &["*"], &["http://x:1"]);
    for (origin, told) in [("http://x:1", Some("http://x:1")), ("http://y:1", None)] {
        let seen = ask(
            &some,
            Place::Clients,
            "GET",
            "/version",
            &[("origin", origin)],
        );
        assert_eq!(seen.status, 200);
        assert_eq!(seen.header("access-control-allow-origin"), told);
    }
}

#[test]
fn foreign_host_names_are_misdirected() {
    let pages = pages(Member::healthy(), &["good", "::1"], &["*"]);
    for host in ["good", "good:2379", "[::1]:2379", "::1"] {
        let seen = ask(&pages, Place::Clients, "GET", "/version", &[("host", host)]);
        assert_eq!(seen.status, 200, "{host}");
    }
    for host in ["evil", "good.evil:1", ""] {
        let seen = ask(
            &pages,
            Place::Clients,
            "OPTIONS",
            "/version",
            &[("host", host)],
        );
        assert_eq!(seen.status, 421, "{host}");
        assert!(seen.text().contains("CVE-2018-5702"));
        assert_eq!(seen.header("access-control-allow-origin"), None);
    }
    let seen = ask(
        &pages,
        Place::Metrics,
        "GET",
        "/metrics",
        &[("host", "evil")],
    );
    assert_eq!(seen.status, 200);
}

#[test]
fn metrics_are_fresh_and_may_be_compressed() {
    let pages = pages(Member::healthy(), &["*"], &["*"]);
    let seen = ask(&pages, Place::Metrics, "POST", "/metrics", &[]);
    assert_eq!(seen.status, 200);
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(seen.header("content-type"), Some(plain));
    assert_eq!(seen.header("content-encoding"), None);
    assert!(
        seen.text()
            .contains("etcd_debugging_mvcc_current_revision 17\n")
    );
    assert!(
        seen.text()
            .contains("promhttp_metric_handler_requests_in_flight 1\n")
    );

    let accept = [("accept-encoding", "deflate, gzip;q=0.5")];
    let seen = ask(&pages, Place::Clients, "GET", "/metrics", &accept);
    assert_eq!(seen.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&*seen.body);
    decoder.read_to_string(&mut text).unwrap();
    assert!(text.contains("promhttp_metric_handler_requests_total{code=\"200\"} 1\n"));
    let accept = [("accept-encoding", "gzip;q=0, br")];
    let seen = ask(&pages, Place::Clients, "GET", "/metrics", &accept);
    assert_eq!(seen.header("content-encoding"), None);
}

#[test]
fn variables_are_one_per_line() {
    let (status, text) = get(Member::healthy(), "/debug/vars");
    assert_eq!(status, 200);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6);
    assert!(text.ends_with("\n}\n"));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["raft.status"]["id"], "a");
    assert_eq!(value["raft.status"]["progress"]["a"]["next"], 10);
    assert!(value["file_descriptor_limit"].as_u64().unwrap() > 0);
}
