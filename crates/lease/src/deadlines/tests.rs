//! Deadlines against scripts and against a naive model.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ttl(seconds: i64) -> Ttl {
    Ttl::new(seconds, 1).unwrap()
}

/// Runs one command of a script; times are milliseconds.
fn run(deadlines: &mut Option<Deadlines>, now: Duration, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let number = |at: usize| words.get(at).map_or(0, |word| word.parse::<i64>().unwrap());
    let id = LeaseId(number(1));
    if words[0] == "promote" {
        let pace = Pace {
            checkpoint_interval: Some(secs(300)),
            ..Pace::default()
        };
        let leases = usize::try_from(number(1)).unwrap();
        *deadlines = Some(Deadlines::promote(leases, now, secs(1), pace));
        return "ok".into();
    }
    let deadlines = deadlines.as_mut().expect("promoted first");
    match words[0] {
        "load" => {
            let checkpoint = words.get(3).map(|_| ttl(number(3)));
            deadlines.load([Grant {
                id,
                ttl: ttl(number(2)),
                checkpoint,
            }]);
        }
        "grant" => deadlines.grant(id, ttl(number(2)), now),
        "revoke" => deadlines.revoke(id),
        "cleared" => {
            let recording = u64::try_from(number(2)).unwrap();
            deadlines.cleared(id, Recording(recording));
        }
        "renew" => return format!("{:?}", deadlines.renew(id, now)),
        "remaining" => return format!("{:?}", deadlines.remaining(id, now)),
        "expired" => {
            let max = usize::try_from(number(1)).unwrap();
            let ids: Vec<i64> = deadlines.expired(now, max).iter().map(|id| id.0).collect();
            return format!("{ids:?}");
        }
        "checkpoints" => {
            let due = deadlines.checkpoints_due(now, 10);
            let due: Vec<_> = due
                .iter()
                .map(|c| (c.id.0, c.remaining.seconds()))
                .collect();
            return format!("{due:?}");
        }
        "by_deadline" => {
            let ids: Vec<i64> = deadlines.by_deadline().iter().map(|id| id.0).collect();
            return format!("{ids:?}");
        }
        other => panic!("unknown command {other}"),
    }
    "ok".into()
}

/// Runs `testdata/deadlines.txt`: `MILLISECONDS COMMAND -> RESULT`; `UPDATE_EXPECT=1` rewrites it.
///
/// covers: P-L-01, P-L-03, P-L-04, P-L-07, R-042, R-044, R-048
#[test]
fn script() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/deadlines.txt");
    let expected = std::fs::read_to_string(path).unwrap();
    let (mut deadlines, mut actual) = (None, String::new());
    for line in expected.lines() {
        if line.is_empty() || line.starts_with('#') {
            writeln!(actual, "{line}").unwrap();
            continue;
        }
        let input = line.split("->").next().unwrap().trim();
        let (at, command) = input.split_once(' ').unwrap();
        let now = Duration::from_millis(at.parse().unwrap());
        let result = run(&mut deadlines, now, command.trim());
        writeln!(actual, "{input:<28} -> {result}").unwrap();
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &actual).unwrap();
    } else {
        assert_eq!(actual, expected);
    }
}

#[derive(Debug, Clone)]
enum Op {
    Grant(i64, i64),
    Revoke(i64),
    Renew(i64),
    Expired(usize),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let id = 0..8i64;
    prop_oneof![
        2 => (id.clone(), 1..20i64).prop_map(|(id, ttl)| Op::Grant(id, ttl)),
        2 => id.clone().prop_map(Op::Revoke),
        4 => id.prop_map(Op::Renew),
        3 => (0..4usize).prop_map(Op::Expired),
        4 => (1..9_000u64).prop_map(Op::Wait),
    ]
}

/// The model: for each lease its time to live, its deadline and when it may be named next.
type Model = BTreeMap<i64, (i64, Duration, Duration)>;

