//! What other threads have for a runtime: collected, and announced by one wake-up.
//!
//! Waking a runtime costs a system call. The thread that applies hands over a whole batch of results at once, and a task
//! of the runtime passes them on without leaving the thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrod_watch::EventBatch;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::engine::{Outcome, Passed};

/// An answer with the call that waits for it.
pub(crate) type Delivery = (oneshot::Sender<Outcome>, Outcome);

/// The mail of one runtime.
#[derive(Default)]
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    bell: Notify,
    /// Whether events are wanted at all.
    watches: AtomicBool,
}

/// What has come in.
#[derive(Default)]
pub(crate) struct Letters {
    /// Answers, in the order of the log.
    pub(crate) deliveries: Vec<Delivery>,
    /// The store was replaced by a later state of itself; the events are those after it.
    pub(crate) installed: Option<Installed>,
    /// Reads that may go on.
    pub(crate) passes: Vec<(oneshot::Sender<Passed>, Passed)>,
    /// Events, in revision order.
    pub(crate) events: Vec<Arc<EventBatch>>,
    /// History below this revision is gone.
    pub(crate) compacted: Option<i64>,
}

/// A state that has taken the place of an earlier one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Installed {
    /// Its current revision.
    pub(crate) revision: i64,
    /// History below this revision is gone.
    pub(crate) compacted: i64,
}

impl Mailbox {
    /// Leaves mail; `fill` adds to what is there.
    pub(crate) fn leave(&self, fill: impl FnOnce(&mut Letters)) {
        fill(&mut self.letters.lock());
        self.bell.notify_one();
    }

    /// Waits for mail and takes it all.
    pub(crate) async fn take(&self) -> Letters {
        self.bell.notified().await;
        self.take_now()
    }

    /// Takes what is there.
    pub(crate) fn take_now(&self) -> Letters {
        std::mem::take(&mut self.letters.lock())
    }

    /// Whether somebody here watches. Who begins to watch says so first and looks at the newest view after.
    pub(crate) fn wants_events(&self) -> bool {
        self.watches.load(Ordering::SeqCst)
    }

    pub(crate) fn set_wants_events(&self, wants: bool) {
        self.watches.store(wants, Ordering::SeqCst);
    }
}

impl Letters {
    /// Whoever watches has to read history now, so what would have been news before is none.
    pub(crate) fn install(&mut self, installed: Installed) {
        self.events.clear();
        self.compacted = None;
        self.installed = Some(installed);
    }

    /// Whether there is something for those who watch.
    pub(crate) fn are_news(&self) -> bool {
        !self.events.is_empty() || self.compacted.is_some() || self.installed.is_some()
    }

    /// Hands the answers to their calls.
    pub(crate) fn deliver(self) {
        for (sender, outcome) in self.deliveries {
            // A caller that has gone away wants no answer.
            let _gone = sender.send(outcome);
        }
        for (sender, passed) in self.passes {
            let _gone = sender.send(passed);
        }
    }
}
