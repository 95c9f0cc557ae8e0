//! Request headers of HTTP/2, compressed as far as a load generator needs it (RFC 7541).
//!
//! A header is sent in full once for each connection and by its number from then on, as real clients do. The few
//! headers of a gRPC call never fill the table of 4,096 bytes, so nothing is ever evicted from it.

/// Number of entries in the static table; the newest dynamic entry comes right after it.
const STATIC_ENTRIES: usize = 61;

/// What the receiver's table holds, in order of insertion.
#[derive(Debug, Default)]
pub(crate) struct HeaderTable {
    sent: Vec<(&'static str, String)>,
}

impl HeaderTable {
    /// Appends the header block of a gRPC call of `path`.
    pub(crate) fn encode_call(&mut self, path: &'static str, authority: &str, out: &mut Vec<u8>) {
        out.push(0x83); // :method POST, static entry 3
        out.push(0x86); // :scheme http, static entry 6
        self.encode(":path", path, out);
        self.encode(":authority", authority, out);
        self.encode("content-type", "application/grpc", out);
        self.encode("te", "trailers", out);
    }

    fn encode(&mut self, name: &'static str, value: &str, out: &mut Vec<u8>) {
        let known = self.sent.iter().position(|(n, v)| *n == name && v == value);
        if let Some(position) = known {
            let number = STATIC_ENTRIES + self.sent.len() - position;
            assert!(
                number < 127,
                "the table stays small enough for one-byte numbers"
            );
            out.push(0x80 | number as u8);
            return;
        }
        out.push(0x40); // literal with a new name, to be remembered
        for text in [name, value] {
            assert!(text.len() < 127, "short enough for a one-byte length");
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
        self.sent.push((name, value.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_sent_in_full_once() {
        let mut table = HeaderTable::default();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        table.encode_call("/a.B/C", "localhost", &mut first);
        table.encode_call("/a.B/C", "localhost", &mut second);
        assert!(first.windows(9).any(|w| w == b"localhost"));
        // Newest first: te is 62, content-type 63, :authority 64, :path 65.
        assert_eq!(
            second,
            [0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]
        );
    }
}
