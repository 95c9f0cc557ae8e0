//! What waits to be sent to one peer on one lane, bounded in bytes.

use std::collections::VecDeque;

use ferrod_node::{PeerBody, PeerMessage};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a message costs beside its payloads.
const MESSAGE_BYTES: usize = 64;
/// What an entry costs beside its payload.
const ENTRY_BYTES: usize = 16;

/// What waits to be sent. Filled by the node's thread, emptied by the thread of the peers.
///
/// While nobody listens at the other end, nothing is taken: raft sends again what still matters by then.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    bell: Notify,
    bytes_max: usize,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<PeerMessage>,
    bytes: usize,
    open: bool,
}

impl Outbox {
    /// Closed, for at most so many bytes beyond one message.
    pub(super) fn new(bytes_max: usize) -> Outbox {
        Outbox {
            queue: Mutex::default(),
            bell: Notify::new(),
            bytes_max,
        }
    }

    /// Takes a message, or loses it: false if nobody listens or too much waits already.
    pub(super) fn push(&self, message: PeerMessage) -> bool {
        let mut queue = self.queue.lock();
        if !queue.open || queue.bytes >= self.bytes_max {
            return false;
        }
        queue.bytes += cost(&message);
        queue.messages.push_back(message);
        let first = queue.messages.len() == 1;
        drop(queue);
        if first {
            self.bell.notify_one();
        }
        true
    }

    /// Somebody listens from now on.
    pub(super) fn open(&self) {
        self.queue.lock().open = true;
    }

    /// Nobody listens; what waits is lost.
    pub(super) fn close(&self) {
        *self.queue.lock() = Queue::default();
    }

    /// Waits for messages, and takes up to so many bytes of them, at least one.
    pub(super) async fn take(&self, bytes_max: usize) -> Vec<PeerMessage> {
        loop {
            let taken = self.take_now(bytes_max);
            if !taken.is_empty() {
                return taken;
            }
            self.bell.notified().await;
        }
    }

    fn take_now(&self, bytes_max: usize) -> Vec<PeerMessage> {
        let mut queue = self.queue.lock();
        let (mut count, mut bytes) = (0, 0);
        for message in &queue.messages {
            let cost = cost(message);
            if count > 0 && bytes + cost > bytes_max {
                break;
            }
            count += 1;
            bytes += cost;
        }
        queue.bytes -= bytes;
        queue.messages.drain(..count).collect()
    }
}

/// Bytes that a message holds, about.
fn cost(message: &PeerMessage) -> usize {
    let payloads = match &message.body {
        PeerBody::Append { entries, .. } => {
            let entries = entries.iter().map(|e| e.payload.len() + ENTRY_BYTES);
            entries.sum()
        }
        PeerBody::Propose(forward) => {
            let payloads = forward.proposals.iter().map(|p| p.1.len() + ENTRY_BYTES);
            payloads.sum()
        }
        _ => 0,
    };
    payloads + MESSAGE_BYTES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ferrod_node::{Entry, EntryKind, LogIndex, MemberId, Term};

    use super::*;

    fn append(bytes: usize) -> PeerMessage {
        PeerMessage {
            from: MemberId(1),
            to: MemberId(2),
            term: Term(1),
            body: PeerBody::Append {
                prev_index: LogIndex(1),
                prev_term: Term(1),
                commit: LogIndex(1),
                entries: vec![Entry {
                    index: LogIndex(2),
                    term: Term(1),
                    kind: EntryKind::Normal,
                    payload: Bytes::from(vec![0; bytes]),
                }],
            },
        }
    }

    #[test]
    fn it_takes_nothing_while_nobody_listens() {
        let outbox = Outbox::new(1000);
        assert!(!outbox.push(append(1)));
        outbox.open();
        assert!(outbox.push(append(1)));
        outbox.close();
        assert!(!outbox.push(append(1)));
        assert!(outbox.take_now(1000).is_empty());
    }

    #[test]
    fn memory_is_bounded_and_batches_are_too() {
        let outbox = Outbox::new(1000);
        outbox.open();
        let taken = (0..10).filter(|_| outbox.push(append(420))).count();
        assert_eq!(taken, 2);
        assert_eq!(outbox.take_now(1).len(), 1, "one always goes");
        assert!(outbox.push(append(420)));
        assert_eq!(outbox.take_now(1 << 20).len(), 2);
        assert!(
            outbox.push(append(5000)),
            "one message is taken, whatever its size"
        );
        assert!(!outbox.push(append(1)));
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let outbox = std::sync::Arc::new(Outbox::new(1000));
        outbox.open();
        let sender = outbox.clone();
        let thread = std::thread::spawn(move || sender.push(append(1)));
        assert_eq!(outbox.take(1000).await.len(), 1);
        assert!(thread.join().unwrap());
    }
}
