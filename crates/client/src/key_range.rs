//! Which keys a request is about.

use bytes::Bytes;

/// The single zero byte: as a range end, it means that there is no end.
const NUL: Bytes = Bytes::from_static(b"\0");

/// Which keys a request is about, in the form of the wire: a key, and a range end that is empty for a single key and one
/// zero byte for "no end".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    key: Bytes,
    range_end: Bytes,
}

impl KeyRange {
    /// Exactly this key.
    pub fn single(key: impl Into<Bytes>) -> KeyRange {
        KeyRange {
            key: key.into(),
            range_end: Bytes::new(),
        }
    }

    /// All keys in `[low, high)`.
    pub fn between(low: impl Into<Bytes>, high: impl Into<Bytes>) -> KeyRange {
        KeyRange {
            key: low.into(),
            range_end: high.into(),
        }
    }

    /// All keys that begin with `prefix`; all keys at all if it is empty.
    pub fn prefix(prefix: impl Into<Bytes>) -> KeyRange {
        let prefix = prefix.into();
        if prefix.is_empty() {
            return KeyRange::all();
        }
        let range_end = prefix_end(&prefix);
        KeyRange {
            key: prefix,
            range_end,
        }
    }

    /// All keys from this one on; all keys at all if it is empty.
    pub fn from_key(low: impl Into<Bytes>) -> KeyRange {
        let low = low.into();
        if low.is_empty() {
            return KeyRange::all();
        }
        KeyRange {
            key: low,
            range_end: NUL,
        }
    }

    /// All keys.
    pub fn all() -> KeyRange {
        KeyRange {
            key: NUL,
            range_end: NUL,
        }
    }

    /// Key and range end, as requests want them.
    pub fn into_parts(self) -> (Bytes, Bytes) {
        (self.key, self.range_end)
    }
}

/// The first key that is above all keys with this prefix, or one zero byte if there is none.
fn prefix_end(prefix: &[u8]) -> Bytes {
    match prefix.iter().rposition(|byte| *byte < 0xff) {
        None => NUL,
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ends() {
        let end = |prefix: &'static [u8]| KeyRange::prefix(prefix).into_parts().1;
        assert_eq!(end(b"foo"), "fop");
        assert_eq!(end(b"a\xff\xff"), "b");
        assert_eq!(end(b"\xff\xff"), "\0");
        assert_eq!(KeyRange::prefix(""), KeyRange::all());
        assert_eq!(KeyRange::from_key(""), KeyRange::all());
    }
}
