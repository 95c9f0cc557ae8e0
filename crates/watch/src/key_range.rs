//! Which keys a watcher hears of.

use bytes::Bytes;

/// A set of keys: one, a half-open range, or all from one on. Keys compare as unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRange {
    /// Exactly this key.
    Key(Bytes),
    /// `[low, high)`; nothing if `high <= low`.
    Span {
        /// The first key.
        low: Bytes,
        /// The first key that is not in the range any more.
        high: Bytes,
    },
    /// This key and all after it.
    From(Bytes),
}

impl KeyRange {
    /// The range that a watch request means by `key` and `range_end`.
    ///
    /// An empty `range_end` is the single key, a zero byte is the end of the key space. An empty `key`
    /// stands for the key `\0`, so that both empty watch that one key, not everything.
    pub fn from_request(key: Bytes, range_end: Bytes) -> KeyRange {
        let key = if key.is_empty() {
            Bytes::from_static(b"\0")
        } else {
            key
        };
        match range_end.as_ref() {
            [] => KeyRange::Key(key),
            [0] => KeyRange::From(key),
            _ => KeyRange::Span {
                low: key,
                high: range_end,
            },
        }
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        matches!(self, KeyRange::Span { low, high } if high <= low)
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            KeyRange::Key(only) => key == only,
            KeyRange::Span { low, high } => key >= low.as_ref() && key < high.as_ref(),
            KeyRange::From(low) => key >= low.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static str, end: &'static str) -> KeyRange {
        KeyRange::from_request(Bytes::from(key), Bytes::from(end))
    }

    /// Sharp edges 9 and 10.
    #[test]
    fn as_requests_mean_them() {
        assert!(range("a", "").contains(b"a") && !range("a", "").contains(b"aa"));
        assert!(range("a", "\0").contains(b"zz") && !range("b", "\0").contains(b"a"));
        assert!(range("a", "c").contains(b"bzz") && !range("a", "c").contains(b"c"));
        assert_eq!(range("", ""), KeyRange::Key(Bytes::from("\0")));
        assert!(range("", "\0").contains(b"\0") && range("", "\0").contains(b"\xff"));
        assert!(range("x", "x").is_empty() && range("y", "x").is_empty());
        assert!(range("", "\0\0").contains(b"\0") && !range("", "\0\0").contains(b"\x01"));
        assert!(!range("y", "\0").is_empty());
    }
}
