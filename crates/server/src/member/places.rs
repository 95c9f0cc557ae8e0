//! Whether URLs lead to the same places: by their texts, or once names are looked up.

use std::time::Duration;

use crate::config::{MemberUrl, Scheme};

/// How long names may stay unknown: name servers and members are often started together.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How two lists of URLs compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// They lead to the same places.
    Same,
    /// They do not.
    Different,
    /// A name could not be looked up.
    Unknown,
}

/// Compares two lists, in any order. Names are looked up only where texts differ, and the first address of a name counts.
pub(super) async fn compare(ours: &[MemberUrl], theirs: &[MemberUrl]) -> Compared {
    if sorted(ours) == sorted(theirs) {
        return Compared::Same;
    }
    if ours.len() != theirs.len() {
        return Compared::Different;
    }
    match (look_up(ours).await, look_up(theirs).await) {
        (Some(ours), Some(theirs)) if ours == theirs => Compared::Same,
        (Some(_), Some(_)) => Compared::Different,
        _ => Compared::Unknown,
    }
}

/// Whether two lists lead to the same places; waits a while for names that nobody knows yet.
pub(super) async fn same(ours: &[MemberUrl], theirs: &[MemberUrl]) -> bool {
    let comparing = async {
        loop {
            match compare(ours, theirs).await {
                Compared::Unknown => tokio::time::sleep(RETRY_PAUSE).await,
                compared => return compared == Compared::Same,
            }
        }
    };
    let compared = tokio::time::timeout(PATIENCE, comparing).await;
    compared.unwrap_or(false)
}

fn sorted(urls: &[MemberUrl]) -> Vec<&str> {
    let mut texts: Vec<&str> = urls.iter().map(MemberUrl::as_str).collect();
    texts.sort_unstable();
    texts
}

/// Schemes and addresses, sorted; `None` if a name is not known.
async fn look_up(urls: &[MemberUrl]) -> Option<Vec<(Scheme, String)>> {
    let mut places = Vec::new();
    for url in urls {
        // `localhost` may be either of two addresses, and a socket has none.
        let place = if url.scheme().is_unix() || url.host() == "localhost" {
            url.address().to_owned()
        } else {
            let mut addresses = tokio::net::lookup_host(url.address()).await.ok()?;
            addresses.next()?.to_string()
        };
        places.push((url.scheme(), place));
    }
    places.sort_unstable();
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn compared(ours: &str, theirs: &str) -> Compared {
        let urls = |text| MemberUrl::parse_list(text).unwrap();
        compare(&urls(ours), &urls(theirs)).await
    }

    #[tokio::test]
    async fn names_are_looked_up_only_where_texts_differ() {
        for (ours, theirs, expected) in [
            (
                "http://no-such-host.invalid:1",
                "http://no-such-host.invalid:1",
                Compared::Same,
            ),
            (
                "http://no-such-host.invalid:1",
                "http://127.0.0.1:1",
                Compared::Unknown,
            ),
            ("http://127.0.0.1:1", "http://127.0.0.1:01", Compared::Same),
            (
                "http://127.0.0.1:1",
                "https://127.0.0.1:1",
                Compared::Different,
            ),
            (
                "http://127.0.0.1:1",
                "http://127.0.0.1:2",
                Compared::Different,
            ),
            (
                "http://127.0.0.1:1",
                "http://127.0.0.1:1,http://127.0.0.1:2",
                Compared::Different,
            ),
            (
                "http://localhost:1",
                "http://127.0.0.1:1",
                Compared::Different,
            ),
            (
                "http://127.0.0.1:1,http://127.0.0.1:2",
                "http://127.0.0.1:02,http://127.0.0.1:1",
                Compared::Same,
            ),
            ("unix://a:1", "http://127.0.0.1:1", Compared::Different),
        ] {
            assert_eq!(
                compared(ours, theirs).await,
                expected,
                "{ours} and {theirs}"
            );
        }
    }
}
