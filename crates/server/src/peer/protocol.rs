//! Which callers are understood.
//!
//! Two ranges must meet. That of this protocol: what a member speaks must not be below what the other one understands.
//! And that of etcd's versions, by etcd's own rule: neither member's version may be below the lowest that the other one
//! can form a cluster with; patch numbers do not count.

use bytes::Bytes;
use ferrod_proto::peer::{Hello, Welcome};
use prost::Message as _;

use crate::version::{ETCD_MIN_CLUSTER_VERSION, ETCD_VERSION};

/// The version of the protocol that this member speaks. It grows when a message gets a new meaning, or is needed that an
/// older member does not know.
pub(super) const PROTOCOL: u32 = 1;
/// The lowest version that it understands.
pub(super) const PROTOCOL_MIN: u32 = 1;

const _: () = assert!(PROTOCOL_MIN <= PROTOCOL);

/// A few names and URLs have room in it many times over.
const HELLO_BYTES_MAX: usize = 64 << 10;

/// Opens what a caller says first, when nobody knows who it is; `None` if it is no hello. A URL of no letters is two bytes on
/// the way and many times that here, so what is too long is not opened.
pub(super) fn read_hello(bytes: Bytes) -> Option<Hello> {
    (bytes.len() <= HELLO_BYTES_MAX)
        .then(|| Hello::decode(bytes).ok())
        .flatten()
}

/// Judges a caller.
///
/// # Errors
/// Why it cannot be understood, or would not understand this member; for a person.
pub(super) fn check_hello(hello: &Hello) -> Result<(), String> {
    check_spoken(hello.protocol, &hello.version)?;
    if hello.protocol_min > PROTOCOL {
        return Err(format!(
            "local protocol version {PROTOCOL} is too low: the caller understands {} and above",
            hello.protocol_min
        ));
    }
    let theirs = minor(&hello.min_cluster_version)?;
    if minor(ETCD_VERSION)? < theirs {
        return Err(format!(
            "local version {ETCD_VERSION} is too low: the caller understands {} and above",
            hello.min_cluster_version
        ));
    }
    Ok(())
}

/// Judges who was called.
///
/// # Errors
/// As [`check_hello`].
pub(super) fn check_welcome(welcome: &Welcome) -> Result<(), String> {
    check_spoken(welcome.protocol, &welcome.version)
}

fn check_spoken(protocol: u32, version: &str) -> Result<(), String> {
    if protocol < PROTOCOL_MIN {
        return Err(format!(
            "remote protocol version {protocol} is too low: {PROTOCOL_MIN} and above are understood"
        ));
    }
    if minor(version)? < minor(ETCD_MIN_CLUSTER_VERSION)? {
        return Err(format!(
            "remote version {version} is too low: {ETCD_MIN_CLUSTER_VERSION} and above are understood"
        ));
    }
    Ok(())
}

/// Major and minor number.
fn minor(version: &str) -> Result<(u64, u64), String> {
    let mut parts = version.split('.');
    let mut number = || parts.next()?.parse().ok();
    let both = number().and_then(|major| Some((major, number()?)));
    both.ok_or_else(|| format!("{version:?} is not a version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            version: ETCD_VERSION.to_owned(),
            min_cluster_version: ETCD_MIN_CLUSTER_VERSION.to_owned(),
            protocol: PROTOCOL,
            protocol_min: PROTOCOL_MIN,
            ..Hello::default()
        }
    }

    #[test]
    fn members_like_this_one_are_understood_and_newer_ones_that_say_so() {
        assert_eq!(check_hello(&hello()), Ok(()));
        let newer = Hello {
            version: "4.1.0-rc.1".to_owned(),
            min_cluster_version: "3.7.9".to_owned(),
            protocol: PROTOCOL + 3,
            protocol_min: PROTOCOL,
            ..hello()
        };
        assert_eq!(check_hello(&newer), Ok(()));
    }

    /// covers: P-A-09
    #[test]
    fn a_long_hello_is_not_opened() {
        let with_urls = |count| Hello {
            peer_urls: vec![String::new(); count],
            ..hello()
        };
        let read = |hello: &Hello| read_hello(hello.encode_to_vec().into());
        assert_eq!(read(&with_urls(1_000)), Some(with_urls(1_000)));
        assert_eq!(read(&with_urls(HELLO_BYTES_MAX / 2)), None);
        assert_eq!(read_hello(Bytes::from_static(b"hello")), None);
    }

    #[test]
    fn who_is_not_understood_or_does_not_understand_is_told_why() {
        let refused = |change: fn(&mut Hello)| {
            let mut hello = hello();
            change(&mut hello);
            check_hello(&hello).unwrap_err()
        };
        for (text, expected) in [
            (refused(|hello| hello.protocol = 0), "remote protocol"),
            (
                refused(|hello| hello.protocol_min = PROTOCOL + 1),
                "local protocol",
            ),
            (
                refused(|hello| hello.version = "2.3.8".to_owned()),
                "remote version 2.3.8 is too low",
            ),
            (
                refused(|hello| hello.min_cluster_version = "3.8.0".to_owned()),
                "local version",
            ),
            (
                refused(|hello| hello.version.clear()),
                "\"\" is not a version",
            ),
            (
                refused(|hello| hello.min_cluster_version = "three".to_owned()),
                "\"three\" is not a version",
            ),
        ] {
            assert!(text.contains(expected), "{text}");
        }
        let old = Welcome {
            version: ETCD_VERSION.to_owned(),
            protocol: 0,
            life: None,
        };
        assert!(check_welcome(&old).is_err());
    }
}
