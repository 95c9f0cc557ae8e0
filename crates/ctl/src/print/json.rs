//! JSON as Go's encoder writes it: base64 for bytes, bare 64-bit numbers, HTML characters escaped.

use std::io::{self, Write};

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use ferrod_client::proto::{KeyValue, ResponseHeader};
use serde::{Serialize, Serializer};
use serde_json::ser::{CharEscape, Formatter};

/// Writes one line.
pub(super) fn write(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut *out,
        GoFormatter,
    ))?;
    out.write_all(b"\n")
}

struct GoFormatter;

impl Formatter for GoFormatter {
    /// Go escapes what would matter inside an HTML page or a script.
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let special = ['<', '>', '&', '\u{2028}', '\u{2029}'];
        for part in fragment.split_inclusive(special) {
            match part.chars().next_back().filter(|c| special.contains(c)) {
                None => out.write_all(part.as_bytes())?,
                Some(c) => {
                    out.write_all(&part.as_bytes()[..part.len() - c.len_utf8()])?;
                    write!(out, "\\u{:04x}", u32::from(c))?;
                }
            }
        }
        Ok(())
    }

    /// Go writes these two in the long form.
    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => out.write_all(b"\\\""),
            CharEscape::ReverseSolidus => out.write_all(b"\\\\"),
            CharEscape::Solidus => out.write_all(b"/"),
            CharEscape::Backspace => out.write_all(b"\\b"),
            CharEscape::FormFeed => out.write_all(b"\\f"),
            CharEscape::LineFeed => out.write_all(b"\\n"),
            CharEscape::CarriageReturn => out.write_all(b"\\r"),
            CharEscape::Tab => out.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(out, "\\u{byte:04x}"),
        }
    }
}

/// Whether Go's `omitempty` leaves the value out.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Bytes in standard base64.
#[derive(Clone, Copy)]
pub(super) struct Base64<'a>(pub(super) &'a [u8]);

impl Base64<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// Bytes in standard base64, owned by nobody: for lists.
pub(super) fn base64_list(items: &[impl AsRef<[u8]>]) -> Vec<String> {
    items.iter().map(|item| STANDARD.encode(item)).collect()
}

#[derive(Serialize)]
pub(super) struct Header {
    #[serde(skip_serializing_if = "is_default")]
    cluster_id: u64,
    #[serde(skip_serializing_if = "is_default")]
    member_id: u64,
    #[serde(skip_serializing_if = "is_default")]
    revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    raft_term: u64,
}

impl Header {
    pub(super) fn of(header: Option<&ResponseHeader>) -> Option<Header> {
        header.map(|header| Header {
            cluster_id: header.cluster_id,
            member_id: header.member_id,
            revision: header.revision,
            raft_term: header.raft_term,
        })
    }
}

/// An answer that has nothing but its header.
#[derive(Serialize)]
pub(super) struct HeaderOnly {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<Header>,
}

#[derive(Serialize)]
pub(super) struct Pair<'a> {
    #[serde(skip_serializing_if = "Base64::is_empty")]
    key: Base64<'a>,
    #[serde(skip_serializing_if = "is_default")]
    create_revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    mod_revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    version: i64,
    #[serde(skip_serializing_if = "Base64::is_empty")]
    value: Base64<'a>,
    #[serde(skip_serializing_if = "is_default")]
    lease: i64,
}

impl<'a> Pair<'a> {
    pub(super) fn of(kv: &'a KeyValue) -> Pair<'a> {
        Pair {
            key: Base64(&kv.key),
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            value: Base64(&kv.value),
            lease: kv.lease,
        }
    }

    pub(super) fn list(kvs: &'a [KeyValue]) -> Vec<Pair<'a>> {
        kvs.iter().map(Pair::of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_characters_are_escaped() {
        let mut out = Vec::new();
        write(&"a<b>&\u{2028}\"\\\u{1}é", &mut out).unwrap();
        let expected = "\"a\\u003cb\\u003e\\u0026\\u2028\\\"\\\\\\u0001é\"\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
