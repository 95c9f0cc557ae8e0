//! Which keys an operation is about.

/// Which keys an operation is about. Keys compare as unsigned bytes, a prefix before what continues it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRange<'a> {
    /// Exactly this key.
    Single(&'a [u8]),
    /// Keys with `low <= key < high`; nothing when `high <= low`.
    Span {
        /// First key that belongs to the range.
        low: &'a [u8],
        /// First key that no longer does.
        high: &'a [u8],
    },
    /// Every key from this one on.
    From(&'a [u8]),
}

impl<'a> KeyRange<'a> {
    /// Every key.
    pub const ALL: KeyRange<'static> = KeyRange::From(&[]);

    /// The range that a request's `key` and `range_end` select.
    ///
    /// No `range_end` means the one key; a `range_end` of one zero byte means no upper bound.
    pub fn from_request(key: &'a [u8], range_end: &'a [u8]) -> Self {
        match range_end {
            [] => KeyRange::Single(key),
            [0] => KeyRange::From(key),
            _ => KeyRange::Span {
                low: key,
                high: range_end,
            },
        }
    }

    /// The first key that may belong to the range.
    pub fn low(&self) -> &'a [u8] {
        match *self {
            KeyRange::Single(key) | KeyRange::From(key) | KeyRange::Span { low: key, .. } => key,
        }
    }

    /// Whether the key belongs to the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        match *self {
            KeyRange::Single(only) => key == only,
            KeyRange::Span { low, high } => low <= key && key < high,
            KeyRange::From(low) => low <= key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_select_what_the_convention_says() {
        assert_eq!(KeyRange::from_request(b"a", b""), KeyRange::Single(b"a"));
        assert_eq!(KeyRange::from_request(b"a", b"\0"), KeyRange::From(b"a"));
        assert!(KeyRange::from_request(b"\0", b"\0").contains(b"\0"));
        assert!(!KeyRange::from_request(b"d", b"b").contains(b"c"));
        assert!(!KeyRange::from_request(b"c", b"c").contains(b"c"));
        assert!(KeyRange::from_request(b"a", b"b").contains(b"a\xff"));
    }
}
