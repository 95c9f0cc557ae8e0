use super::*;
use ferrod_proto::mvccpb::KeyValue;

fn row(revision: i64) -> KeyValue {
    KeyValue {
        key: "k".into(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        value: "v".into(),
        lease: 0,
    }
}

/// Even revisions put the key `k`, odd ones delete it.
fn timeline(last: i64) -> Timeline {
    let mut timeline = Timeline::default();
    for revision in 2..=last {
        let change = Change {
            key: "k".into(),
            row: (revision % 2 == 0).then(|| row(revision)),
        };
        timeline.push(revision, vec![change]).unwrap();
    }
    timeline
}

fn event(revision: i64) -> Event {
    let deleted = KeyValue {
        key: "k".into(),
        mod_revision: revision,
        ..KeyValue::default()
    };
    let is_put = revision % 2 == 0;
    Event {
        r#type: i32::from(!is_put),
        kv: Some(if is_put { row(revision) } else { deleted }),
        prev_kv: None,
    }
}

fn events(revisions: impl IntoIterator<Item = i64>) -> Heard {
    Heard::Events {
        revision: 100,
        events: revisions.into_iter().map(event).collect(),
    }
}

fn created(start: i64, revision: i64) -> Heard {
    Heard::Created { start, revision }
}

fn judge(heard: Vec<Heard>) -> Result<usize, &'static str> {
    let subscription = Subscription {
        key: "k".into(),
        heard,
        ..Subscription::default()
    };
    check(&timeline(9), &subscription, true).map_err(|violation| violation.promise)
}

/// covers: P-W-01 to P-W-03, P-W-05
#[test]
fn gaps_repetitions_and_disorder_are_found() {
    assert_eq!(
        judge(vec![created(2, 5), events(2..=5), events(6..=9)]),
        Ok(8)
    );
    assert_eq!(judge(vec![created(0, 5), events(6..=9)]), Ok(4));
    assert_eq!(judge(vec![created(2, 5), events(3..=9)]), Err("P-W-03"));
    assert_eq!(
        judge(vec![created(2, 5), events([2, 4, 3]), events(5..=9)]),
        Err("P-W-03")
    );
    assert_eq!(
        judge(vec![created(2, 5), events(2..=5), events(5..=9)]),
        Err("P-W-03")
    );
    assert_eq!(judge(vec![created(2, 5), events(2..=8)]), Err("P-W-03"));
    let resumed = |from| {
        vec![
            created(2, 5),
            events(2..=4),
            Heard::Disconnected,
            created(from, 9),
            events(from..=9),
        ]
    };
    assert_eq!(judge(resumed(5)), Ok(8));
    assert_eq!(judge(resumed(4)), Err("P-W-05"));
}

/// covers: P-W-06, P-W-07, P-W-08
#[test]
fn progress_and_compaction_are_judged() {
    assert_eq!(
        judge(vec![created(2, 9), events(2..=9), Heard::Progress(9)]),
        Ok(8)
    );
    assert_eq!(
        judge(vec![created(2, 9), events(2..=5), Heard::Progress(6)]),
        Err("P-W-06")
    );
    assert_eq!(
        judge(vec![created(20, 9), Heard::Progress(9)]),
        Err("P-W-07")
    );
    let compacted = |at| {
        vec![
            created(2, 9),
            Heard::Compacted(at),
            created(at, 9),
            events(at..=9),
        ]
    };
    assert_eq!(judge(compacted(4)), Ok(6));
    assert_eq!(judge(compacted(2)), Err("P-W-08"));
}
