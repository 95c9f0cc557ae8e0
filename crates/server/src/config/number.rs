//! Whole numbers and booleans in the spelling that Go's flag package takes.

/// Why a text is no value of its type, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    /// The text is not of the form.
    #[error("parse error")]
    Syntax,
    /// The number does not fit.
    #[error("value out of range")]
    Range,
}

/// An unsigned number of at most `bits` bits: decimal, or with the prefix `0x`, `0o`, `0` or `0b`.
pub(crate) fn unsigned(text: &str, bits: u32) -> Result<u64, NumberError> {
    let value = magnitude(text)?;
    if value > u128::from(u64::MAX >> (64 - bits)) {
        return Err(NumberError::Range);
    }
    u64::try_from(value).map_err(|_| NumberError::Range)
}

/// A signed number, with the same prefixes after the sign.
pub(crate) fn signed(text: &str) -> Result<i64, NumberError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = i128::try_from(magnitude(digits)?).map_err(|_| NumberError::Range)?;
    i64::try_from(if negative { -value } else { value }).map_err(|_| NumberError::Range)
}

/// One of the twelve spellings of a truth value.
pub(crate) fn boolean(text: &str) -> Result<bool, NumberError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(NumberError::Syntax),
    }
}

fn magnitude(text: &str) -> Result<u128, NumberError> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits, prefixed) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest, true)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest, true)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest, true)
    } else if let (Some(rest), true) = (lower.strip_prefix('0'), lower.len() > 1) {
        (8, rest, true)
    } else {
        (10, lower.as_str(), false)
    };
    let digits = without_separators(digits, prefixed)?;
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(NumberError::Syntax);
    }
    u128::from_str_radix(&digits, radix).map_err(|_| NumberError::Range)
}

/// Go lets single underscores stand between digits, and one after a prefix.
fn without_separators(digits: &str, prefixed: bool) -> Result<String, NumberError> {
    let misplaced =
        (digits.starts_with('_') && !prefixed) || digits.ends_with('_') || digits.contains("__");
    if misplaced {
        return Err(NumberError::Syntax);
    }
    Ok(digits.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_choose_the_radix() {
        for (text, value) in [
            ("0", 0),
            ("7", 7),
            ("007", 7),
            ("0x1F", 31),
            ("0X1f", 31),
            ("0b11", 3),
            ("0o17", 15),
            ("017", 15),
            ("0x_f_f", 255),
            ("1_000", 1000),
        ] {
            assert_eq!(unsigned(text, 64), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_a_parse_error() {
        for text in [
            "", " 1", "1 ", "+1", "-1", "1.0", "0x", "08", "_1", "1__0", "0x1_", "x", "٣",
        ] {
            assert_eq!(unsigned(text, 64), Err(NumberError::Syntax), "{text:?}");
        }
        assert_eq!(signed("--1"), Err(NumberError::Syntax));
    }

    #[test]
    fn what_does_not_fit_is_out_of_range() {
        assert_eq!(unsigned("18446744073709551615", 64), Ok(u64::MAX));
        assert_eq!(
            unsigned("18446744073709551616", 64),
            Err(NumberError::Range)
        );
        assert_eq!(unsigned(&"9".repeat(60), 64), Err(NumberError::Range));
        assert_eq!(unsigned("4294967295", 32), Ok(4_294_967_295));
        assert_eq!(unsigned("4294967296", 32), Err(NumberError::Range));
        assert_eq!(signed("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(signed("9223372036854775808"), Err(NumberError::Range));
        assert_eq!(signed("+0x10"), Ok(16));
    }

    #[test]
    fn booleans_have_twelve_spellings() {
        assert_eq!(boolean("True"), Ok(true));
        assert_eq!(boolean("f"), Ok(false));
        for text in ["", "yes", "tRue", "on", "2"] {
            assert_eq!(boolean(text), Err(NumberError::Syntax), "{text:?}");
        }
    }
}
