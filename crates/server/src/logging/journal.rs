//! Lines for the journal of systemd, in its native protocol: one datagram of `NAME=value` lines.

use std::io;
use std::os::unix::net::UnixDatagram;

use super::Level;
use super::sink::Entry;

const SOCKET: &str = "/run/systemd/journal/socket";

/// A connection to the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: UnixDatagram,
    identifier: String,
}

impl Journal {
    /// Fails where no journal runs.
    pub(crate) fn connect() -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        Ok(Journal {
            socket,
            identifier: process_name(),
        })
    }

    pub(crate) fn write(&self, entry: &Entry) -> io::Result<()> {
        self.socket.send(&datagram(entry, &self.identifier))?;
        Ok(())
    }
}

fn process_name() -> String {
    std::env::args_os()
        .next()
        .as_deref()
        .and_then(|path| std::path::Path::new(path).file_name())
        .map_or_else(
            || "ferrod".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
}

fn datagram(entry: &Entry, identifier: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entry.line.len() + 128);
    let package = entry.caller.split('/').next().unwrap_or_default();
    put(&mut bytes, "MESSAGE", entry.line.trim_end());
    put(&mut bytes, "PRIORITY", priority(entry.level));
    put(&mut bytes, "PACKAGE", package);
    put(&mut bytes, "SYSLOG_IDENTIFIER", identifier);
    bytes
}

/// A value with a line feed is sent with its length instead of after an equals sign.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

fn priority(level: Level) -> &'static str {
    match level {
        Level::Debug => "7",
        Level::Info => "6",
        Level::Warn => "4",
        Level::Error => "3",
        Level::Dpanic | Level::Panic | Level::Fatal => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_has_one_field_per_line() {
        let entry = Entry {
            level: Level::Warn,
            caller: "server/serve.rs:1".to_owned(),
            line: "{\"level\":\"warn\"}\n".to_owned(),
        };
        assert_eq!(
            datagram(&entry, "etcd"),
            b"MESSAGE={\"level\":\"warn\"}\nPRIORITY=4\nPACKAGE=server\nSYSLOG_IDENTIFIER=etcd\n"
        );
    }

    #[test]
    fn a_value_of_two_lines_is_sent_with_its_length() {
        let mut bytes = Vec::new();
        put(&mut bytes, "A", "x\ny");
        assert_eq!(bytes, b"A\n\x03\0\0\0\0\0\0\0x\ny\n");
    }
}
