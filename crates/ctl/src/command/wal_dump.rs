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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrod_node::{ConfChange, ConfChangeKind, DurableLog, MemberId};
    use ferrod_wal::{Identity, Options};

    use super::*;
    use crate::{Environment, Terminal, run};

    /// Runs the command on a data directory and returns exit code, output and complaints.
    fn dump(data_dir: &Path) -> (u8, String, String) {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let terminal = Terminal::new(std::io::empty(), &mut output, &mut errors);
        let words = ["ferroctl", "debug", "wal-dump", "--data-dir"].map(Into::into);
        let words = words.into_iter().chain([data_dir.as_os_str().to_owned()]);
        let code = run(words, Environment::default(), terminal);
        (
            code,
            String::from_utf8(output).unwrap(),
            String::from_utf8(errors).unwrap(),
        )
    }

    /// A log with the entry that adds the only member.
    fn data_dir() -> tempfile::TempDir {
        let data_dir = tempfile::tempdir().unwrap();
        let wal = data_dir.path().join("member/wal");
        std::fs::create_dir_all(&wal).unwrap();
        let identity = Identity {
            cluster: 0xc1,
            member: 0xab,
        };
        let change = ConfChange {
            id: 1,
            kind: ConfChangeKind::AddVoter,
            member: MemberId(0xab),
            context: bytes::Bytes::new(),
        };
        let options = Options {
            segment_bytes: 4096,
            ..Options::default()
        };
        DurableLog::create(Arc::new(RealDisk), &wal, options, identity, &[change]).unwrap();
        data_dir
    }

    #[test]
    fn damage_is_reported_behind_what_lies_in_front_of_it() {
        let data_dir = data_dir();
        let mut files = std::fs::read_dir(data_dir.path().join("member/wal")).unwrap();
        let segment = files.next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[8] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let (code, output, errors) = dump(data_dir.path());
        assert_eq!(code, 1);
        assert!(output.contains("hardState"), "{output}");
        assert!(errors.starts_with("Error: "), "{errors}");
    }

    #[test]
    fn entries_and_hard_state() {
        let (code, output, errors) = dump(data_dir().path());
        assert_eq!((code, errors.as_str()), (0, ""));
        let lines: Vec<Value> = output
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(
            lines[0],
            json!({"identity": {"clusterID": "c1", "memberID": "ab"}})
        );
        assert_eq!(lines[1]["type"], "confChange");
        assert_eq!(
            (&lines[1]["index"], &lines[1]["term"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(
            lines[2],
            json!({"hardState": {"term": 1, "vote": "0", "commit": 1}})
        );
    }
}
