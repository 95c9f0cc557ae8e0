//! Durations as Go writes and reads them.

use std::time::Duration;

use super::quote;

/// Nanoseconds of each unit that Go knows. The micro sign and the Greek letter mean the same.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// `time.Duration.String()`: `1h2m3.5s`, `12.345ms`, `903.138µs`, `85ns`, `0s`.
pub(crate) fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => decimal(nanos, 3) + "µs",
        1_000_000..1_000_000_000 => decimal(nanos, 6) + "ms",
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = decimal(nanos % 60_000_000_000, 9) + "s";
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, m) => format!("{m}m{seconds}"),
                (h, m) => format!("{h}h{m}m{seconds}"),
            }
        }
    }
}

/// `number / 10^digits` without trailing zeros.
fn decimal(number: u128, digits: usize) -> String {
    let divisor = 10u128.pow(digits as u32);
    let fraction = format!("{:0digits$}", number % divisor);
    let fraction = fraction.trim_end_matches('0');
    let whole = number / divisor;
    if fraction.is_empty() {
        whole.to_string()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// `time.ParseDuration(text)`, but for negative durations, which no flag can use: they count as zero.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {}", quote(text.as_bytes()));
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let unit_at = rest
            .find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, behind) = rest.split_at(unit_at);
        let digits = |c: char| c == '.' || c.is_ascii_digit();
        let (unit, next) = behind.split_at(behind.find(digits).unwrap_or(behind.len()));
        if !number.contains(|c: char| c.is_ascii_digit()) || number.matches('.').count() > 1 {
            return Err(invalid());
        }
        if unit.is_empty() {
            return Err(format!(
                "time: missing unit in duration {}",
                quote(text.as_bytes())
            ));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let (unit, text) = (quote(unit.as_bytes()), quote(text.as_bytes()));
            return Err(format!("time: unknown unit {unit} in duration {text}"));
        };
        nanos += scaled(number, *scale).ok_or_else(invalid)?;
        rest = next;
    }
    let nanos = i64::try_from(nanos).map_err(|_| invalid())?;
    Ok(if negative {
        Duration::ZERO
    } else {
        Duration::from_nanos(nanos.unsigned_abs())
    })
}

/// A decimal number times a whole scale, rounded down.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?.into()
    };
    // More digits than nanoseconds in an hour cannot change the result.
    let fraction = &fraction[..fraction.len().min(14)];
    let parts: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    Some(whole * scale + parts * scale / 10u128.pow(fraction.len() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        for (nanos, text) in [
            (0, "0s"),
            (85, "85ns"),
            (903_138, "903.138µs"),
            (12_345_000, "12.345ms"),
            (2_000_000_000, "2s"),
            (60_000_000_000, "1m0s"),
            (3_723_500_000_000, "1h2m3.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
            assert_eq!(parse_duration(text).unwrap(), Duration::from_nanos(nanos));
        }
    }

    #[test]
    fn parses() {
        assert_eq!(parse_duration("1.5h").unwrap(), Duration::from_secs(5400));
        assert_eq!(parse_duration(".5s").unwrap(), Duration::from_millis(500));
        for (text, error) in [
            ("5", r#"time: missing unit in duration "5""#),
            ("", r#"time: invalid duration """#),
            ("x", r#"time: invalid duration "x""#),
            ("5y", r#"time: unknown unit "y" in duration "5y""#),
            ("1.2.3s", r#"time: invalid duration "1.2.3s""#),
            ("9999999999h", r#"time: invalid duration "9999999999h""#),
        ] {
            assert_eq!(parse_duration(text).unwrap_err(), error);
        }
    }
}
