//! A suspect member: one that has found damage below what it may have acknowledged.
//!
//! It may have forgotten a vote, or an entry that a quorum counts on. So from the moment the damage is found it gives no
//! votes, does not campaign and serves nobody, and a mark on its disk says so until it is healed.

mod mark;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrod_mvcc::backend::Lmdb;
use ferrod_node::HEALING_VOTERS_MIN;
use ferrod_store::ClusterView;
use tokio::sync::watch;
use tonic::Status;

pub(crate) use mark::{Mark, Plan, path as mark_path};

use crate::grpc::status;
use crate::logging::error_chain;

/// Whether this member is suspect, and how it becomes so while it runs.
pub(crate) struct Suspicion {
    /// The member's directory.
    dir: PathBuf,
    cluster: ClusterView,
    /// Why the member must stop, once it must.
    fatal: watch::Sender<Option<String>>,
    /// Set from the start until the member is healed: it serves nobody.
    healing: AtomicBool,
    /// Why it was suspect when it started.
    reason: String,
}

impl Suspicion {
    /// Of a member that has started, with the reason if it is suspect.
    pub(crate) fn new(
        dir: PathBuf,
        cluster: ClusterView,
        fatal: watch::Sender<Option<String>>,
        reason: Option<String>,
    ) -> Suspicion {
        Suspicion {
            dir,
            cluster,
            fatal,
            healing: AtomicBool::new(reason.is_some()),
            reason: reason.unwrap_or_default(),
        }
    }

    /// Why this member serves nobody; `None` if it does.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.healing
            .load(Ordering::Acquire)
            .then_some(self.reason.as_str())
    }

    /// The member has caught up with everything that it may have acknowledged.
    pub(crate) fn healed(&self) {
        self.healing.store(false, Ordering::Release);
    }

    /// Marks the member as suspect, durably, and has it stop; its next start asks its peers how to heal. Returns whether
    /// it did: with fewer than three voters nobody could heal it, and all stays as it is.
    ///
    /// Waits for the disk.
    pub(crate) fn raise(&self, reason: &str) -> bool {
        let members = &self.cluster.load().members;
        let voters = members.present.values().filter(|m| !m.is_learner).count();
        // A member that has not read its log yet may know of none: its next start asks who there is.
        if (1..HEALING_VOTERS_MIN).contains(&voters) {
            tracing::error!(reason, "found damage, and too few members to heal from");
            return false;
        }
        tracing::error!(reason, "this member is suspect from now on");
        if let Err(error) = self.mark(reason) {
            // Without a mark, the next start or the next reader finds the damage again.
            let error = error_chain(&error);
            tracing::error!(error, "failed to mark this member as suspect");
        }
        self.stop(format!(
            "this member is suspect and heals at its next start: {reason}"
        ));
        true
    }

    /// As [`Suspicion::raise`], for a member that has forgotten what it promised: if nobody can heal it, it stops all the same.
    pub(crate) fn must_heal(&self, reason: &str) {
        if !self.raise(reason) {
            self.stop(format!(
                "this member must not go on, and a cluster of fewer than three voting members cannot heal it: {reason}; put \
                 its latest data back, or add it anew with an empty directory to a cluster that goes on without it"
            ));
        }
    }

    /// Has the member stop, suspect or not.
    pub(crate) fn stop(&self, text: String) {
        // Nobody listens any more when the member stops anyway.
        let _first = self.fatal.send_if_modified(|fatal| {
            let first = fatal.is_none();
            fatal.get_or_insert(text);
            first
        });
    }

    /// The status of a read that failed. Damage makes the member suspect.
    pub(crate) fn of_read(&self, error: ferrod_mvcc::Error) -> Status {
        if Lmdb::is_damage(&error) {
            self.raise(&error_chain(&error));
        }
        status::of_read(error)
    }

    /// As [`Suspicion::of_read`], for a read of the state machine.
    pub(crate) fn of_store(&self, error: ferrod_store::Error) -> Status {
        self.look_at(&error);
        status::of_store(error)
    }

    /// Raises suspicion if an error tells of damage.
    pub(crate) fn look_at(&self, error: &(dyn std::error::Error + 'static)) {
        let links = std::iter::successors(Some(error), |link| link.source());
        let mut backend = links.filter_map(|link| link.downcast_ref());
        // An entry that cannot be read is none: it is the same on all members, who must not all become suspect.
        if backend.any(Lmdb::is_damage) {
            self.raise(&error_chain(error));
        }
    }

    fn mark(&self, reason: &str) -> io::Result<()> {
        let mark = Mark {
            reason: reason.to_owned(),
            plan: None,
        };
        mark.write(&self.dir)
    }
}
