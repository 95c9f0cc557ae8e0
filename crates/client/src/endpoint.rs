//! Where one member listens.

use crate::Error;

/// Where one member listens: the text as given, and the URI to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    text: String,
    uri: String,
}

impl Endpoint {
    /// Takes `host:port`, `http://host:port` (a path is dropped), `unix:path`, `unix://path` and `unix:///path`.
    ///
    /// # Errors
    /// [`Error::Endpoint`] for `https` and `unixs`, which need TLS, and for text that names no address.
    pub fn parse(text: &str) -> Result<Endpoint, Error> {
        let refuse = |reason| Error::Endpoint {
            endpoint: text.to_owned(),
            reason,
        };
        if text.starts_with("https://") || text.starts_with("unixs:") {
            return Err(refuse("needs TLS, which is not available in this version"));
        }
        let uri = if text.starts_with("unix:") {
            text.to_owned()
        } else {
            let address = text.strip_prefix("http://").unwrap_or(text);
            let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
            format!("http://{authority}")
        };
        if text.starts_with("unix:")
            && text
                .trim_start_matches("unix:")
                .trim_matches('/')
                .is_empty()
        {
            return Err(refuse("names no socket"));
        }
        if !text.starts_with("unix:") && uri.parse::<http::Uri>().is_err() {
            return Err(refuse("is not an address"));
        }
        Ok(Endpoint {
            text: text.to_owned(),
            uri,
        })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, uri) in [
            ("127.0.0.1:2379", "http://127.0.0.1:2379"),
            ("http://a:1/some/path", "http://a:1"),
            ("[::1]:2379", "http://[::1]:2379"),
            ("localhost", "http://localhost"),
            ("unix:/run/etcd.sock", "unix:/run/etcd.sock"),
            ("unix:///run/etcd.sock", "unix:///run/etcd.sock"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().uri(), uri);
        }
    }

    #[test]
    fn refusals() {
        for text in ["https://a:1", "unixs:///s", "a b:1", "", "unix:", "unix://"] {
            assert!(
                matches!(Endpoint::parse(text), Err(Error::Endpoint { .. })),
                "{text}"
            );
        }
    }
}
