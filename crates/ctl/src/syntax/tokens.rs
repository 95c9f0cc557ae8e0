//! Splitting a line of an interactive command.

use crate::Error;
use crate::go;

/// Splits a line into `"…"` with escapes, `'…'` without, and bare words.
///
/// A quote without its partner is skipped. Pieces that touch are not joined.
///
/// # Errors
/// [`Error::InvalidInput`] for an escape that Go does not know.
pub(crate) fn tokens(line: &str) -> Result<Vec<Vec<u8>>, Error> {
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => double_quoted(rest),
            '\'' => rest[1..].find('\'').map(|end| end + 2),
            c if is_blank(c) => None,
            _ => Some(rest.find(is_blank).unwrap_or(rest.len())),
        };
        let Some(length) = length else {
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let (piece, behind) = rest.split_at(length);
        tokens.push(match first {
            '"' => {
                let (bytes, _) = go::unquote(piece)
                    .ok_or_else(|| Error::InvalidInput("invalid syntax".into()))?;
                bytes
            }
            '\'' => piece.as_bytes()[1..length - 1].to_vec(),
            _ => piece.as_bytes().to_vec(),
        });
        rest = behind;
    }
    Ok(tokens)
}

/// What Go's regular expressions call white space.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// Length of the quoted piece at the start, both quotes included; none if its end is missing.
fn double_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        let found = tokens(line).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|token| str::from_utf8(token).unwrap())
            .collect();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn splitting() {
        check("", &[]);
        check("  ", &[]);
        check(r#""hello\"world""#, &[r#"hello"world"#]);
        check("put 'my key' 'my value'", &["put", "my key", "my value"]);
        check("''", &[""]);
        check(r#""""#, &[""]);
        check(
            r#"put "key \"with\" space" "value \x23""#,
            &["put", r#"key "with" space"#, "value #"],
        );
        check(r#"put "a b"#, &["put", "a", "b"]);
        check("a'b' 'a''b'", &["a'b'", "a", "b"]);
        check(r#"put k --lease="1""#, &["put", "k", r#"--lease="1""#]);
        check("put 'a b", &["put", "a", "b"]);
    }

    #[test]
    fn a_bad_escape_is_refused() {
        assert!(matches!(tokens(r#"put "\q""#), Err(Error::InvalidInput(_))));
    }
}
