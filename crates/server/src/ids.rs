//! The numbers that name members, clusters and requests, computed bit for bit as etcd does.
//!
//! A client or a backup may carry an identity from an etcd cluster to this server and back, so the
//! same configuration must give the same numbers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use ferrod_node::MemberId;
use sha1::{Digest, Sha1};

/// Identity of a cluster, fixed when it is first started. Shown in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The id of a member of the initial cluster: a hash of its peer URLs, in text order, and the
/// cluster token. The name plays no part.
#[must_use]
pub fn initial_member_id<S: AsRef<str>>(peer_urls: &[S], token: &str) -> MemberId {
    let mut hash = hash_of_sorted(peer_urls);
    hash.update(token);
    MemberId(first_eight_bytes(hash))
}

/// The id of a member that is added to a running cluster at `unix_seconds`.
///
/// The time makes the id new even when a member was removed and comes back with the same URLs.
#[must_use]
pub fn added_member_id<S: AsRef<str>>(peer_urls: &[S], unix_seconds: i64) -> MemberId {
    let mut hash = hash_of_sorted(peer_urls);
    hash.update(unix_seconds.to_string());
    MemberId(first_eight_bytes(hash))
}

/// The id of the cluster that starts with these members, in any order.
#[must_use]
pub fn cluster_id(members: &[MemberId]) -> ClusterId {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for member in sorted {
        hash.update(member.0.to_be_bytes());
    }
    ClusterId(first_eight_bytes(hash))
}

fn hash_of_sorted<S: AsRef<str>>(texts: &[S]) -> Sha1 {
    let mut sorted: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for text in sorted {
        hash.update(text);
    }
    hash
}

fn first_eight_bytes(hash: Sha1) -> u64 {
    let digest = hash.finalize();
    let (head, _) = digest
        .split_first_chunk::<8>()
        .expect("a SHA-1 digest has 20 bytes");
    u64::from_be_bytes(*head)
}

/// Hands out request ids: unique among members and, by the clock, among runs of one member.
///
/// Bits 63 to 48 are the low bits of the member id; below are 40 bits of the start time in
/// milliseconds and an 8-bit counter, which carries into the time: a member would have to hand out
/// more than 256 ids per millisecond of its life for a later run to meet them again.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    suffix: AtomicU64,
}

impl RequestIds {
    /// Ids of `member`, which started at `unix_millis`.
    #[must_use]
    pub fn new(member: MemberId, unix_millis: u64) -> RequestIds {
        RequestIds {
            prefix: member.0 << 48,
            suffix: AtomicU64::new((unix_millis & ((1 << 40) - 1)) << 8),
        }
    }

    /// The next id, from any thread.
    pub fn next(&self) -> u64 {
        let suffix = self.suffix.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.prefix | (suffix & ((1 << 48) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "etcd-cluster";
    const MEMBERS_OF_THREE: [&str; 3] =
        ["763c9e70aa15678a", "c1d9e1dcd87c1d32", "e1457ccd3cb8ac86"];
    const CLUSTER_OF_THREE: &str = "b3f2e713f201d0e2";

    #[test]
    fn ids_of_the_default_member_are_those_of_etcd() {
        let member = initial_member_id(&["http://localhost:2380"], TOKEN);
        assert_eq!(member.to_string(), "8e9e05c52164694d");
        assert_eq!(cluster_id(&[member]).to_string(), "cdf818194e3a8c32");
    }

    #[test]
    fn ids_of_a_cluster_of_three_are_those_of_etcd() {
        // Printed by etcd 3.5.1 started with these three members and the token `tkn`.
        let urls = [
            "http://127.0.0.1:32380",
            "http://127.0.0.1:42380",
            "http://127.0.0.1:52380",
        ];
        let members = urls.map(|url| initial_member_id(&[url], "tkn"));
        assert_eq!(members.map(|id| id.to_string()), MEMBERS_OF_THREE);
        assert_eq!(cluster_id(&members).to_string(), CLUSTER_OF_THREE);
    }

    #[test]
    fn neither_urls_nor_members_have_an_order() {
        let one = initial_member_id(&["http://a:1", "http://b:1"], TOKEN);
        let other = initial_member_id(&["http://b:1", "http://a:1"], TOKEN);
        assert_eq!(one, other);
        let third = initial_member_id(&["http://c:1"], TOKEN);
        assert_eq!(cluster_id(&[one, third]), cluster_id(&[third, one]));
    }

    #[test]
    fn a_token_or_a_time_changes_the_id() {
        let urls = ["http://a:1"];
        assert_ne!(initial_member_id(&urls, "x"), initial_member_id(&urls, "y"));
        assert_ne!(added_member_id(&urls, 1), added_member_id(&urls, 2));
        // Both are one hash over urls and a suffix.
        assert_eq!(added_member_id(&urls, 17), initial_member_id(&urls, "17"));
    }

    #[test]
    fn request_ids_count_up_and_carry_into_the_time() {
        let ids = RequestIds::new(MemberId(0xffff_0000_1234_abcd), (1 << 40) | 0x12_3456);
        assert_eq!(ids.next(), 0xabcd_0000_1234_5601);
        for _ in 0..254 {
            ids.next();
        }
        assert_eq!(ids.next(), 0xabcd_0000_1234_5700);
    }

    #[test]
    fn request_ids_never_touch_the_member_bits() {
        let ids = RequestIds::new(MemberId(1), (1 << 40) - 1);
        for _ in 0..256 {
            ids.next();
        }
        assert_eq!(ids.next() >> 48, 1);
    }
}
