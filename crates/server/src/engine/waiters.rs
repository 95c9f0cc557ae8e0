//! Who waits for which entry of the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ferrod_proto::ApiError;
use ferrod_store::Answer;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tonic::Status;

use crate::grpc::status;
use crate::mailbox::Mailbox;

/// What became of a request.
pub(crate) type Outcome = Result<Answer, Status>;

/// Neighbouring requests should not meet at one lock.
const SHARDS: usize = 64;

/// Who waits for which entry of the log, by request id.
pub(crate) struct Waiters {
    shards: [Mutex<HashMap<u64, Waiter>>; SHARDS],
}

/// One call that waits, on the thread of its mailbox.
pub(crate) struct Waiter {
    pub(crate) sender: oneshot::Sender<Outcome>,
    pub(crate) mailbox: Arc<Mailbox>,
    deadline: Duration,
}

impl Waiters {
    pub(crate) fn new() -> Waiters {
        Waiters {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Announces a wait. Ids are never used twice.
    pub(crate) fn insert(
        &self,
        id: u64,
        mailbox: Arc<Mailbox>,
        deadline: Duration,
    ) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        self.shard(id).lock().insert(
            id,
            Waiter {
                sender,
                mailbox,
                deadline,
            },
        );
        receiver
    }

    /// Takes a wait out; `None` if nobody here waits for this entry (any more).
    pub(crate) fn remove(&self, id: u64) -> Option<Waiter> {
        self.shard(id).lock().remove(&id)
    }

    /// Ends the waits whose time is over; the entry may still be applied later. Returns how many.
    pub(crate) fn expire(&self, now: Duration) -> usize {
        let mut expired = 0;
        for shard in &self.shards {
            for (_, waiter) in shard.lock().extract_if(|_, waiter| waiter.deadline <= now) {
                expired += 1;
                // A caller that has gone away wants no answer.
                let _gone = waiter.sender.send(Err(status::of(ApiError::Timeout)));
            }
        }
        expired
    }

    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Waiter>> {
        &self.shards[(id % SHARDS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_once() {
        let waiters = Waiters::new();
        let mailbox = Arc::new(Mailbox::default());
        let seconds = Duration::from_secs;
        let mut early = waiters.insert(1, mailbox.clone(), seconds(5));
        let mut late = waiters.insert(1 + SHARDS as u64, mailbox, seconds(9));
        assert_eq!(waiters.expire(seconds(4)), 0);
        assert_eq!(waiters.expire(seconds(5)), 1);
        let ended = early.try_recv().unwrap().unwrap_err();
        assert_eq!(ended.message(), "etcdserver: request timed out");
        assert!(waiters.remove(1).is_none());
        assert!(late.try_recv().is_err());
        assert!(waiters.remove(1 + SHARDS as u64).is_some());
    }
}
