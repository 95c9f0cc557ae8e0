//! Bugs on purpose, each of which some seed must find within minutes: the proof that the simulation can find any.
//!
//! They are switches in the production crates, compiled with feature `planted` only, by `cargo xtask sim --planted`.

/// A leader that was deposed goes on ending leases, in whatever term.
pub(super) const DEPOSED: &str = "lease ended by a deposed leader";

/// A renewal leaves what was recorded of the lease in the log, and the next leader goes by that.
pub(super) const CHECKPOINT: &str = "lease cut short by a record";

/// All of them.
pub(super) const ALL: [&str; 16] = [
    "ack before fsync",
    "lost vote",
    "apply twice",
    "read index reused",
    DEPOSED,
    CHECKPOINT,
    "tombstone dropped",
    "change applied early",
    "message before persist",
    "commit not lifted",
    "view after transaction",
    "watch gap after install",
    "suspect votes",
    "suspect trusted at once",
    "no floor of the term",
    "removed member counts",
];

/// Plants a bug, or none with an empty name; `false` if this build has none to plant.
pub(super) fn plant(bug: &'static str) -> bool {
    #[cfg(feature = "planted")]
    ferrod_env::plant(bug);
    cfg!(feature = "planted") || bug.is_empty()
}
