//! What counts as damage: something durable that is not what was written, and not a refusal of the system.

use ferrod_mvcc::backend::Lmdb;

use crate::member::Error;

/// Something durable that is not what was written.
#[derive(Debug)]
pub(in super::super) struct Damage {
    /// What was being done.
    pub(in super::super) doing: &'static str,
    pub(in super::super) source: Box<dyn std::error::Error + Send + Sync>,
    /// Whether the backend may still be asked who the members are.
    pub(in super::super) backend_is_whole: bool,
}

/// Why a member did not open.
#[derive(Debug)]
pub(in super::super) enum OpenError {
    Damage(Damage),
    Other(Error),
}

impl From<Error> for OpenError {
    fn from(error: Error) -> OpenError {
        OpenError::Other(error)
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Error {
        Error::System {
            doing: damage.doing.to_owned(),
            source: damage.source,
        }
    }
}

/// What went wrong with the log.
pub(in super::super) fn of_node(doing: &'static str, error: ferrod_node::Error) -> OpenError {
    judge(doing, log_is_damaged(&error), true, error)
}

/// What went wrong with the state machine.
pub(in super::super) fn of_store(doing: &'static str, error: ferrod_store::Error) -> OpenError {
    let damaged = match &error {
        ferrod_store::Error::Storage(error) => Lmdb::is_damage(error),
        ferrod_store::Error::Malformed { .. } => true,
        ferrod_store::Error::Refused(_) => false,
    };
    judge(doing, damaged, false, error)
}

/// What went wrong with the backend.
pub(in super::super) fn of_backend(doing: &'static str, error: ferrod_mvcc::Error) -> OpenError {
    judge(doing, Lmdb::is_damage(&error), false, error)
}

fn judge(
    doing: &'static str,
    is_damaged: bool,
    backend_is_whole: bool,
    error: impl std::error::Error + Send + Sync + 'static,
) -> OpenError {
    if is_damaged {
        OpenError::Damage(Damage {
            doing,
            source: Box::new(error),
            backend_is_whole,
        })
    } else {
        OpenError::Other(Error::system(doing, error))
    }
}

/// Whether the log is not what was written, or does not belong to the state machine.
fn log_is_damaged(error: &ferrod_node::Error) -> bool {
    use ferrod_node::Error as E;
    match error {
        E::Wal(error) => wal_is_damaged(error),
        E::Membership(_)
        | E::Record { .. }
        | E::Gap { .. }
        | E::CommittedReplaced { .. }
        | E::TermOrder { .. }
        | E::CommitBeyondLog { .. }
        | E::AppliedOutsideLog { .. }
        | E::AppliedTerm { .. } => true,
        // Of these the first two come from a running member. The log of the first is whole: `core/suspect.rs` of `ferrod-node`
        // tells why it must not heal. The second is marked as suspect by then.
        E::Contradiction(_)
        | E::Forgotten(_)
        | E::Config(_)
        | E::Log(_)
        | E::StateMachine(_)
        | E::Thread { .. }
        | E::Stopped => false,
    }
}

fn wal_is_damaged(error: &ferrod_wal::Error) -> bool {
    use ferrod_wal::Error as E;
    match error {
        E::Corrupt { .. }
        | E::Foreign { .. }
        | E::Missing { .. }
        | E::Misplaced { .. }
        | E::BrokenChain { .. } => true,
        // A sector that the disk cannot read.
        E::Io { source, .. } => source.raw_os_error() == Some(libc::EIO),
        E::NoSpace { .. }
        | E::Version { .. }
        | E::NotFound { .. }
        | E::Exists { .. }
        | E::TooLarge { .. }
        | E::Poisoned => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ferrod_node::{LogIndex, Term};

    use super::*;

    /// covers: D-02, P-M-05
    #[test]
    fn only_damage_makes_a_member_suspect() {
        use ferrod_wal::SegmentSeq;
        let corrupt = ferrod_wal::Error::Corrupt {
            segment: SegmentSeq::FIRST,
            offset: 7,
        };
        assert!(log_is_damaged(&corrupt.into()));
        let lost_end = ferrod_node::Error::CommitBeyondLog {
            commit: LogIndex(2),
            last: LogIndex(1),
        };
        assert!(log_is_damaged(&lost_end));
        let contradiction = ferrod_node::Contradiction {
            leader: ferrod_node::MemberId(2),
            leader_term: Term(3),
            index: LogIndex(4),
            ours: Term(1),
            theirs: Term(2),
        };
        assert!(!log_is_damaged(&contradiction.into()));
        let io = |code| ferrod_wal::Error::Io {
            operation: "read",
            path: PathBuf::new(),
            source: std::io::Error::from_raw_os_error(code),
        };
        assert!(log_is_damaged(&io(libc::EIO).into()));
        assert!(!log_is_damaged(&io(libc::EACCES).into()));
        let newer = ferrod_wal::Error::Version {
            segment: SegmentSeq::FIRST,
            found: 9,
            supported: 1,
        };
        assert!(!log_is_damaged(&newer.into()));
    }
}
