//! What a member must be told: its identity, its timing, its limits.

use std::sync::Arc;

use crate::{Error, LogIndex, MemberId};

/// How grave a line of raft's own log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For following an election.
    Info,
    /// Something was refused.
    Warning,
    /// A person should look.
    Error,
}

/// Receives raft's own log, one line at a time. Called on the thread that runs the core; must not
/// block.
pub type LogSink = Arc<dyn Fn(Severity, &str) + Send + Sync>;

/// Configuration of one member.
#[derive(Clone)]
pub struct Config {
    /// This member; not 0.
    pub member: MemberId,
    /// Ticks without a leader before an election; the real timeout is drawn from `[election_ticks,
    /// 2 * election_ticks)`.
    pub election_ticks: u32,
    /// Ticks between heartbeats; below `election_ticks`.
    pub heartbeat_ticks: u32,
    /// Whether a member asks whether it would win before it disturbs a leader.
    pub pre_vote: bool,
    /// Seed of the election timeouts. The same seed gives the same timeouts.
    pub seed: u64,
    /// Differs between any two starts of a member: old answers must not look like new ones.
    pub boot_nonce: u64,
    /// Ticks after which a read asks again.
    pub read_retry_ticks: u32,
    /// Ticks after which a proposal that waits for a leader is refused.
    pub proposal_wait_ticks: u32,
    /// Set for a suspect member, which may have forgotten what it promised: it neither votes nor campaigns before it has
    /// applied everything up to here.
    pub suspect_until: Option<LogIndex>,
    /// Bounds of queues and batches.
    pub limits: Limits,
    /// Where raft's own log goes; nowhere if `None`.
    pub log: Option<LogSink>,
}

/// Bounds of queues and batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of entries in one append message; one entry is always sent.
    pub message_bytes_max: u64,
    /// Append messages on their way to one peer.
    pub inflight_messages_max: usize,
    /// Bytes of payload that may wait for their commit.
    pub uncommitted_bytes_max: u64,
    /// Bytes of committed entries handed out at once.
    pub apply_bytes_max: u64,
    /// Bytes of payload proposed, and so written, at once; one proposal is always taken.
    pub batch_bytes_max: u64,
    /// Bytes of payload of a proposal that comes from a peer: above what any caller may propose there.
    pub proposal_bytes_max: u64,
    /// Bytes of proposals that may wait for a leader.
    pub waiting_bytes_max: u64,
    /// Reads that may wait for their index.
    pub reads_max: usize,
    /// Bytes of log that is not needed here any more, kept on disk for peers that lag.
    pub lagging_bytes_max: u64,
    /// The same while a copy of the state is on its way to one of them, until it has caught up: were what follows the copy gone by
    /// then, it would need another.
    pub copying_bytes_max: u64,
    /// Bytes of applied entries kept in memory for peers that lag.
    pub log_bytes_max: u64,
    /// The same while there is no peer.
    pub log_bytes_max_alone: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_bytes_max: 1 << 20,
            inflight_messages_max: 512,
            uncommitted_bytes_max: 256 << 20,
            apply_bytes_max: 4 << 20,
            batch_bytes_max: 4 << 20,
            proposal_bytes_max: 4 << 20,
            waiting_bytes_max: 16 << 20,
            reads_max: 256 << 10,
            lagging_bytes_max: 256 << 20,
            copying_bytes_max: 4 << 30,
            log_bytes_max: 64 << 20,
            log_bytes_max_alone: 1 << 20,
        }
    }
}

impl Config {
    /// etcd's defaults: an election after ten heartbeats, one heartbeat per tick, pre-vote on.
    #[must_use]
    pub fn new(member: MemberId, seed: u64, boot_nonce: u64) -> Config {
        Config {
            member,
            election_ticks: 10,
            heartbeat_ticks: 1,
            pre_vote: true,
            seed,
            boot_nonce,
            read_retry_ticks: 5,
            proposal_wait_ticks: 70,
            suspect_until: None,
            limits: Limits::default(),
            log: None,
        }
    }

    /// Translates, and checks what raft-rs would otherwise panic on or silently leave at an unfit
    /// default.
    pub(crate) fn to_raft(&self, applied: u64) -> Result<raft::Config, Error> {
        let config = raft::Config {
            id: self.member.0,
            election_tick: self.election_ticks as usize,
            heartbeat_tick: self.heartbeat_ticks as usize,
            applied,
            max_size_per_msg: self.limits.message_bytes_max,
            max_inflight_msgs: self.limits.inflight_messages_max,
            check_quorum: true,
            pre_vote: self.pre_vote,
            read_only_option: raft::ReadOnlyOption::Safe,
            max_uncommitted_size: self.limits.uncommitted_bytes_max,
            max_committed_size_per_ready: self.limits.apply_bytes_max,
            ..raft::Config::default()
        };
        config
            .validate()
            .map_err(|error| Error::Config(error.to_string()))?;
        if self.limits.message_bytes_max == 0 || self.limits.apply_bytes_max == 0 {
            return Err(Error::Config("limits must not be 0".to_owned()));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new(MemberId(1), 7, 1)
    }

    ///
    #[test]
    fn nothing_is_left_at_a_default_that_is_unfit() {
        let raft = config().to_raft(5).unwrap();
        let limits = config().limits;
        assert!(raft.check_quorum && raft.pre_vote);
        assert_eq!(raft.read_only_option, raft::ReadOnlyOption::Safe);
        assert_eq!((raft.election_tick, raft.heartbeat_tick), (10, 1));
        assert_eq!(raft.max_size_per_msg, limits.message_bytes_max);
        assert_eq!(raft.max_inflight_msgs, limits.inflight_messages_max);
        assert_eq!(raft.max_uncommitted_size, limits.uncommitted_bytes_max);
        assert_eq!(raft.max_committed_size_per_ready, limits.apply_bytes_max);
        assert_eq!((raft.id, raft.applied), (1, 5));
        // One entry per message, or no bound at all, is what raft-rs does if nobody says anything.
        assert!((1 << 10..1 << 30).contains(&raft.max_size_per_msg));
        assert!((1 << 10..1 << 30).contains(&raft.max_committed_size_per_ready));
        assert!((1 << 10..1 << 30).contains(&raft.max_uncommitted_size));
    }

    ///
    #[test]
    fn what_raft_could_not_live_with_is_refused() {
        let refused = |spoil: fn(&mut Config)| {
            let mut config = config();
            spoil(&mut config);
            config.to_raft(0).is_err()
        };
        assert!(!refused(|_| ()));
        assert!(refused(|config| config.member = MemberId::NONE));
        assert!(refused(|config| config.election_ticks = 1));
        assert!(refused(|config| config.heartbeat_ticks = 0));
        assert!(refused(|config| config.limits.message_bytes_max = 0));
        assert!(refused(|config| config.limits.apply_bytes_max = 0));
        assert!(refused(|config| config.limits.inflight_messages_max = 0));
        assert!(refused(
            |config| config.limits.uncommitted_bytes_max = config.limits.message_bytes_max - 1
        ));
    }
}