fn step(deadlines: &mut Deadlines, model: &mut Model, now: &mut Duration, op: Op) {
    match op {
        Op::Grant(id, seconds) => {
            model.entry(id).or_insert_with(|| {
                deadlines.grant(LeaseId(id), ttl(seconds), *now);
                let at = *now + ttl(seconds).duration();
                (seconds, at, at)
            });
        }
        Op::Revoke(id) => {
            deadlines.revoke(LeaseId(id));
            model.remove(&id);
        }
        Op::Renew(id) => {
            let expected = match model.get_mut(&id) {
                None => Renewal::Unknown,
                Some((_, at, _)) if *at <= *now => Renewal::Expired,
                Some((seconds, at, next)) => {
                    *at = *now + ttl(*seconds).duration();
                    *next = *at;
                    Renewal::Renewed {
                        ttl: ttl(*seconds),
                        recording: None,
                    }
                }
            };
            assert_eq!(deadlines.renew(LeaseId(id), *now), expected);
        }
        Op::Expired(max) => {
            let due = model.values().filter(|(_, _, next)| *next <= *now).count();
            let named = deadlines.expired(*now, max);
            assert_eq!(named.len(), due.min(max));
            for id in named {
                let (_, at, next) = model.get_mut(&id.0).expect("a lease that exists");
                assert!(*at <= *now && *next <= *now, "{id} is named early");
                *next = *now + secs(7);
            }
        }
        Op::Wait(millis) => *now += Duration::from_millis(millis),
    }
    for id in 0..8 {
        let at = model.get(&id).map(|(_, at, _)| *at);
        assert_eq!(
            deadlines.is_expired(LeaseId(id), *now),
            at.is_some_and(|at| at <= *now)
        );
    }
    assert_eq!(deadlines.len(), model.len());
}

proptest! {
    /// covers: P-L-01, P-L-04, P-L-07, R-042, R-043
    #[test]
    fn agrees_with_the_model(ops in prop::collection::vec(op(), 0..300)) {
        let mut deadlines = Deadlines::promote(0, secs(0), secs(1), Pace::default());
        let (mut model, mut now) = (Model::new(), secs(0));
        for op in ops {
            step(&mut deadlines, &mut model, &mut now, op);
        }
    }

    /// Spread or not, loaded in any slices: nobody loses time, no second has too many.
    ///
    /// covers: P-L-01, P-L-03
    #[test]
    fn promotion_gives_every_lease_its_time(
        ttls in prop::collection::vec((2..9i64, prop::option::of(1..5i64)), 1..400),
        per_second_max in 1..40u32,
    ) {
        let pace = Pace { spread_from: 100, per_second_max, ..Pace::default() };
        let promoted = secs(1000);
        let mut deadlines = Deadlines::promote(ttls.len(), promoted, secs(1), pace);
        for (n, (seconds, left)) in (0i64..).zip(&ttls) {
            deadlines.load([Grant { id: LeaseId(n), ttl: ttl(*seconds), checkpoint: left.map(ttl) }]);
        }
        let mut count = HashMap::<u64, u32>::new();
        for (n, (seconds, left)) in (0i64..).zip(&ttls) {
            let at = deadlines.leases[&LeaseId(n)].at;
            prop_assert!(at >= promoted + secs(1) + ttl(left.unwrap_or(*seconds)).duration());
            *count.entry(at.as_secs()).or_default() += 1;
        }
        if ttls.len() >= pace.spread_from {
            prop_assert!(count.values().all(|n| *n <= per_second_max));
        }
    }
}

/// A million deadlines in one second come out in bounded calls, each once.
#[test]
fn a_million_in_one_second() {
    let pace = Pace {
        spread_from: usize::MAX,
        ..Pace::default()
    };
    let mut deadlines = Deadlines::promote(1_000_000, secs(0), secs(1), pace);
    let grants = (0..1_000_000).map(|n| Grant {
        id: LeaseId(n),
        ttl: ttl(60),
        checkpoint: None,
    });
    deadlines.load(grants);
    // Renewed at once: no deadline has come, and looking costs a bounded number of alarms a call.
    for n in 0..1_000_000 {
        deadlines.renew(LeaseId(n), secs(2));
    }
    assert!(deadlines.expired(secs(61), 500).is_empty());
    let mut named = 0;
    loop {
        let ids = deadlines.expired(secs(63), 50_000);
        named += ids.len();
        ids.into_iter().for_each(|id| deadlines.revoke(id));
        if deadlines.next_expiry().is_none_or(|at| at > secs(63)) {
            break;
        }
    }
    assert_eq!(named, 1_000_000);
    assert!(deadlines.is_empty());
    assert!(deadlines.leases.capacity() < 10_000);
}

///
#[test]
fn grants_for_years_leave_nothing_behind() {
    let mut deadlines = Deadlines::promote(0, secs(0), secs(1), Pace::default());
    for n in 0..100_000 {
        deadlines.grant(LeaseId(n), Ttl::MAX, secs(0));
        deadlines.revoke(LeaseId(n));
    }
    assert!(
        deadlines.expiries.entries() <= 2048,
        "{} entries",
        deadlines.expiries.entries()
    );
}
