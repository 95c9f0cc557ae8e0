//! The number of a segment, and the file names made of it.

use std::fmt;

const SUFFIX: &str = ".wal";

/// The number of a segment. The first is 1; each next one is one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentSeq(pub u64);

impl SegmentSeq {
    /// The first segment of a log.
    pub const FIRST: Self = Self(1);

    /// Returns the number after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the name of the segment's file: 16 hexadecimal digits and `.wal`.
    pub fn file_name(self) -> String {
        format!("{:016x}{SUFFIX}", self.0)
    }

    /// Reads a number back from a file name; `None` for the names of other files.
    pub(crate) fn of_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(SUFFIX)?;
        let seq = Self(u64::from_str_radix(digits, 16).ok()?);
        // Only the one spelling that `file_name` writes; and `next` must not overflow.
        (seq.file_name() == name && seq.0 != 0 && seq.0 < u64::MAX).then_some(seq)
    }
}

impl fmt::Display for SegmentSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_round_trip_and_others_are_ignored() {
        let seq = SegmentSeq(0xab);
        assert_eq!(seq.file_name(), "00000000000000ab.wal");
        assert_eq!(SegmentSeq::of_file_name(&seq.file_name()), Some(seq));
        for name in [
            "ab.wal",
            "00000000000000AB.wal",
            "00000000000000ab.free",
            "+000000000000001.wal",
            "lock",
        ] {
            assert_eq!(SegmentSeq::of_file_name(name), None, "{name}");
        }
    }
}
