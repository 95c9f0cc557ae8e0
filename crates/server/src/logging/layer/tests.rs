use tracing_subscriber::layer::SubscriberExt;

use super::super::sink::captured;
use super::super::{Note, Settings, json};
use super::*;
use crate::config::GoDuration;

/// The lines of what `act` logs, with time and place cut to what is the same in every run.
fn lines_of(settings: &Settings, act: impl FnOnce()) -> Vec<String> {
    let (layer, mut lines) = captured(settings);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
    lines().iter().map(|line| without_time(line)).collect()
}

fn without_time(line: &str) -> String {
    let line = line
        .strip_suffix('\n')
        .expect("a line ends with a line feed");
    let mut value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
    let object = value.as_object_mut().unwrap();
    let time = object["ts"].as_str().unwrap();
    assert_eq!(&time[10..11], "T");
    assert_eq!(&time[19..20], ".");
    let start = line.find(",\"ts\":").unwrap();
    let end = start + line[start..].find("\",\"").unwrap();
    let text = format!("{}{}", &line[..start], &line[end + 1..]);
    let place = text.find("tests.rs:").unwrap() + "tests.rs:".len();
    let digits = text[place..].bytes().take_while(u8::is_ascii_digit).count();
    format!("{}N{}", &text[..place], &text[place + digits..])
}

#[test]
fn fields_keep_their_types_and_names() {
    let lines = lines_of(&Settings::default(), || {
        let urls = ["http://a:1"];
        tracing::info!(
            "added-peer-id" = %"8e9e05c52164694d",
            "peer-urls" = json(&urls).as_field(),
            "is-learner" = false,
            "term" = 7_u64,
            "delta" = -1_i64,
            "ratio" = 0.5,
            "took" = %GoDuration::from_millis(1500),
            "name" = "a\"b",
            "added {}", "member"
        );
    });
    assert_eq!(
        lines,
        [concat!(
            r#"{"level":"info","caller":"layer/tests.rs:N","msg":"added member","#,
            r#""added-peer-id":"8e9e05c52164694d","peer-urls":["http://a:1"],"is-learner":false,"#,
            r#""term":7,"delta":-1,"ratio":0.5,"took":"1.5s","name":"a\"b"}"#
        )]
    );
}

#[test]
fn errors_show_their_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("opening the log")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("disk on fire"));
    let lines = lines_of(&Settings::default(), || {
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::warn!(error, "cannot start");
    });
    assert_eq!(
        lines,
        [
            r#"{"level":"warn","caller":"layer/tests.rs:N","msg":"cannot start","error":"opening the log: disk on fire"}"#
        ]
    );
}

#[test]
fn fatal_has_its_level_and_a_stacktrace() {
    let lines = lines_of(&Settings::default(), || {
        crate::fatal!("error" = "x", "discovery failed");
    });
    let prefix = r#"{"level":"fatal","caller":"layer/tests.rs:N","msg":"discovery failed","error":"x","stacktrace":""#;
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with(prefix), "{}", lines[0]);
}

#[test]
fn a_target_of_one_word_is_the_logger() {
    let lines = lines_of(&Settings::default(), || {
        tracing::info!(target: "raft", "became leader");
    });
    assert_eq!(
        lines,
        [r#"{"level":"info","logger":"raft","caller":"layer/tests.rs:N","msg":"became leader"}"#]
    );
}

#[test]
fn a_note_may_have_many_fields() {
    let lines = lines_of(&Settings::default(), || {
        let mut note = Note::new(Level::Warn, "many");
        for number in 0..60 {
            note = note.field(&format!("f{number}"), number);
        }
        note.emit();
    });
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with(r#"{"level":"warn","caller":"layer/tests.rs:N","msg":"many","f0":0,"#)
    );
    assert!(lines[0].ends_with(r#""f59":59}"#));
}

#[test]
fn levels_below_the_wanted_one_are_left_out() {
    let settings = Settings {
        level: Level::Fatal,
        ..Settings::default()
    };
    let lines = lines_of(&settings, || {
        tracing::error!("no");
        Note::new(Level::Panic, "no").emit();
        Note::new(Level::Fatal, "yes").emit();
    });
    assert_eq!(lines.len(), 1);
}

#[test]
fn foreign_crates_speak_only_at_debug() {
    let act = || {
        tracing::warn!(target: "h2::proto", "chatter");
        tracing::trace!("never");
        tracing::debug!("detail");
    };
    assert_eq!(lines_of(&Settings::default(), act).len(), 0);
    let settings = Settings {
        level: Level::Debug,
        ..Settings::default()
    };
    assert_eq!(
        lines_of(&settings, act),
        [
            r#"{"level":"warn","logger":"h2","caller":"layer/tests.rs:N","msg":"chatter"}"#,
            r#"{"level":"debug","caller":"layer/tests.rs:N","msg":"detail"}"#,
        ]
    );
}
