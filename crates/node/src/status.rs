//! What anyone may know of a member at any time without waking it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::{LogIndex, MemberId, Role, SoftState, Term};

/// A member's state as of a moment ago. The fields are read one by one: they may belong to
/// neighbouring moments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Role, leader and term.
    pub soft: SoftState,
    /// Highest index known to be committed.
    pub committed: LogIndex,
    /// Highest index applied.
    pub applied: LogIndex,
    /// Last index of the log.
    pub last: LogIndex,
    /// The log's disk is full: proposals are refused until it has room.
    pub full: bool,
    /// The member is suspect: it takes no part in elections.
    pub suspect: bool,
}

/// How far the leader knows one member to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which member.
    pub member: MemberId,
    /// Last index that it is known to have on disk.
    pub matched: LogIndex,
    /// Next index to be sent to it.
    pub next: LogIndex,
}

/// Called with the progress of all members, or with nothing where no leader runs. Runs on the node thread; must not block.
pub type ProgressCallback = Box<dyn FnOnce(Option<Vec<Progress>>) + Send>;

/// Where the member publishes and everyone reads.
#[derive(Debug, Default)]
pub(crate) struct Board {
    role: AtomicU8,
    leader: AtomicU64,
    term: AtomicU64,
    committed: AtomicU64,
    applied: AtomicU64,
    last: AtomicU64,
    /// Cleared before any message leaves that lets another member lead.
    alone: AtomicBool,
    full: AtomicBool,
    suspect: AtomicBool,
    stopped: AtomicBool,
}

impl Board {
    pub(crate) fn read(&self) -> Status {
        let role = match self.role.load(Ordering::Acquire) {
            0 => Role::Follower,
            1 => Role::PreCandidate,
            2 => Role::Candidate,
            _ => Role::Leader,
        };
        let leader = MemberId(self.leader.load(Ordering::Acquire));
        let soft = SoftState {
            role,
            leader,
            term: Term(self.term.load(Ordering::Acquire)),
        };
        let applied = self.applied();
        // Loaded after `applied`, so that it is never below it.
        let committed = self.committed();
        let last = LogIndex(self.last.load(Ordering::Acquire));
        Status {
            soft,
            committed,
            applied,
            last,
            full: self.is_full(),
            suspect: self.suspect.load(Ordering::Acquire),
        }
    }

    pub(crate) fn set_soft(&self, soft: SoftState) {
        self.role.store(soft.role as u8, Ordering::Release);
        self.leader.store(soft.leader.0, Ordering::Release);
        self.term.store(soft.term.0, Ordering::Release);
    }

    pub(crate) fn set_log(&self, committed: LogIndex, last: LogIndex) {
        self.committed.store(committed.0, Ordering::Release);
        self.last.store(last.0, Ordering::Release);
    }

    pub(crate) fn committed(&self) -> LogIndex {
        LogIndex(self.committed.load(Ordering::Acquire))
    }

    pub(crate) fn applied(&self) -> LogIndex {
        LogIndex(self.applied.load(Ordering::Acquire))
    }

    pub(crate) fn set_applied(&self, applied: LogIndex) {
        self.applied.store(applied.0, Ordering::Release);
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::SeqCst)
    }

    pub(crate) fn set_alone(&self, alone: bool) {
        if self.alone.load(Ordering::Relaxed) != alone {
            self.alone.store(alone, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    pub(crate) fn set_full(&self, full: bool) {
        if self.full.load(Ordering::Relaxed) != full {
            self.full.store(full, Ordering::Release);
        }
    }

    pub(crate) fn set_suspect(&self, suspect: bool) {
        if self.suspect.load(Ordering::Relaxed) != suspect {
            self.suspect.store(suspect, Ordering::Release);
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn set_stopped(&self) {
        self.set_alone(false);
        self.stopped.store(true, Ordering::Release);
    }
}
