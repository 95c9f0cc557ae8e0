//! The peer URLs that member commands take, checked as the official client does before it calls.

/// Reads a comma-separated list; blanks around each URL are dropped, and the result is sorted.
///
/// # Errors
/// What is wrong with the first bad one, in the official client's words.
pub(crate) fn parse_list(text: &str) -> Result<Vec<String>, String> {
    let urls: Result<Vec<_>, _> = text.split(',').map(parse).collect();
    let mut urls = urls?;
    urls.sort_unstable();
    Ok(urls)
}

fn parse(text: &str) -> Result<String, String> {
    let text = text.trim();
    let Some((scheme, rest)) = text
        .split_once(':')
        .filter(|(scheme, _)| !scheme.contains('/'))
    else {
        return Err(bad_scheme(text));
    };
    if scheme.is_empty() {
        return Err(format!("parse {text:?}: missing protocol scheme"));
    }
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let what = "first path segment in URL cannot contain colon";
        return Err(format!("parse {text:?}: {what}"));
    }
    match scheme.to_ascii_lowercase().as_str() {
        scheme @ ("http" | "https") => {
            check_address(text, rest)?;
            Ok(format!("{scheme}:{rest}"))
        }
        scheme @ ("unix" | "unixs") => Ok(format!("{scheme}:{rest}")),
        _ => Err(bad_scheme(text)),
    }
}

fn bad_scheme(text: &str) -> String {
    format!("URL scheme must be http, https, unix, or unixs: {text}")
}

/// Host and port, and nothing behind them.
fn check_address(text: &str, rest: &str) -> Result<(), String> {
    let bad_form = || format!("URL address does not have the form \"host:port\": {text}");
    let rest = rest.strip_prefix("//").ok_or_else(bad_form)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = authority.rsplit_once(':').ok_or_else(bad_form)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.contains(':') && !bracketed {
        return Err(bad_form());
    }
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        let port = format!(":{port}");
        return Err(format!("parse {text:?}: invalid port {port:?} after host"));
    }
    if port.parse::<u16>().is_err() {
        return Err(bad_form());
    }
    if !path.is_empty() {
        return Err(format!("URL must not contain a path: {text}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_trimmed() {
        let urls = parse_list("http://b:2, HTTP://a:1 ,unix:///x").unwrap();
        assert_eq!(urls, ["http://a:1", "http://b:2", "unix:///x"]);
        assert_eq!(parse_list("http://[::1]:80").unwrap(), ["http://[::1]:80"]);
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_the_official_client() {
        for (text, message) in [
            ("", "URL scheme must be http, https, unix, or unixs: "),
            ("x", "URL scheme must be http, https, unix, or unixs: x"),
            (
                "ftp://a:1",
                "URL scheme must be http, https, unix, or unixs: ftp://a:1",
            ),
            (
                "http://a",
                "URL address does not have the form \"host:port\": http://a",
            ),
            ("http://a:1/x", "URL must not contain a path: http://a:1/x"),
            (
                "127.0.0.1:1",
                "parse \"127.0.0.1:1\": first path segment in URL cannot contain colon",
            ),
            (
                "http://a:x",
                "parse \"http://a:x\": invalid port \":x\" after host",
            ),
        ] {
            assert_eq!(parse_list(text), Err(message.to_owned()), "{text:?}");
        }
    }
}
