//! Whether members that should hold the same do.
//!
//! What a member holds is told by a hash that is a function of the history, of a revision and of the latest compaction: how
//! far a member's own work on a compaction has come does not show in it, so two members that tell different hashes of
//! one such point have diverged, and nothing else can be the reason. Only equal points are ever compared.
//!
//! The leader compares. From time to time it takes the hashes that every member makes of each compaction (`hashing`), which
//! cost nothing to compare; when a member has started, or when the configuration asks for it, all make one of the
//! newest state (`comparison`). Hashes travel over the peer port (`question`). What a majority of all members agrees on is
//! taken for right, and who differs is named by an alarm (`verdict`), makes sure, and is suspect from then on (`notice`);
//! without a majority the alarm names nobody.
//!
//! Source: etcd's corruption checks, and fault D-23.

mod comparison;
mod hashing;
mod notice;
mod question;
mod verdict;

pub(crate) use comparison::{ask_for_comparison, check_before_serving, compare};
pub(crate) use hashing::start as start_hashing;

use tokio::sync::{Notify, Semaphore};

/// What the comparisons of a member share.
#[derive(Debug)]
pub(crate) struct Comparisons {
    /// Rings when the leader is to compare all members now.
    wanted: Notify,
    /// Hashes of the newest state that are made at the same time: each reads everything.
    walks: Semaphore,
}

impl Default for Comparisons {
    fn default() -> Comparisons {
        Comparisons {
            wanted: Notify::new(),
            walks: Semaphore::new(1),
        }
    }
}

/// What a hash is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    /// The revision hashed at.
    pub(crate) revision: i64,
    /// The latest compaction that the hash knows of, -1 for none.
    pub(crate) compacted: i64,
}
