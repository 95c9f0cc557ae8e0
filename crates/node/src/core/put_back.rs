//! A member whose disk was put back to an older copy, and which finds out by what its leader counts on.
//!
//! It has forgotten acknowledgements and perhaps votes, as a suspect member has (`suspect.rs`), and does not know. Its leader
//! may: a heartbeat carries a commit index that is never above what its receiver has acknowledged in the leader's term, and
//! whoever has acknowledged has had it on disk before. Within one term nothing takes entries away from a follower but a copy of the
//! state, which replaces only what differs from the leader's log. So when the leader that a member follows counts on
//! entries behind the end of its log, the member's disk has lost them: it was put back, or has never made durable what it
//! said it had. The member stops ([`Action::Forgotten`](crate::Action::Forgotten)), and must be healed like any suspect one.
//!
//! A member that has just started knows of no leader, and its term may be an old one. A heartbeat beyond its log is then
//! taken without its commit index: raft follows whoever sent it, as it follows whoever leads. The next one is judged.
//!
//! # What a broken peer can do with this
//!
//! Make a member stop, heal and come back, which needs a majority of others that are sound. It must pass for the leader
//! whom the member follows. Who can do that can as well bring entries or a copy of the state, which is worse and which nobody
//! can tell from a leader's. A number that no cluster reaches, or that no member can have forgotten, stops nobody.
//!
//! # What this does not see
//!
//! Only the leader to whom it acknowledged counts on a member. After another election in which the member took no part, the
//! new leader begins anew with it, and brings it up to date as if it had been away. What was committed is in that leader's
//! log. Whether the member has been started since the copy was made is told by the number of its starts, which the members
//! that have met it remember.

use super::Core;
use crate::LogIndex;

impl Core {
    /// The commit index of a heartbeat, as far as raft-rs may hear of it: it panics on one beyond the log.
    pub(super) fn commit_within_log(&self, commit: LogIndex) -> LogIndex {
        if commit > self.last_index() {
            self.committed()
        } else {
            commit
        }
    }
}
