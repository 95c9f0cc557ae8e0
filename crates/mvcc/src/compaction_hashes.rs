//! Hashes of the latest compactions: what each of them left of the history that it ended.
//!
//! Members compare these to find out whether they hold the same. When the newest compaction is `N` and the one before was
//! `P`, the hash covers the rows from `P` to `N`, and of those up to `P` the ones that a read at `N` sees. It does not
//! depend on how far rows are deleted, but it needs all rows that `N` supersedes: so it is made from the first view that
//! has the compaction, whose index nothing is missing from, and the deletes wait meanwhile, within a budget.
//!
//! Hashes are made only while a [`CompactionHasher`] exists, which reads every row that counts: a task for a thread of its
//! own. What it has missed is not made up for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::pause::PauseId;
use crate::view::{Shared, View, Views};
use crate::{Error, HashKv, Reader};

/// Hashes that are kept: those of the highest revisions. As many as etcd keeps.
const KEPT_MAX: usize = 10;

/// Superseded rows that may come to wait for their deletion on behalf of one hash.
const HELD_ROWS_MAX: usize = 500_000;

/// What the owner, the hasher and the readers share.
#[derive(Debug, Default)]
pub(crate) struct CompactionHashes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Somebody makes hashes.
    wanted: bool,
    /// The key space is gone.
    closed: bool,
    /// Counts the states that were installed: what was hashed before says nothing of the one in use.
    installs: u64,
    waiting: Option<Waiting>,
    known: BTreeMap<i64, HashKv>,
}

/// A compaction that is to be hashed.
#[derive(Debug)]
struct Waiting {
    view: Arc<View>,
    span: Span,
    pause: PauseId,
}

/// From one compaction to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The compaction before, -1 if there was none.
    pub(crate) previous: i64,
    pub(crate) revision: i64,
}

impl CompactionHashes {
    /// Whether the key space is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl Shared {
    /// Takes note of the first view that has a compaction. Called before the mark of the compaction can be durable, so none
    /// of the rows that it supersedes is being deleted.
    pub(crate) fn announce_compaction(&self, view: &Arc<View>, span: Span) {
        let mut state = self.hashes.state.lock();
        if !state.wanted {
            return;
        }
        let limit = self.deletes_pending() + HELD_ROWS_MAX;
        let pause = self.pauses.begin(limit);
        let waiting = Waiting {
            view: Arc::clone(view),
            span,
            pause,
        };
        if let Some(overtaken) = state.waiting.replace(waiting) {
            self.end_pause(overtaken.pause);
        }
        self.hashes.changed.notify_all();
    }

    /// Forgets all hashes: another state has taken the place of the one that they were made of.
    pub(crate) fn forget_hashes(&self) {
        let mut state = self.hashes.state.lock();
        state.installs += 1;
        state.known.clear();
        if let Some(waiting) = state.waiting.take() {
            self.end_pause(waiting.pause);
        }
    }

    /// Ends the waits of the hasher for good.
    pub(crate) fn close_hashes(&self) {
        self.hashes.state.lock().closed = true;
        self.hashes.changed.notify_all();
    }

    fn want_hashes(&self, wanted: bool) {
        let mut state = self.hashes.state.lock();
        state.wanted = wanted;
        if !wanted && let Some(waiting) = state.waiting.take() {
            self.end_pause(waiting.pause);
        }
    }
}

impl Views {
    /// Begins to make hashes of compactions. There is one hasher at a time.
    pub fn compaction_hasher(&self) -> CompactionHasher {
        self.shared.want_hashes(true);
        CompactionHasher {
            shared: Arc::clone(&self.shared),
            reader: self.reader(),
        }
    }

    /// The hashes that are kept, newest first. Lost with a restart, and when another member's state is installed.
    pub fn compaction_hashes(&self) -> Vec<HashKv> {
        let state = self.shared.hashes.state.lock();
        state.known.values().rev().copied().collect()
    }

    /// The kept hash of the compaction at this revision.
    pub fn compaction_hash(&self, revision: i64) -> Option<HashKv> {
        self.shared
            .hashes
            .state
            .lock()
            .known
            .get(&revision)
            .copied()
    }
}

/// Makes the hashes of compactions.
#[derive(Debug)]
pub struct CompactionHasher {
    shared: Arc<Shared>,
    reader: Reader,
}

impl CompactionHasher {
    /// Waits until there is a compaction to hash or the key space is gone, at most so long.
    pub fn wait(&self, timeout: Duration) {
        let hashes = &self.shared.hashes;
        let mut state = hashes.state.lock();
        if state.waiting.is_none() && !state.closed {
            let _time_is_up = hashes.changed.wait_for(&mut state, timeout);
        }
    }

    /// Hashes the newest compaction.
    ///
    /// `None` if there was none since the last call, or if its hash could not be made: so many rows waited for their
    /// deletion that it went on, another state was installed, or the key space is gone.
    ///
    /// # Errors
    /// Errors of the backend.
    pub fn hash_newest(&mut self) -> Result<Option<HashKv>, Error> {
        let Some(task) = self.take() else {
            return Ok(None);
        };
        let hash = self.reader.hash_span(&task.view, task.span)?;
        Ok(hash.filter(|hash| self.keep(*hash, task.installs)))
    }

    /// Lets compactions pass without a hash for so long.
    pub fn rest(&mut self, pause: Duration) {
        self.shared.want_hashes(false);
        let mut state = self.shared.hashes.state.lock();
        if !state.closed {
            let _time_is_up = self.shared.hashes.changed.wait_for(&mut state, pause);
        }
        drop(state);
        self.shared.want_hashes(true);
    }

    /// Whether the key space is gone, so that nothing will come any more.
    pub fn is_closed(&self) -> bool {
        self.shared.hashes.is_closed()
    }

    fn take(&self) -> Option<Task> {
        let mut state = self.shared.hashes.state.lock();
        let Waiting { view, span, pause } = state.waiting.take()?;
        Some(Task {
            view,
            span,
            installs: state.installs,
            _hold: Hold {
                shared: Arc::clone(&self.shared),
                pause,
            },
        })
    }

    fn keep(&self, hash: HashKv, installs: u64) -> bool {
        let mut state = self.shared.hashes.state.lock();
        if state.installs != installs {
            return false;
        }
        state.known.insert(hash.hash_revision, hash);
        while state.known.len() > KEPT_MAX {
            state.known.pop_first();
        }
        true
    }
}

impl Drop for CompactionHasher {
    fn drop(&mut self) {
        self.shared.want_hashes(false);
    }
}

/// A compaction that is being hashed.
struct Task {
    view: Arc<View>,
    span: Span,
    installs: u64,
    _hold: Hold,
}

/// Holds deletes back for as long as it lives.
struct Hold {
    shared: Arc<Shared>,
    pause: PauseId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.end_pause(self.pause);
    }
}
