//! The language in which etcd's failpoint library says what happens at a failpoint:
//! `[P%][N*]action[(argument)]`, several joined by `->`.

/// The same in the words of the library used here. They differ in how long a sleep is written and
/// in the quotes around texts.
pub(super) fn translate(terms: &str) -> Result<String, String> {
    let terms: Result<Vec<_>, _> = terms.split("->").map(translate_term).collect();
    Ok(terms?.join("->"))
}

fn translate_term(term: &str) -> Result<String, String> {
    let (head, argument) = match term.trim().split_once('(') {
        None => (term.trim(), None),
        Some((head, rest)) => {
            let inner = rest
                .strip_suffix(')')
                .ok_or_else(|| format!("`{term}` lacks its closing parenthesis"))?;
            (head, Some(inner.trim_matches('"')))
        }
    };
    let action = head.rsplit(['%', '*']).next().unwrap_or(head);
    match (action, argument) {
        ("sleep", Some(length)) => Ok(format!("{head}({})", milliseconds(length)?)),
        ("off" | "panic" | "return" | "print" | "pause", None) => Ok(head.to_owned()),
        ("panic" | "return" | "print", Some(text)) => Ok(format!("{head}({text})")),
        _ => Err(format!(
            "`{term}` is not understood: known are off, panic, return, print, pause and sleep(milliseconds)"
        )),
    }
}

fn milliseconds(length: &str) -> Result<u128, String> {
    if let Ok(number) = length.parse::<u32>() {
        return Ok(number.into());
    }
    humantime::parse_duration(length)
        .map(|length| length.as_millis())
        .map_err(|reason| format!("sleep({length}): {reason}"))
}
