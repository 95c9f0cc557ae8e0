//! Durations as Go writes and reads them.

use std::fmt;
use std::time::Duration;

/// A signed span of time in nanoseconds, whose text is Go's: `1h30m0s`, `100ms`, `1.5µs`, `0s`.
///
/// The log shows durations in this form, and flags take them in it.
///
/// ```
/// use ferrod_server::config::GoDuration;
/// let span: GoDuration = "1h0.5s".parse().unwrap();
/// assert_eq!(span.to_string(), "1h0m0.5s");
/// assert_eq!(GoDuration::from_millis(100).to_string(), "100ms");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub i64);

/// Why a text is no duration, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form, or too long for 63 bits of nanoseconds.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// A unit that is none of `ns`, `us`, `µs`, `ms`, `s`, `m`, `h`.
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit {
        /// What stood in place of a unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

impl GoDuration {
    /// No time at all.
    pub const ZERO: GoDuration = GoDuration(0);

    /// A whole number of milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> GoDuration {
        GoDuration(millis.saturating_mul(MILLISECOND))
    }

    /// A whole number of seconds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> GoDuration {
        GoDuration(seconds.saturating_mul(SECOND))
    }

    /// The same span for the standard library; a negative one counts as zero.
    #[must_use]
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Whether this is a span of more than zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl From<Duration> for GoDuration {
    /// Spans beyond 292 years become 292 years.
    fn from(span: Duration) -> GoDuration {
        GoDuration(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let nanos = self.0.unsigned_abs();
        let (second, minute, hour) = (SECOND as u64, MINUTE as u64, HOUR as u64);
        if nanos < second {
            let (unit, name) = match nanos {
                0..1_000 => (1, "ns"),
                1_000..1_000_000 => (MICROSECOND as u64, "µs"),
                _ => (MILLISECOND as u64, "ms"),
            };
            return write_decimal(f, nanos, unit, name);
        }
        if nanos >= hour {
            write!(f, "{}h", nanos / hour)?;
        }
        if nanos >= minute {
            write!(f, "{}m", nanos % hour / minute)?;
        }
        write_decimal(f, nanos % minute, second, "s")
    }
}

/// Writes `nanos / unit` with as many decimal places as it needs.
fn write_decimal(f: &mut fmt::Formatter<'_>, nanos: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", nanos / unit)?;
    let fraction = nanos % unit;
    if fraction > 0 {
        let places = unit.ilog10() as usize;
        let digits = format!("{fraction:0places$}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str(name)
}

impl std::str::FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<GoDuration, DurationError> {
        let invalid = || DurationError::Invalid(text.to_owned());
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(GoDuration::ZERO);
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let (nanos, tail) = one_term(rest, text)?;
            total = total.checked_add(nanos).ok_or_else(invalid)?;
            rest = tail;
        }
        i64::try_from(if negative { -total } else { total })
            .map(GoDuration)
            .map_err(|_| invalid())
    }
}

/// Reads one number with its unit from the start of `rest`; `text` is the whole, for the error.
fn one_term<'t>(rest: &'t str, text: &str) -> Result<(i128, &'t str), DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let number_len = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, tail) = rest.split_at(number_len);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(invalid());
    }
    let unit_len = tail
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(tail.len());
    let (unit, tail) = tail.split_at(unit_len);
    let scale = match unit {
        "" => return Err(DurationError::MissingUnit(text.to_owned())),
        "ns" => 1,
        "us" | "µs" | "μs" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => {
            return Err(DurationError::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            });
        }
    };
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| invalid())?
    };
    let nanos = whole
        .checked_mul(i128::from(scale))
        .ok_or_else(invalid)?
        .checked_add(fraction_nanos(fraction, scale))
        .ok_or_else(invalid)?;
    Ok((nanos, tail))
}

/// `0.fraction` of `scale`, cut to whole nanoseconds. Digits beyond the 18th cannot matter.
fn fraction_nanos(fraction: &str, scale: i64) -> i128 {
    let mut value: i128 = 0;
    let mut divisor: i128 = 1;
    for digit in fraction.bytes().take(18) {
        value = value * 10 + i128::from(digit - b'0');
        divisor *= 10;
    }
    value * i128::from(scale) / divisor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_go() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (768_450, "768.45µs"),
            (2_200_000, "2.2ms"),
            (100 * MILLISECOND, "100ms"),
            (SECOND, "1s"),
            (SECOND + 500 * MILLISECOND, "1.5s"),
            (5 * MINUTE, "5m0s"),
            (2 * HOUR, "2h0m0s"),
            (HOUR + 30 * MINUTE + 7, "1h30m0.000000007s"),
            (-SECOND, "-1s"),
            (i64::MAX, "2562047h47m16.854775807s"),
        ] {
            assert_eq!(GoDuration(nanos).to_string(), text);
            assert_eq!(text.parse(), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn reading_takes_all_that_go_takes() {
        for (text, nanos) in [
            ("0", 0),
            ("-0", 0),
            ("1m30s", 90 * SECOND),
            (".5s", 500 * MILLISECOND),
            ("5.s", 5 * SECOND),
            ("1us", 1_000),
            ("1μs", 1_000),
            ("1s1s", 2 * SECOND),
            ("+3ns", 3),
        ] {
            assert_eq!(text.parse(), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn errors_are_worded_as_in_go() {
        for (text, message) in [
            ("", r#"time: invalid duration """#),
            ("x", r#"time: invalid duration "x""#),
            (".s", r#"time: invalid duration ".s""#),
            ("1.2.3s", r#"time: invalid duration "1.2.3s""#),
            ("9999999h", r#"time: invalid duration "9999999h""#),
            ("-1", r#"time: missing unit in duration "-1""#),
            ("5", r#"time: missing unit in duration "5""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
        ] {
            let error = text.parse::<GoDuration>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let long = "9".repeat(50) + "h";
        assert!(long.parse::<GoDuration>().is_err());
    }
}
