//! Tests as text: commands and what they answer, in `testdata`. `UPDATE_EXPECT=1` writes the answers.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::backend::Memory;
use crate::{
    Bucket, Error, Flusher, KeyRange, KeySpace, KeyValue, Options, RangeQuery, RecordKey, RowRef,
    SortOrder, SortTarget, WriteTxn,
};

struct Session {
    backend: Arc<Memory>,
    space: KeySpace,
    flusher: Flusher,
    applied: u64,
}

fn open(backend: &Arc<Memory>) -> (KeySpace, Flusher) {
    KeySpace::open(backend.clone(), Options::default(), &mut |_| {}).unwrap()
}

impl Session {
    fn new() -> Self {
        let backend = Arc::new(Memory::new());
        let (space, flusher) = open(&backend);
        Self {
            backend,
            space,
            flusher,
            applied: 0,
        }
    }

    fn publish(&mut self) {
        self.applied += 1;
        self.space.publish(self.applied, 1);
    }

    fn command(&mut self, line: &str) -> String {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        match name {
            "put" | "delete" | "txn" => self.transaction(if name == "txn" { rest } else { line }),
            "range" => self.range(rest),
            "compact" => {
                let result = self.space.compact(rest.parse().unwrap());
                self.publish();
                result.map_or_else(error_text, |()| "ok".into())
            }
            "flush" => {
                self.flusher.flush().unwrap();
                "ok".into()
            }
            "settle" => self.settle(),
            "restart" => {
                (self.space, self.flusher) = open(&self.backend);
                format!(
                    "revision {}, compacted {}",
                    self.space.revision(),
                    self.space.compacted()
                )
            }
            "changes" => self.changes(rest),
            "hash" => {
                let mut reader = self.space.views().reader();
                match reader.hash_kv(&reader.view(), rest.parse().unwrap()) {
                    Ok(h) => format!("{} ({}, {})", h.hash, h.compact_revision, h.hash_revision),
                    Err(error) => error_text(error),
                }
            }
            "stored" => self.stored(),
            _ => panic!("no such command: {line}"),
        }
    }

    /// Operations separated by semicolons, in one transaction.
    fn transaction(&mut self, operations: &str) -> String {
        let mut txn = self.space.write();
        let mut answers = Vec::new();
        for operation in operations.split("; ") {
            let words: Vec<&str> = operation.split(' ').collect();
            match words.as_slice() {
                ["put", key, value, options @ ..] => {
                    let lease = options
                        .first()
                        .map_or("0", |lease| &lease["lease=".len()..]);
                    txn.put(&bytes(key), &bytes(value), lease.parse().unwrap());
                }
                ["delete", range] => {
                    let (low, high) = parse_range(range);
                    let range = KeyRange::from_request(&low, &high);
                    let deleted = txn.delete_range(range, false).unwrap();
                    answers.push(format!("deleted {}", deleted.count));
                }
                ["range", rest @ ..] => answers.push(txn_range(&mut txn, &rest.join(" "))),
                _ => panic!("no such operation: {operation}"),
            }
        }
        answers.push(format!("revision {}", txn.commit().revision));
        self.publish();
        answers.join("; ")
    }

    fn range(&mut self, line: &str) -> String {
        let mut reader = self.space.views().reader();
        let view = reader.view();
        with_query(line, |query, sink| reader.range(&view, query, sink))
    }

    fn changes(&mut self, line: &str) -> String {
        let (low, high) = line.split_once(' ').unwrap();
        let mut reader = self.space.views().reader();
        let view = reader.view();
        let (low, high) = (low.parse().unwrap(), high.parse().unwrap());
        let mut found = Vec::new();
        let result = reader.changes(&view, low, high, 100, &mut |change| {
            let kind = if change.tombstone { "delete" } else { "put" };
            found.push(format!("{} {kind} {}", change.revision, text(change.key)));
        });
        result.map_or_else(error_text, |_| found.join(", "))
    }

    /// Lets flushes and compactions end.
    fn settle(&mut self) -> String {
        loop {
            self.flusher.flush().unwrap();
            let more = self.space.maintain();
            if !more && !self.flusher.has_deletes() {
                let finished = self.space.views().compaction_finished();
                return format!("compaction finished {finished}");
            }
        }
    }

    /// The records in the backend.
    fn stored(&self) -> String {
        use crate::backend::Backend;
        let snapshot = self.backend.snapshot().unwrap();
        let mut found = Vec::new();
        let scan = snapshot.scan(Bucket::Key, &[], None, &mut |key, row| {
            let key = RecordKey::decode(key).unwrap();
            let kind = if key.tombstone { "t" } else { "" };
            let row = KeyValue::decode(row).unwrap();
            found.push(format!("{}{kind} {}", key.revision, text(row.key)));
            std::ops::ControlFlow::Continue(())
        });
        scan.unwrap();
        found.join(", ")
    }
}

fn txn_range(txn: &mut WriteTxn<'_>, line: &str) -> String {
    with_query(line, |query, sink| txn.range(query, sink))
}

