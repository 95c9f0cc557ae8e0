//! Go string literals: `%q` and its reverse.

/// `%q`: double quotes, escapes for what cannot be printed, `\x` for bytes that are not UTF-8.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_char(&mut out, c));
        chunk
            .invalid()
            .iter()
            .for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

/// `%q` of a list of strings.
pub(crate) fn quote_list(items: &[impl AsRef<[u8]>]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| quote(item.as_ref())).collect();
    format!("[{}]", quoted.join(" "))
}

fn push_char(out: &mut String, c: char) {
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ if is_printable(c) => out.push(c),
        _ if c.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        _ if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        _ => out.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
}

/// The standard library tells by whether it would escape the character inside a string. It stands behind a letter,
/// because a combining mark that opens a string is escaped although it is printable.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    String::from_iter(['a', c]).escape_debug().eq(['a', c])
}

/// Reads a quoted string at the start of `text`: `"…"` with escapes, or a raw one in back quotes.
///
/// Returns its bytes and what follows it; none if the text does not begin with a whole, valid one.
pub(crate) fn unquote(text: &str) -> Option<(Vec<u8>, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (inside, rest) = raw.split_once('`')?;
        return Some((inside.as_bytes().to_vec(), rest));
    }
    let mut out = Vec::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some((out, rest)),
            '\n' => return None,
            '\\' => rest = unescape(rest, &mut out)?,
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Decodes one escape behind its backslash and returns what follows it.
fn unescape<'a>(text: &'a str, out: &mut Vec<u8>) -> Option<&'a str> {
    let c = text.chars().next()?;
    let rest = &text[c.len_utf8()..];
    let simple = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => return byte(rest, 2, 16, out),
        '0'..='7' => return byte(text, 3, 8, out),
        'u' => return rune(rest, 4, out),
        'U' => return rune(rest, 8, out),
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

fn byte<'a>(text: &'a str, digits: usize, radix: u32, out: &mut Vec<u8>) -> Option<&'a str> {
    out.push(u8::try_from(number(text, digits, radix)?).ok()?);
    Some(&text[digits..])
}

fn rune<'a>(text: &'a str, digits: usize, out: &mut Vec<u8>) -> Option<&'a str> {
    let c = char::from_u32(number(text, digits, 16)?)?;
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(&text[digits..])
}

fn number(text: &str, digits: usize, radix: u32) -> Option<u32> {
    let digits = text.get(..digits)?;
    let all_digits = digits.chars().all(|c| c.is_digit(radix));
    all_digits
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(quote(b"foo"), r#""foo""#);
        assert_eq!(quote(b"a\"b\\c'd"), r#""a\"b\\c'd""#);
        assert_eq!(quote(b"\x07\n\x00\x7f\xff"), r#""\a\n\x00\x7f\xff""#);
        assert_eq!(
            quote("é日\u{200b}\u{1f600}\u{10ffff}".as_bytes()),
            "\"é日\\u200b😀\\U0010ffff\""
        );
        assert_eq!(quote_list(&["sh", "-c"]), r#"["sh" "-c"]"#);
    }

    #[test]
    fn unquoting() {
        assert_eq!(
            unquote(r#""value \x23\u00e9\101" x"#),
            Some(("value #éA".into(), " x"))
        );
        assert_eq!(unquote(r#""\xff""#), Some((vec![0xff], "")));
        assert_eq!(unquote(r"`raw \x`)"), Some((r"raw \x".into(), ")")));
        for bad in [
            "",
            "x",
            "\"open",
            r#""\q""#,
            r#""\x2""#,
            r#""\400""#,
            r#""\x+1""#,
            r#""\ud800""#,
        ] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_byte_string_survives_the_round_trip() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unquote(&quote(&all)), Some((all, "")));
    }
}
