//! A member that began its log by itself, as one of the first of a new cluster.
//!
//! One that has lived before and has lost its whole directory looks just the same, also to itself, and must not vote: it may have
//! promised anything. But the others know, for who has lived has told all where clients find it. So a newcomer says in its
//! hellos that it is one, and whoever knows better refuses it, before anything that it says is heard; then it ends. It tells nobody
//! where clients find it before so many have taken it for a newcomer that they are a majority with it. From then on it is a member like
//! any other, over all restarts.
//!
//! Source: promise P-M-02.

use std::collections::BTreeSet;

use ferrod_node::MemberId;
use parking_lot::Mutex;

/// Whether this member is a newcomer, and who believes it.
pub(crate) struct Newcomer {
    /// `None` if it is not one.
    believers: Mutex<Option<BTreeSet<MemberId>>>,
}

impl Newcomer {
    pub(crate) fn new(is_newcomer: bool) -> Newcomer {
        let believers = is_newcomer.then(BTreeSet::new);
        Newcomer {
            believers: Mutex::new(believers),
        }
    }

    pub(crate) fn is_newcomer(&self) -> bool {
        self.believers.lock().is_some()
    }

    /// A member has heard the hello, and listens.
    pub(super) fn believed_by(&self, peer: MemberId) {
        if let Some(believers) = &mut *self.believers.lock() {
            believers.insert(peer);
        }
    }

    /// How many have.
    pub(crate) fn believers(&self) -> usize {
        self.believers.lock().as_ref().map_or(0, BTreeSet::len)
    }

    /// The member has nothing left to prove.
    pub(crate) fn settle(&self) {
        *self.believers.lock() = None;
    }
}

/// What keeps a member away that has lost everything.
pub(crate) fn has_lived(member: MemberId) -> String {
    format!(
        "member {member} has already been bootstrapped: its data are gone, and with them what it has promised; remove it \
         from the cluster and add it again"
    )
}
