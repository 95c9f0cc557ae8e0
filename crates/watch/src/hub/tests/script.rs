//! Scripts in `testdata/`: a command a line, what it tells the client indented below it.
//! `UPDATE_EXPECT=1` rewrites what is told.
//!
//! | Command | Does |
//! |---|---|
//! | `limits NAME=N ..` | starts afresh with these limits: `queue`, `bytes`, `answers`, `ring` and `together` (batches), `window`, `watchers` |
//! | `open S` / `close S` | a stream |
//! | `create S KEY [END] [start=N] [id=N] [denied] [no_put,..]` | `\0` is written `0`, an empty key `-` |
//! | `cancel S ID`, `progress S`, `tick S`, `accepts S` | requests, the timer, back-pressure |
//! | `txn KEY=VALUE .. KEY ..` | one revision; a bare key is deleted; ` / ` parts revisions published together |
//! | `compact N`, `install N` | the store's past goes; it jumps to a later revision |
//! | `catch_up [STEPS]` | until nobody is behind, or so many steps |
//! | `poll S [N]`, `ready`, `stats` | what there is |

use super::store::{Seen, Store};
use crate::{Body, Create, Hub, KeyRange, Limits, Options, Response, Revision, StreamId, WatchId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Write as _;

struct World {
    store: Store,
    hub: Hub,
    streams: BTreeMap<String, StreamId>,
}

impl World {
    fn new(words: &[&str]) -> World {
        let mut limits = Limits::default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap();
            let value: usize = value.parse().unwrap();
            match name {
                "queue" => limits.queue_responses_max = value,
                "bytes" => limits.queue_bytes_max = value,
                "answers" => limits.queue_answers_max = value,
                "ring" => limits.ring_bytes_max = value * batch_bytes(),
                "together" => limits.response_bytes_max = value * batch_bytes(),
                "window" => limits.window_revisions_max = value,
                "watchers" => limits.window_watchers_max = value,
                other => panic!("unknown limit {other}"),
            }
        }
        let hub = Hub::new(Revision(1), Revision(0), limits);
        World {
            store: Store::new(),
            hub,
            streams: BTreeMap::new(),
        }
    }

    fn run(&mut self, words: &[&str]) -> Vec<String> {
        let stream = words
            .get(1)
            .and_then(|name| self.streams.get(*name))
            .copied();
        let number = |at: usize| words.get(at).map(|word| word.parse::<i64>().unwrap());
        match words[0] {
            "limits" => *self = World::new(&words[1..]),
            "open" => {
                self.streams.insert(words[1].into(), self.hub.open());
            }
            "close" => self.hub.close(stream.unwrap()),
            "create" => self.hub.create(stream.unwrap(), create(&words[2..])),
            "cancel" => self
                .hub
                .cancel(stream.unwrap(), WatchId(number(2).unwrap())),
            "progress" => self.hub.request_progress(stream.unwrap()),
            "tick" => self.hub.progress_tick(stream.unwrap()),
            "accepts" => return vec![self.hub.accepts_requests(stream.unwrap()).to_string()],
            "txn" => self.txn(&words[1..]),
            "compact" => {
                self.store.compacted = Revision(number(1).unwrap());
                self.hub.on_compaction(self.store.compacted);
            }
            "install" => {
                while self.store.revision().0 < number(1).unwrap() {
                    self.store.apply(&[("installed", Some("x"))]);
                }
                self.hub
                    .on_install(self.store.revision(), self.store.compacted);
            }
            "catch_up" => {
                let mut steps = number(1).unwrap_or(i64::MAX);
                while self.hub.is_behind() && steps > 0 {
                    self.hub.catch_up(&self.store);
                    steps -= 1;
                }
            }
            "poll" => return self.poll(stream.unwrap(), number(2).unwrap_or(i64::MAX)),
            "ready" => return self.ready(),
            "stats" => return vec![format!("{:?}", self.hub.stats())],
            other => panic!("unknown command {other}"),
        }
        Vec::new()
    }

    fn txn(&mut self, words: &[&str]) {
        fn op<'a>(word: &&'a str) -> (&'a str, Option<&'a str>) {
            word.split_once('=')
                .map_or((*word, None), |(k, v)| (k, Some(v)))
        }
        let txns = words.split(|word| *word == "/");
        let batches: Vec<_> = txns
            .filter_map(|words| self.store.apply(&words.iter().map(op).collect::<Vec<_>>()))
            .collect();
        self.hub.on_batches(&batches, &self.store);
    }

    fn poll(&mut self, stream: StreamId, mut count: i64) -> Vec<String> {
        let mut told = Vec::new();
        while count > 0
            && let Some(response) = self.hub.poll(stream)
        {
            told.push(tell(&response));
            count -= 1;
        }
        told
    }

    fn ready(&mut self) -> Vec<String> {
        let ready = self.hub.take_ready();
        let name = |id| {
            self.streams
                .iter()
                .find(|(_, known)| *known == id)
                .map(|(name, _)| name)
        };
        ready
            .iter()
            .map(|id| name(id).cloned().unwrap_or("closed".into()))
            .collect()
    }
}

