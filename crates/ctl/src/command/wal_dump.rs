//! `debug wal-dump`: a log as lines of JSON, for a foreign checker.
//!
//! The lines, in this order:
//!
//! 1. `{"identity":{"clusterID":"<hex>","memberID":"<hex>"}}`, unless not even that can be read;
//! 2. one per entry: `{"index":1,"term":1,"type":"normal","payload":"<base64>"}`, where `type` is `normal` or `confChange`;
//! 3. `{"hardState":{"term":2,"vote":"<hex>","commit":7}}`, the last one;
//! 4. `{"tornTail":{"segment":"<name>","offset":4096,"bytes":17}}`, if the log ends in a write that nobody was told of.
//!
//! A payload of type `normal` is an encoded `InternalRaftRequest`, or empty for the mark of a new leader. Damage is an error
//! after these lines: they are what lies in front of it.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrod_env::RealDisk;
use ferrod_node::{Dump, Entry, EntryKind};
use serde_json::{Value, json};

use crate::Error;
use crate::cli::WalDump;
use crate::session::Session;

pub(super) fn run(args: WalDump, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let dir = wal_dir(&args)?;
    if !dir.is_dir() {
        return Err(Error::Failed(format!(
            "{}: no such directory",
            dir.display()
        )));
    }
    let dump = ferrod_node::dump(&RealDisk, &dir);
    for line in lines(&dump) {
        writeln!(session.terminal.output(), "{line}")?;
    }
    session.terminal.flush()?;
    dump.damage
        .map_or(Ok(()), |damage| Err(Error::Failed(chain(&damage))))
}

fn wal_dir(args: &WalDump) -> Result<PathBuf, Error> {
    match (args.wal_dir.as_str(), args.data_dir.as_str()) {
        ("", "") => Err(Error::bad_arguments(
            "wal-dump command needs --data-dir or --wal-dir",
        )),
        ("", data_dir) => Ok(Path::new(data_dir).join("member").join("wal")),
        (wal_dir, _) => Ok(wal_dir.into()),
    }
}

fn lines(dump: &Dump) -> Vec<Value> {
    let hex = |id: u64| format!("{id:x}");
    let identity = dump.identity.map(|identity| {
        json!({"identity": {"clusterID": hex(identity.cluster), "memberID": hex(identity.member)}})
    });
    let hard_state = dump.log.hard_state();
    let hard_state = json!({"hardState": {
        "term": hard_state.term.0,
        "vote": hex(hard_state.vote.0),
        "commit": hard_state.commit.0,
    }});
    let torn = dump.torn.map(|torn| {
        let segment = torn.segment.to_string();
        json!({"tornTail": {"segment": segment, "offset": torn.offset, "bytes": torn.bytes}})
    });
    identity
        .into_iter()
        .chain(dump.log.entries().iter().map(entry))
        .chain([hard_state])
        .chain(torn)
        .collect()
}

fn entry(entry: &Entry) -> Value {
    let kind = match entry.kind {
        EntryKind::Normal => "normal",
        EntryKind::ConfChange => "confChange",
    };
    let payload = STANDARD.encode(&entry.payload);
    json!({"index": entry.index.0, "term": entry.term.0, "type": kind, "payload": payload})
}

/// An error with everything behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
