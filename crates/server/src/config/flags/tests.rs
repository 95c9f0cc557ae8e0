use super::*;
use crate::config::options::Options;
use crate::config::sources::Settings;
use crate::config::{command_line, environment, file};

/// A value other than the default, as text and as a node of the file, and how it is shown.
fn sample(field: Field) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match field {
        Field::Text(_) => ("x y", "x y", "x y"),
        Field::Word(_, words) => (words[1], words[1], words[1]),
        Field::QuotedWord(_, words) => (words[3], words[3], words[3]),
        Field::Unsigned(_) | Field::Unsigned32(_) => ("0x2a", "42", "42"),
        Field::Signed(_) => ("-42", "-42", "-42"),
        Field::Duration(_) => ("1m30s", "90000000000", "1m30s"),
        Field::List(_) => ("b,a,b", "[b, a, b]", "a,b"),
        Field::Words(_) => ("b,a,b", "b,a,b", "a,b"),
        Field::Origins(_) => (
            "http://b:1,http://a:1",
            "http://b:1,http://a:1",
            "http://a:1,http://b:1",
        ),
        Field::Urls(_) => (
            "http://b:1, http://a:1",
            "http://b:1, http://a:1",
            "http://a:1,http://b:1",
        ),
        Field::Gates(_) => ("AllBeta=false", "AllBeta=false", "AllBeta=false"),
        Field::Bool(_) | Field::Ignored => return None,
    })
}

/// What each flag shows when nothing is given: the table of the specification.
const DEFAULTS: &str = "
name=default data-dir= wal-dir= snapshot-count=10000 snapshot-catchup-entries=5000 max-snapshots=5
max-wals=5 heartbeat-interval=100 election-timeout=1000 initial-election-tick-advance=true
listen-peer-urls=http://localhost:2380 listen-client-urls=http://localhost:2379
listen-client-http-urls= listen-metrics-urls= quota-backend-bytes=0 backend-bbolt-freelist-type=
backend-batch-interval=0s backend-batch-limit=0 max-txn-ops=128 max-request-bytes=1572864
max-concurrent-streams=4294967295 grpc-keepalive-min-time=5s grpc-keepalive-interval=2h0m0s
grpc-keepalive-timeout=20s socket-reuse-port=false socket-reuse-address=false raft-read-timeout=5s
raft-write-timeout=5s memory-mlock=false initial-advertise-peer-urls=http://localhost:2380
advertise-client-urls=http://localhost:2379 initial-cluster=default=http://localhost:2380
initial-cluster-state=new initial-cluster-token=etcd-cluster discovery-endpoints= discovery-token=
discovery-dial-timeout=2s discovery-request-timeout=5s discovery-keepalive-time=2s
discovery-keepalive-timeout=6s discovery-insecure-transport=true
discovery-insecure-skip-tls-verify=false discovery-cert= discovery-key= discovery-cacert=
discovery-user= discovery-password= discovery-srv= discovery-srv-name= discovery-fallback=exit
strict-reconfig-check=true pre-vote=true auto-compaction-mode=periodic auto-compaction-retention=0
v2-deprecation=write-only cert-file= key-file= client-cert-file= client-key-file=
client-cert-auth=false client-crl-file= client-cert-allowed-hostname= trusted-ca-file=
auto-tls=false peer-cert-file= peer-key-file= peer-client-cert-file= peer-client-key-file=
peer-client-cert-auth=false peer-trusted-ca-file= peer-auto-tls=false peer-crl-file=
peer-cert-allowed-cn= peer-cert-allowed-hostname= peer-skip-client-san-verification=false
self-signed-cert-validity=1 cipher-suites= tls-min-version=TLS1.2 tls-max-version= cors=*
host-whitelist=* auth-token=simple bcrypt-cost=10 auth-token-ttl=300 logger=zap log-outputs=default
log-level=info log-format=json enable-log-rotation=false enable-pprof=false metrics=basic
enable-distributed-tracing=false distributed-tracing-address=localhost:4317
distributed-tracing-service-name=etcd distributed-tracing-instance-id=
distributed-tracing-sampling-rate=0 enable-grpc-gateway=true corrupt-check-time=0s
compact-hash-check-time=1m0s compaction-batch-limit=0 compaction-sleep-interval=0s
watch-progress-notify-interval=0s downgrade-check-time=5s warning-apply-duration=100ms
warning-unary-request-duration=300ms bootstrap-defrag-threshold-megabytes=0 max-learners=1
feature-gates= force-new-cluster=false unsafe-no-fsync=false config-file= version=false
cluster-active-size= cluster-remove-delay= cluster-sync-interval= config= force= max-result-buffer=
max-retry-attempts= peer-heartbeat-interval= peer-election-timeout= retry-interval= snapshot= v= vv=
test.coverprofile= test.outputdir=
";