/// Parses a query, runs it and shows the answer.
fn with_query(
    line: &str,
    run: impl FnOnce(&RangeQuery<'_>, &mut dyn FnMut(RowRef<'_>)) -> Result<crate::RangeResult, Error>,
) -> String {
    let mut words = line.split(' ');
    let (low, high) = parse_range(words.next().unwrap());
    let mut query = RangeQuery::new(KeyRange::from_request(&low, &high));
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || value.parse::<i64>().unwrap();
        match name {
            "rev" => query.revision = number(),
            "limit" => query.limit = number(),
            "min_mod" => query.min_mod_revision = number(),
            "max_mod" => query.max_mod_revision = number(),
            "min_create" => query.min_create_revision = number(),
            "max_create" => query.max_create_revision = number(),
            "keys_only" => query.keys_only = true,
            "count_only" => query.count_only = true,
            "order" if value == "ascend" => query.order = SortOrder::Ascend,
            "order" if value == "descend" => query.order = SortOrder::Descend,
            "by" if value == "version" => query.target = SortTarget::Version,
            "by" if value == "create" => query.target = SortTarget::Create,
            "by" if value == "mod" => query.target = SortTarget::Mod,
            "by" if value == "value" => query.target = SortTarget::Value,
            _ => panic!("no such option: {word}"),
        }
    }
    let mut answer = String::new();
    let result = run(&query, &mut |row| {
        let row = KeyValue::decode(row.encoded).unwrap();
        write!(answer, "{}={}", text(row.key), text(row.value)).unwrap();
        write!(
            answer,
            "[{} {} {}",
            row.create_revision, row.mod_revision, row.version
        )
        .unwrap();
        let lease = if row.lease == 0 {
            String::new()
        } else {
            format!(" lease {}", row.lease)
        };
        write!(answer, "{lease}] ").unwrap();
    });
    match result {
        Ok(result) => {
            let more = if result.more { ", more" } else { "" };
            format!("{answer}count {}{more}", result.count)
        }
        Err(error) => error_text(error),
    }
}

/// `a` is one key, `a..b` a span, `a..` everything from a key on.
fn parse_range(word: &str) -> (Vec<u8>, Vec<u8>) {
    match word.split_once("..") {
        None => (bytes(word), Vec::new()),
        Some((low, "")) => (bytes(low), vec![0]),
        Some((low, high)) => (bytes(low), bytes(high)),
    }
}

fn bytes(word: &str) -> Vec<u8> {
    if word == "''" {
        Vec::new()
    } else {
        word.as_bytes().to_vec()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn error_text(error: Error) -> String {
    format!("error: {error}")
}

/// Runs a file and returns it with the answers that were given.
fn run(script: &str) -> String {
    let mut session = Session::new();
    let mut out = String::new();
    for line in script.lines() {
        if line == "new store" {
            session = Session::new();
        }
        if line.is_empty() || line.starts_with('#') || line == "new store" {
            out += line;
        } else {
            let command = line.split(" -> ").next().unwrap_or_default().trim_end();
            let answer = session.command(command);
            write!(out, "{command} -> {answer}").unwrap();
        }
        out.push('\n');
    }
    out
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    let script = std::fs::read_to_string(&path).unwrap();
    let answered = run(&script);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &answered).unwrap();
    } else {
        assert_eq!(
            script, answered,
            "{name}: UPDATE_EXPECT=1 shows the difference in git"
        );
    }
}

/// covers: P-KV-02, P-KV-07, P-KV-10
#[test]
fn revisions() {
    check("revisions.txt");
}

/// covers: P-KV-07
#[test]
fn ranges() {
    check("ranges.txt");
}

/// covers: P-KV-11, P-W-08, R-009, R-031
#[test]
fn compaction() {
    check("compaction.txt");
}

/// covers: P-KV-02, P-KV-12
#[test]
fn transactions() {
    check("transactions.txt");
}

/// covers: P-KV-11
#[test]
fn hashes() {
    check("hashes.txt");
}

#[test]
fn rows_in_turn() {
    check("rows_in_turn.txt");
}

/// The series of hashes that etcd publishes.
#[test]
fn hashes_agree_with_etcds_published_series() {
    let picks = [
        "alice",
        "bob",
        "celine",
        "dominik",
        "eve",
        "frederica",
        "gorge",
    ];
    let pick = |i: i64| match i {
        i if i % 142 == 30 => "zenek",
        i if i % 71 == 30 => "xavery",
        i => picks[(i % 7) as usize],
    };
    let at_35: [u32; 5] = [
        4_082_599_214,
        2_279_933_401,
        3_284_231_217,
        126_286_495,
        900_108_730,
    ];
    let at_current = [
        1_913_897_190,
        224_860_069,
        1_565_167_519,
        1_566_261_620,
        2_037_173_024,
    ];
    for (current, hashes) in [(false, at_35), (true, at_current)] {
        let mut session = Session::new();
        for (round, hash) in (0..).zip(hashes) {
            let base = round * 71;
            for i in base..=base + 71 {
                session.command(&format!("put {} {i}", pick(i)));
            }
            let revision = if current {
                session.space.revision()
            } else {
                base + 35
            };
            let compacted = session.space.compacted();
            let expected = format!("{hash} ({compacted}, {revision})");
            assert_eq!(session.command(&format!("hash {revision}")), expected);
            session.command("flush");
            assert_eq!(session.command(&format!("hash {revision}")), expected);
            session.command(&format!("compact {revision}"));
        }
    }
}
