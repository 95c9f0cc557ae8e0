//! The URLs at which members listen and which they tell to others.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// How a URL is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// TCP.
    Http,
    /// TLS over TCP.
    Https,
    /// A unix socket.
    Unix,
    /// TLS over a unix socket.
    Unixs,
}

impl Scheme {
    /// The word before `://`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Unix => "unix",
            Scheme::Unixs => "unixs",
        }
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Unixs)
    }

    /// Whether it is a unix socket.
    #[must_use]
    pub fn is_unix(self) -> bool {
        matches!(self, Scheme::Unix | Scheme::Unixs)
    }
}

/// A member's URL: `http://host:port`, `https://host:port`, `unix://path` or `unixs://path`.
///
/// The text is kept as it was given, because member ids are hashes of it: a general URL type would
/// drop a default port, add a slash or fold case.
///
/// Invariant: with `Http` and `Https` there is a port and no path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberUrl {
    // First, so that the derived order is that of the texts.
    text: String,
    scheme: Scheme,
}

/// Why a text is no member URL, in etcd's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The text has no scheme although it has a colon, such as `127.0.0.1:2379`.
    #[error("parse {0:?}: first path segment in URL cannot contain colon")]
    ColonWithoutScheme(String),
    /// The text begins with a colon.
    #[error("parse {0:?}: missing protocol scheme")]
    NoScheme(String),
    /// The port is not a number.
    #[error("parse {url:?}: invalid port {port:?} after host")]
    Port {
        /// The whole text.
        url: String,
        /// The port with its colon.
        port: String,
    },
    /// A blank or control character inside the text.
    #[error("parse {0:?}: invalid character in URL")]
    Character(String),
    /// A scheme other than the four.
    #[error("URL scheme must be http, https, unix, or unixs: {0}")]
    Scheme(String),
    /// No port.
    #[error("URL address does not have the form \"host:port\": {0}")]
    HostPort(String),
    /// Something after the port.
    #[error("URL must not contain a path: {0}")]
    Path(String),
    /// The list is empty.
    #[error("no valid URLs given")]
    Empty,
}

impl MemberUrl {
    /// Reads one URL; blanks around it are dropped.
    ///
    /// # Errors
    /// [`UrlError`], worded as etcd does.
    pub fn parse(text: &str) -> Result<MemberUrl, UrlError> {
        let text = text.trim();
        if text.chars().any(|c| c.is_ascii_control() || c == ' ') {
            return Err(UrlError::Character(text.to_owned()));
        }
        let (scheme, rest) = split_scheme(text)?;
        let url = MemberUrl {
            text: format!("{}:{rest}", scheme.as_str()),
            scheme,
        };
        if !scheme.is_unix() {
            check_host_port(text, rest)?;
        }
        Ok(url)
    }

    /// Reads a comma-separated list and sorts it by text.
    ///
    /// # Errors
    /// The [`UrlError`] of the first bad one.
    pub fn parse_list(text: &str) -> Result<Vec<MemberUrl>, UrlError> {
        let mut urls = text
            .split(',')
            .map(MemberUrl::parse)
            .collect::<Result<Vec<_>, _>>()?;
        urls.sort();
        Ok(urls)
    }

    /// An `http` or `https` URL of parts that are known to be good.
    pub(crate) fn of_parts(scheme: Scheme, host: IpAddr, port: u16) -> MemberUrl {
        let host_port = std::net::SocketAddr::new(host, port);
        MemberUrl {
            text: format!("{}://{host_port}", scheme.as_str()),
            scheme,
        }
    }

    /// The text, as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it is reached.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What follows `://`: `host:port`, or the path of the socket.
    #[must_use]
    pub fn address(&self) -> &str {
        let rest = &self.text[self.scheme.as_str().len() + 1..];
        rest.strip_prefix("//").unwrap_or(rest)
    }

    /// The host without its port and without brackets. Empty for "all interfaces"; for a unix
    /// socket the part before its first slash or colon, which means nothing.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.address().split('/').next().unwrap_or("");
        match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(""),
            None => authority.split(':').next().unwrap_or(""),
        }
    }

    /// The port; `None` for a unix socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        if self.scheme.is_unix() {
            return None;
        }
        let (_, port) = self.address().rsplit_once(':')?;
        port.parse().ok()
    }

    /// The host as an address. A zone (`%eth0`) is looked past.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let host = self.host();
        if let Ok(ip) = host.parse() {
            return Some(ip);
        }
        let (address, _zone) = host.split_once('%')?;
        address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    }
}

