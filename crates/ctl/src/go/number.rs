//! Numbers and truth values, with the errors of package strconv.

use std::num::IntErrorKind;

use super::quote;

/// Base of a number, as `strconv.ParseInt` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// A prefix tells: `0x`, `0o`, `0b` or none. Flags are read so.
    Prefix,
    /// Decimal.
    Ten,
    /// Hexadecimal without prefix: leases and members.
    Sixteen,
}

/// `strconv.ParseInt(text, base, 64)`.
pub(crate) fn parse_int(text: &str, base: Base) -> Result<i64, String> {
    let (radix, digits) = radix_and_digits(text, base);
    i64::from_str_radix(&digits, radix).map_err(|e| cause("ParseInt", text, e.kind()))
}

/// `strconv.ParseUint(text, base, 64)`, which takes no sign.
pub(crate) fn parse_uint(text: &str, base: Base) -> Result<u64, String> {
    let (radix, digits) = radix_and_digits(text, base);
    if digits.starts_with(['+', '-']) {
        return Err(cause("ParseUint", text, &IntErrorKind::InvalidDigit));
    }
    u64::from_str_radix(&digits, radix).map_err(|e| cause("ParseUint", text, e.kind()))
}

/// `strconv.ParseBool(text)`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(cause("ParseBool", text, &IntErrorKind::InvalidDigit)),
    }
}

fn radix_and_digits(text: &str, base: Base) -> (u32, String) {
    let (sign, rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => text.split_at(text.len() - rest.len()),
        None => ("", text),
    };
    let radix = match (base, rest.get(..2).map(str::to_ascii_lowercase).as_deref()) {
        (Base::Sixteen, _) => return (16, text.to_owned()),
        (Base::Ten, _) => return (10, text.to_owned()),
        (Base::Prefix, Some("0x")) => 16,
        (Base::Prefix, Some("0o")) => 8,
        (Base::Prefix, Some("0b")) => 2,
        (Base::Prefix, _) => return (10, text.to_owned()),
    };
    // A second sign behind the prefix must stay an error.
    let digits = if rest[2..].starts_with(['+', '-']) {
        "?"
    } else {
        &rest[2..]
    };
    (radix, format!("{sign}{digits}"))
}

fn cause(function: &str, text: &str, kind: &IntErrorKind) -> String {
    let what = match kind {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!(
        "strconv.{function}: parsing {}: {what}",
        quote(text.as_bytes())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        assert_eq!(parse_int("-5", Base::Ten), Ok(-5));
        assert_eq!(
            parse_int("694d5765fc71500b", Base::Sixteen),
            Ok(0x694d5765fc71500b)
        );
        assert_eq!(parse_int("0x10", Base::Prefix), Ok(16));
        assert_eq!(
            parse_int("zz", Base::Sixteen).unwrap_err(),
            r#"strconv.ParseInt: parsing "zz": invalid syntax"#
        );
        assert_eq!(
            parse_int("8000000000000000", Base::Sixteen).unwrap_err(),
            r#"strconv.ParseInt: parsing "8000000000000000": value out of range"#
        );
        assert!(parse_int("", Base::Ten).is_err() && parse_int("0x-1", Base::Prefix).is_err());
    }

    #[test]
    fn numbers_without_sign() {
        assert_eq!(
            parse_uint("8e9e05c52164694d", Base::Sixteen),
            Ok(0x8e9e_05c5_2164_694d)
        );
        for text in ["-1", "+1", "x", ""] {
            let error = parse_uint(text, Base::Sixteen).unwrap_err();
            let wanted = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
            assert_eq!(error, wanted);
        }
        assert_eq!(
            parse_uint("10000000000000000", Base::Sixteen).unwrap_err(),
            r#"strconv.ParseUint: parsing "10000000000000000": value out of range"#
        );
    }

    #[test]
    fn truth_values() {
        assert_eq!(parse_bool("T"), Ok(true));
        assert_eq!(
            parse_bool("yes").unwrap_err(),
            r#"strconv.ParseBool: parsing "yes": invalid syntax"#
        );
    }
}