#[test]
fn every_flag_is_there_with_its_default() {
    let mut options = Options::default();
    let rotation = "log-rotation-config-json";
    let mut shown: Vec<String> = FLAGS
        .iter()
        .filter(|flag| flag.name != rotation)
        .map(|flag| format!("{}={}", flag.name, flag.field.show(&mut options)))
        .collect();
    shown.sort();
    let mut expected: Vec<&str> = DEFAULTS.split_whitespace().collect();
    expected.sort_unstable();
    assert_eq!(shown, expected);
    let rotation = Flag::find(rotation).unwrap().field;
    assert_eq!(
        rotation.show(&mut options),
        r#"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#
    );
}

#[test]
fn names_are_unique() {
    for (place, flag) in FLAGS.iter().enumerate() {
        let first = FLAGS.iter().position(|other| other.name == flag.name);
        assert_eq!(first, Some(place), "{}", flag.name);
    }
}

/// Sets the flag alone in each of the ways and looks at what it then shows. Fields that share a
/// place by mistake would show in another flag.
#[test]
fn every_flag_can_be_set_in_every_way() {
    for flag in FLAGS {
        let mut defaults = Options::default();
        let opposite = if flag.field.show(&mut defaults) == "true" {
            "false"
        } else {
            "true"
        };
        let (text, node, shown) = match (flag.field, sample(flag.field)) {
            (_, Some(sample)) => sample,
            (Field::Ignored, None) => ("anything", "anything", ""),
            (_, None) => (opposite, opposite, opposite),
        };
        let word = format!("--{}={text}", flag.name);
        let mut settings = Settings::default();
        command_line::read(&[word], &mut settings).unwrap();
        assert_only(flag, shown, settings);

        if flag.name != "version" {
            let variables = [(flag.env_name(), text.to_owned())].into();
            let mut settings = Settings::default();
            environment::read(&variables, &mut settings, &mut Vec::new()).unwrap();
            assert_only(flag, shown, settings);
        }

        let own_name = [flag.name];
        let path: &[&str] = match flag.file_key {
            FileKey::SameName => &own_name,
            FileKey::Path(path) => path,
            FileKey::None => continue,
        };
        let mut yaml = node.to_owned();
        for key in path.iter().rev() {
            yaml = format!("{{{key}: {yaml}}}");
        }
        // In braces a comma ends a value.
        if !matches!(flag.field, Field::List(_)) && node.contains(',') {
            yaml = format!("{}: {node}", flag.name);
        }
        let mut settings = Settings::default();
        file::read(&yaml, &mut settings).unwrap();
        assert_only(flag, shown, settings);
    }
}

fn assert_only(changed: &Flag, shown: &str, mut settings: Settings) {
    assert!(settings.is_given(changed.name), "{}", changed.name);
    let mut defaults = Options::default();
    for flag in FLAGS {
        let expected = if flag.name == changed.name {
            shown.to_owned()
        } else {
            flag.field.show(&mut defaults)
        };
        let found = flag.field.show(&mut settings.options);
        assert_eq!(
            found, expected,
            "--{} after setting --{}",
            flag.name, changed.name
        );
    }
}

#[test]
fn gates_add_up() {
    let mut settings = Settings::default();
    let words = [
        "--feature-gates=AllAlpha=true",
        "--feature-gates=AllBeta=false",
    ];
    command_line::read(&words.map(str::to_owned), &mut settings).unwrap();
    assert_eq!(
        settings.options.feature_gates,
        "AllAlpha=true,AllBeta=false"
    );
    let error = command_line::read(&["--feature-gates=X=true".to_owned()], &mut settings);
    assert_eq!(
        error.unwrap_err().to_string(),
        r#"invalid value "X=true" for flag -feature-gates: unrecognized feature gate: X"#
    );
}