impl fmt::Display for MemberUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits at the colon of the scheme.
fn split_scheme(text: &str) -> Result<(Scheme, &str), UrlError> {
    let unknown = || UrlError::Scheme(text.to_owned());
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(unknown());
    };
    if scheme.is_empty() {
        return Err(UrlError::NoScheme(text.to_owned()));
    }
    if scheme.contains('/') {
        return Err(unknown());
    }
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(UrlError::ColonWithoutScheme(text.to_owned()));
    }
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok((Scheme::Http, rest)),
        "https" => Ok((Scheme::Https, rest)),
        "unix" => Ok((Scheme::Unix, rest)),
        "unixs" => Ok((Scheme::Unixs, rest)),
        _ => Err(unknown()),
    }
}

fn check_host_port(text: &str, rest: &str) -> Result<(), UrlError> {
    let bad_form = || UrlError::HostPort(text.to_owned());
    let after_slashes = rest.strip_prefix("//").ok_or_else(bad_form)?;
    let (authority, path) = match after_slashes.find(['/', '?', '#']) {
        Some(at) => after_slashes.split_at(at),
        None => (after_slashes, ""),
    };
    let port = if let Some(bracketed) = authority.strip_prefix('[') {
        let (_, port) = bracketed.split_once(']').ok_or_else(bad_form)?;
        port.strip_prefix(':').ok_or_else(bad_form)?
    } else {
        let (host, port) = authority.split_once(':').ok_or_else(bad_form)?;
        if host.contains(']') || port.contains(':') {
            return Err(bad_form());
        }
        port
    };
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UrlError::Port {
            url: text.to_owned(),
            port: format!(":{port}"),
        });
    }
    if port.parse::<u16>().is_err() {
        return Err(bad_form());
    }
    if !path.is_empty() {
        return Err(UrlError::Path(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_urls_keep_their_text() {
        for text in [
            "http://localhost:2380",
            "https://10.0.0.1:443",
            "http://[::1]:80",
            "http://Host.Example:0",
            "unix:///run/etcd.sock",
            "unixs://localhost:1234",
        ] {
            assert_eq!(MemberUrl::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(
            MemberUrl::parse(" HTTP://a:1 ").unwrap().as_str(),
            "http://a:1"
        );
    }

    #[test]
    fn parts_are_found() {
        let url = MemberUrl::parse("http://[fe80::1%eth0]:2379").unwrap();
        assert_eq!(url.host(), "fe80::1%eth0");
        assert_eq!(url.ip(), Some("fe80::1".parse().unwrap()));
        assert_eq!(url.port(), Some(2379));
        let url = MemberUrl::parse("unix:///run/x.sock").unwrap();
        assert_eq!(url.address(), "/run/x.sock");
        assert_eq!(url.port(), None);
        let url = MemberUrl::parse("http://:2379").unwrap();
        assert_eq!(url.host(), "");
    }

    #[test]
    fn bad_urls_are_refused_in_the_words_of_etcd() {
        for (text, message) in [
            ("", "URL scheme must be http, https, unix, or unixs: "),
            ("foo", "URL scheme must be http, https, unix, or unixs: foo"),
            (
                "localhost:2379",
                "URL scheme must be http, https, unix, or unixs: localhost:2379",
            ),
            (
                "127.0.0.1:23",
                r#"parse "127.0.0.1:23": first path segment in URL cannot contain colon"#,
            ),
            (
                "http://127.0.0.1",
                r#"URL address does not have the form "host:port": http://127.0.0.1"#,
            ),
            (
                "http://127.0.0.1:a",
                r#"parse "http://127.0.0.1:a": invalid port ":a" after host"#,
            ),
            (
                "http://foo:1/path",
                "URL must not contain a path: http://foo:1/path",
            ),
            (
                "http://foo:1/",
                "URL must not contain a path: http://foo:1/",
            ),
        ] {
            let error = MemberUrl::parse(text).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        for text in [
            "http:foo",
            "http://[::1",
            "http://[::1]",
            "http://a:99999",
            "http://::1:2",
        ] {
            assert!(MemberUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_sorted_and_keeps_repeats() {
        let urls = MemberUrl::parse_list("http://b:1, http://a:2,http://b:1").unwrap();
        let texts: Vec<&str> = urls.iter().map(MemberUrl::as_str).collect();
        assert_eq!(texts, ["http://a:2", "http://b:1", "http://b:1"]);
    }
}
