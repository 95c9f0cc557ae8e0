//! A queue with many senders and one receiver that sleeps until there is something.
//!
//! The receiver parks at once. A channel that spins and yields first is faster on idle cores, but on a busy machine each
//! yield gives a whole time slice to somebody else: with two compilers running, one caller's puts took 0.3 ms in the
//! median and 5 ms in a sixth of all cases.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_queue::SegQueue;
use crossbeam_utils::sync::{Parker, Unparker};

/// Where items are put in. Sending costs a push, and a wake-up only if the receiver sleeps.
pub(crate) struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Where they come out, in the order of each sender.
pub(crate) struct Receiver<T> {
    shared: Arc<Shared<T>>,
    parker: Parker,
}

struct Shared<T> {
    items: SegQueue<T>,
    sleeper: Unparker,
    senders: AtomicUsize,
    receiver_gone: AtomicBool,
}

/// The receiver is gone; here is the item back.
#[derive(Debug)]
pub(crate) struct Gone<T>(pub(crate) T);

/// Makes a queue.
pub(crate) fn queue<T>() -> (Sender<T>, Receiver<T>) {
    let parker = Parker::new();
    let shared = Arc::new(Shared {
        items: SegQueue::new(),
        sleeper: parker.unparker().clone(),
        senders: AtomicUsize::new(1),
        receiver_gone: AtomicBool::new(false),
    });
    (
        Sender {
            shared: shared.clone(),
        },
        Receiver { shared, parker },
    )
}

impl<T> Sender<T> {
    /// Puts an item in. One that is put in while the receiver goes away may be lost.
    pub(crate) fn send(&self, item: T) -> Result<(), Gone<T>> {
        if self.shared.receiver_gone.load(Ordering::Acquire) {
            return Err(Gone(item));
        }
        self.shared.items.push(item);
        self.shared.sleeper.unpark();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.sleeper.unpark();
        }
    }
}

impl<T> Receiver<T> {
    /// Takes what is there.
    pub(crate) fn try_recv(&self) -> Option<T> {
        self.shared.items.pop()
    }

    /// Whether nothing is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.shared.items.is_empty()
    }

    /// Returns when something is there, or when all senders are gone; perhaps earlier.
    pub(crate) fn sleep(&self) {
        if self.is_empty() && !self.is_abandoned() {
            self.parker.park();
        }
    }

    /// Returns when something is there, when all senders are gone, or after about `timeout`; perhaps earlier.
    pub(crate) fn wait(&self, timeout: Duration) {
        if self.is_empty() && !self.is_abandoned() {
            self.parker.park_timeout(timeout);
        }
    }

    /// Whether all senders are gone. Items may still be there.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shared.senders.load(Ordering::Acquire) == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver_gone.store(true, Ordering::Release);
        // What is left may hold senders of answers, whose receivers wait.
        while self.try_recv().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_the_end_is_seen() {
        let (sender, receiver) = queue();
        let other = sender.clone();
        let thread = std::thread::spawn(move || {
            for i in 0..10_000 {
                other.send(i).unwrap();
            }
        });
        drop(sender);
        let mut all: Vec<u32> = Vec::new();
        while !(receiver.is_abandoned() && receiver.is_empty()) {
            all.extend(receiver.try_recv());
            receiver.sleep();
        }
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
        thread.join().unwrap();
        assert!(receiver.is_abandoned());
    }

    #[test]
    fn a_sender_hears_that_nobody_listens() {
        let (sender, receiver) = queue();
        sender.send(1).unwrap();
        drop(receiver);
        let Err(Gone(2)) = sender.send(2) else {
            panic!("it was taken")
        };
    }

    #[test]
    fn a_wait_ends_by_an_item_that_is_there() {
        let (sender, receiver) = queue();
        sender.send(()).unwrap();
        receiver.wait(Duration::from_secs(3600));
        assert!(!receiver.is_empty());
    }
}
