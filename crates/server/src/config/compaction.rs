//! When history is forgotten by itself.

use super::GoDuration;
use super::duration::DurationError;

/// When history is forgotten by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Never.
    Off,
    /// What is older than this span; looked at ten times in it, hourly at most.
    Periodic(GoDuration),
    /// All but this many revisions.
    Revisions(i64),
}

/// Why `--auto-compaction-retention` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("error parsing CompactionRetention: {0}")]
    Duration(#[from] DurationError),
    #[error("error parsing CompactionRetention: {0:?} is negative")]
    Negative(String),
    /// etcd would take the nanoseconds of a duration for a number of revisions.
    #[error(
        "error parsing CompactionRetention: {0:?} is not a number of revisions, \
         which --auto-compaction-mode=revision needs"
    )]
    NotRevisions(String),
}

/// Whether a mode counts revisions; `None` for a mode that does not exist.
pub(crate) fn counts_revisions(mode: &str) -> Option<bool> {
    match mode {
        "periodic" => Some(false),
        "revision" => Some(true),
        _ => None,
    }
}

/// Reads a retention: a bare number is one of revisions, or of hours.
pub(crate) fn parse(revisions: bool, retention: &str) -> Result<AutoCompaction, Error> {
    let number = retention.parse::<i64>().ok().filter(|number| *number >= 0);
    let span = match number {
        Some(0) => return Ok(AutoCompaction::Off),
        Some(number) if revisions => return Ok(AutoCompaction::Revisions(number)),
        Some(hours) => GoDuration::from_secs(hours.saturating_mul(60 * 60)),
        None => retention.parse()?,
    };
    if span < GoDuration::ZERO {
        return Err(Error::Negative(retention.to_owned()));
    }
    match (span, revisions) {
        (GoDuration::ZERO, _) => Ok(AutoCompaction::Off),
        (_, true) => Err(Error::NotRevisions(retention.to_owned())),
        (span, false) => Ok(AutoCompaction::Periodic(span)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_hours_or_revisions() {
        let hour = GoDuration::from_secs(3600);
        assert_eq!(parse(false, "1"), Ok(AutoCompaction::Periodic(hour)));
        assert_eq!(parse(false, "60m"), Ok(AutoCompaction::Periodic(hour)));
        assert_eq!(parse(true, "1000"), Ok(AutoCompaction::Revisions(1000)));
        for revisions in [true, false] {
            for text in ["0", "0s", "0h"] {
                assert_eq!(parse(revisions, text), Ok(AutoCompaction::Off));
            }
        }
    }

    /// covers: R-074
    #[test]
    fn what_cannot_be_kept_is_refused() {
        for (revisions, text, message) in [
            (
                false,
                "x",
                r#"error parsing CompactionRetention: time: invalid duration "x""#,
            ),
            (
                false,
                "-1",
                r#"error parsing CompactionRetention: time: missing unit in duration "-1""#,
            ),
            (
                false,
                "-1h",
                r#"error parsing CompactionRetention: "-1h" is negative"#,
            ),
            (
                true,
                "1h",
                r#"error parsing CompactionRetention: "1h" is not a number of revisions, which --auto-compaction-mode=revision needs"#,
            ),
        ] {
            assert_eq!(parse(revisions, text).unwrap_err().to_string(), message);
        }
    }
}
