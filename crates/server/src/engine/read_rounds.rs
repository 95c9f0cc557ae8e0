//! Linearizable reads that wait together: one question to the leader for all that came since the last one was asked.
//!
//! A read may be served when this member has applied what was committed when the read began. The node finds that index
//! with a round among the members; here reads gather while a round is on its way, and all of them go with the next one.
//! Asking, answering and waking cost the same for one read and for a thousand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ferrod_mvcc::Views;
use ferrod_node::{LogIndex, NodeHandle, ReadFailure};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::mailbox::Mailbox;

/// Whether a read may go on.
pub(crate) type Passed = Result<(), ReadFailure>;

/// Reads that wait, and the rounds that they wait for.
pub(crate) struct ReadRounds {
    views: Views,
    waiting: Mutex<Waiting>,
    /// The lowest index in `waiting.for_apply`, so that applying costs nothing while nobody waits.
    lowest: AtomicU64,
    /// The last index of the batch that is being applied, or was.
    applying: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// A round is on its way.
    asking: bool,
    /// They came after it was asked, so its answer may be too old for them.
    for_next: Vec<Seat>,
    /// They wait for this index to be applied.
    for_apply: BTreeMap<u64, Vec<Seat>>,
    /// When so many wait for the next round, those that gave up are let go.
    sweep_at: usize,
}

/// One read that waits.
struct Seat {
    sender: oneshot::Sender<Passed>,
    /// The runtime to be woken through; by itself if there is none.
    mailbox: Option<Arc<Mailbox>>,
}

const SWEEP_MIN: usize = 1024;

impl ReadRounds {
    /// Of the member whose state `views` show.
    pub(crate) fn new(views: Views) -> ReadRounds {
        ReadRounds {
            views,
            waiting: Mutex::default(),
            lowest: AtomicU64::new(u64::MAX),
            applying: AtomicU64::new(0),
        }
    }

    /// Joins the next round. The answer comes through `mailbox`, if there is one.
    ///
    /// A round that no leader answers takes for ever: the caller keeps a deadline.
    pub(crate) fn join(
        self: &Arc<Self>,
        node: &NodeHandle,
        mailbox: Option<&Arc<Mailbox>>,
    ) -> oneshot::Receiver<Passed> {
        let (sender, receiver) = oneshot::channel();
        let seat = Seat {
            sender,
            mailbox: mailbox.cloned(),
        };
        let mut waiting = self.waiting.lock();
        waiting.sweep();
        waiting.for_next.push(seat);
        if !std::mem::replace(&mut waiting.asking, true) {
            let seats = std::mem::take(&mut waiting.for_next);
            drop(waiting);
            self.ask(node.clone(), seats);
        }
        receiver
    }

    /// Everything up to `index` is about to be applied, and then seen at once. Call it before anything of that happens.
    pub(crate) fn begins(&self, index: u64) {
        self.applying.store(index, Ordering::SeqCst);
    }

    /// Waits until the view shows everything of which the caller may have seen a part, such as a lease that is gone.
    pub(crate) async fn see_all(&self) {
        let (sender, receiver) = oneshot::channel();
        let seat = Seat {
            sender,
            mailbox: None,
        };
        self.await_apply(self.applying.load(Ordering::SeqCst), vec![seat]);
        // Nobody sends if the member stops, and nobody looks at the view then.
        let _stopped = receiver.await;
    }

    /// The view shows everything up to `index`.
    pub(crate) fn reached(&self, index: u64) {
        if index < self.lowest.load(Ordering::SeqCst) {
            return;
        }
        let mut waiting = self.waiting.lock();
        let later = waiting.for_apply.split_off(&(index + 1));
        let ready = std::mem::replace(&mut waiting.for_apply, later);
        self.set_lowest(&waiting);
        drop(waiting);
        settle(ready.into_values().flatten(), Ok(()));
    }

    fn ask(self: &Arc<Self>, node: NodeHandle, seats: Vec<Seat>) {
        let (rounds, asker) = (self.clone(), node.clone());
        node.read_index(Box::new(move |found| rounds.found(asker, seats, found)));
    }

    fn found(
        self: &Arc<Self>,
        node: NodeHandle,
        seats: Vec<Seat>,
        found: Result<LogIndex, ReadFailure>,
    ) {
        let mut waiting = self.waiting.lock();
        let next = std::mem::take(&mut waiting.for_next);
        waiting.asking = !next.is_empty();
        drop(waiting);
        match found {
            Ok(LogIndex(index)) => self.await_apply(index, seats),
            Err(failure) => settle(seats, Err(failure)),
        }
        if !next.is_empty() {
            self.ask(node, next);
        }
    }

    fn await_apply(&self, index: u64, seats: Vec<Seat>) {
        if self.applied() >= index {
            return settle(seats, Ok(()));
        }
        let mut waiting = self.waiting.lock();
        waiting.for_apply.entry(index).or_default().extend(seats);
        self.set_lowest(&waiting);
        drop(waiting);
        // It may have been applied before anybody saw that somebody waits.
        let applied = self.applied();
        if applied >= index {
            self.reached(applied);
        }
    }

    fn applied(&self) -> u64 {
        self.views.load().applied_index()
    }

    fn set_lowest(&self, waiting: &Waiting) {
        let lowest = waiting.for_apply.keys().next();
        let lowest = lowest.copied().unwrap_or(u64::MAX);
        self.lowest.store(lowest, Ordering::SeqCst);
    }
}

impl Waiting {
    /// While there is no leader, reads come and give up: they must not pile up.
    fn sweep(&mut self) {
        if self.for_next.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.for_next.retain(|seat| !seat.sender.is_closed());
            self.sweep_at = 2 * self.for_next.len();
        }
    }
}

/// Tells everyone, with one wake-up for each runtime.
fn settle(seats: impl IntoIterator<Item = Seat>, passed: Passed) {
    let mut by_mailbox: Vec<(Arc<Mailbox>, Vec<oneshot::Sender<Passed>>)> = Vec::new();
    for Seat { sender, mailbox } in seats {
        let Some(mailbox) = mailbox else {
            // A reader that has gone away wants no answer.
            let _gone = sender.send(passed);
            continue;
        };
        match by_mailbox
            .iter_mut()
            .find(|(known, _)| Arc::ptr_eq(known, &mailbox))
        {
            Some((_, senders)) => senders.push(sender),
            None => by_mailbox.push((mailbox, vec![sender])),
        }
    }
    for (mailbox, senders) in by_mailbox {
        let passes = senders.into_iter().map(|sender| (sender, passed));
        mailbox.leave(|letters| letters.passes.extend(passes));
    }
}