/// What a batch with one short edit weighs, so that scripts can count the ring in batches.
fn batch_bytes() -> usize {
    Store::new().apply(&[("a", Some("1"))]).unwrap().bytes() + 4
}

fn create(words: &[&str]) -> Create {
    let key = |word: &&str| match *word {
        "-" => Bytes::new(),
        "0" => Bytes::from_static(b"\0"),
        other => Bytes::from(other.to_owned()),
    };
    let is_key = |word: &&&str| !word.contains('=') && !word.contains('_') && **word != "denied";
    let keys: Vec<Bytes> = words.iter().take_while(is_key).map(key).collect();
    let mut create = Create {
        range: KeyRange::from_request(keys[0].clone(), keys.get(1).cloned().unwrap_or_default()),
        start_revision: 0,
        watch_id: 0,
        options: Options::default(),
        denied: None,
    };
    for word in &words[keys.len()..] {
        match word.split_once('=').unwrap_or((word, "")) {
            ("start", value) => create.start_revision = value.parse().unwrap(),
            ("id", value) => create.watch_id = value.parse().unwrap(),
            ("denied", _) => create.denied = Some("no permission".into()),
            ("no_put", _) => create.options.no_put = true,
            ("no_delete", _) => create.options.no_delete = true,
            ("prev_kv", _) => create.options.prev_kv = true,
            ("progress_notify", _) => create.options.progress_notify = true,
            ("may_fragment", _) => create.options.fragment = true,
            (other, _) => panic!("unknown option {other}"),
        }
    }
    create
}

fn tell(response: &Response) -> String {
    let head = format!("id={} @{}", response.watch_id.0, response.header_revision);
    match &response.body {
        Body::Created => format!("created {head}"),
        Body::Refused(reason) => format!("refused {head} {reason}"),
        Body::Progress => format!("progress {head}"),
        Body::Canceled => format!("canceled {head}"),
        Body::Compacted(revision) => format!("compacted {head} compact={revision}"),
        Body::Events {
            events,
            may_fragment,
        } => {
            let mut told = format!("events {head}");
            for seen in events.iter().map(|event| Seen::decode(&event)) {
                let kind = if seen.is_delete { "delete" } else { "put" };
                let previous = seen
                    .previous
                    .map_or(String::new(), |row| format!(" (was {row})"));
                write!(told, " {kind} {}{previous}", seen.row).unwrap();
            }
            told + if *may_fragment { " may fragment" } else { "" }
        }
    }
}

fn check(name: &str) {
    let path = format!("{}/testdata/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let expected = std::fs::read_to_string(&path).unwrap();
    let (mut world, mut actual) = (World::new(&[]), String::new());
    for line in expected.lines().filter(|line| !line.starts_with("  ")) {
        writeln!(actual, "{line}").unwrap();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        for told in world.run(&words) {
            writeln!(actual, "  {told}").unwrap();
        }
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &actual).unwrap();
    } else {
        assert_eq!(actual, expected);
    }
}

/// covers: P-W-07, P-W-08, R-034, R-037, R-039
#[test]
fn create_and_cancel() {
    check("create");
}

/// covers: P-W-01, P-W-02, P-W-04, P-W-09
#[test]
fn live() {
    check("live");
}

/// covers: P-W-03, P-W-05, P-W-08, R-030, R-031
#[test]
fn catch_up() {
    check("catch_up");
}

/// covers: P-W-10, R-029
#[test]
fn slow_reader() {
    check("slow_reader");
}

/// covers: P-W-06, P-W-07, R-027, R-035
#[test]
fn progress() {
    check("progress");
}

/// covers: P-W-07, R-028, R-032
#[test]
fn install() {
    check("install");
}
