//! The store from outside: scripts with their answers, random runs against a model and against itself, hostile entries.

mod generate;
mod hostile;
mod model;
mod parse;
mod property;
mod session;
mod show;
mod strict;

use std::fmt::Write as _;
use std::path::Path;

use session::Session;

/// Runs a script and returns it with the answers that were given.
fn run(script: &str) -> String {
    let mut session = Session::new();
    let mut out = String::new();
    for line in script.lines() {
        if line == "new store" {
            session = Session::new();
        }
        // Answers stand below their commands, indented.
        if line.starts_with("  ") {
            continue;
        }
        out += line;
        out.push('\n');
        if !line.is_empty() && !line.starts_with('#') && line != "new store" {
            writeln!(out, "  -> {}", session.command(line)).unwrap();
        }
    }
    out
}

/// Compares a script with the answers it gets now; `UPDATE_EXPECT=1` writes them.
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

/// covers: P-KV-02, P-KV-10
#[test]
fn puts() {
    check("puts.txt");
}

/// covers: P-KV-02
#[test]
fn deletes() {
    check("deletes.txt");
}

/// covers: P-KV-02, P-KV-12, R-011, R-063
#[test]
fn transactions() {
    check("transactions.txt");
}

#[test]
fn compares() {
    check("compares.txt");
}

/// covers: P-KV-07, P-KV-11, R-010
#[test]
fn compaction() {
    check("compaction.txt");
}

/// covers: P-L-05, P-L-06, R-046
#[test]
fn leases() {
    check("leases.txt");
}

#[test]
fn alarms() {
    check("alarms.txt");
}

/// covers: M-05, M-06, R-050, R-051
#[test]
fn members() {
    check("members.txt");
}

///
#[test]
fn read_only_transactions() {
    check("read_only.txt");
}

/// covers: P-KV-03, P-KV-09, P-L-06, R-046
#[test]
fn restarts() {
    check("restarts.txt");
}

/// covers: P-12, R-012
#[test]
fn entries_that_nobody_validated() {
    check("unvalidated.txt");
}
