//! One runtime's share of the member: what its connections use, without ever meeting another runtime.

use std::sync::Arc;
use std::time::Duration;

use ferrod_mvcc::Reader;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_store::Answer;
use parking_lot::Mutex;
use tonic::Status;

use crate::engine::Engine;
use crate::mailbox::{Letters, Mailbox};
use crate::watching::Watching;

/// How long a runtime without reads keeps its view of the backend.
const READER_IDLE: Duration = Duration::from_millis(500);

/// One runtime's share of the member. All of it runs on that runtime's thread, so its locks are never waited for.
pub(crate) struct Worker {
    pub(crate) engine: Arc<Engine>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) watching: Watching,
    reader: Mutex<Used>,
}

struct Used {
    reader: Reader,
    lately: bool,
}

impl Worker {
    pub(crate) fn new(engine: Arc<Engine>, mailbox: Arc<Mailbox>, watching: Watching) -> Worker {
        let reader = Mutex::new(Used {
            reader: engine.views.reader(),
            lately: false,
        });
        Worker {
            engine,
            mailbox,
            watching,
            reader,
        }
    }

    /// Reads with this runtime's reader.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&mut Reader) -> R) -> R {
        let mut used = self.reader.lock();
        used.lately = true;
        read(&mut used.reader)
    }

    /// Puts a request through the log and waits for its answer.
    pub(crate) async fn propose(
        &self,
        request: Request,
        timeout: Option<Duration>,
    ) -> Result<Answer, Status> {
        self.engine.propose(request, &self.mailbox, timeout).await
    }

    /// Waits until a read here sees everything that was acknowledged before the call.
    pub(crate) async fn barrier(&self, timeout: Option<Duration>) -> Result<(), Status> {
        self.engine.barrier_by(Some(&self.mailbox), timeout).await
    }

    /// Hands out the mail of this runtime, for as long as it lives.
    pub(crate) async fn sort_mail(self: Arc<Worker>) {
        loop {
            let letters = self.mailbox.take().await;
            self.hand_out(letters);
        }
    }

    /// Hands out what has come in so far.
    pub(crate) fn hand_out_mail(&self) {
        self.hand_out(self.mailbox.take_now());
    }

    fn hand_out(&self, letters: Letters) {
        // Events are taken in first: who gets an answer and then asks to watch from now on must not hear of its own write.
        // But those who wait for answers are woken first. What they ask next is on its way to the disk while the events
        // are sent, which may be many times as much work.
        let are_news = letters.are_news();
        if are_news {
            self.watching.heard(&letters);
        }
        letters.deliver();
        if are_news {
            self.watching.wake_ready();
        }
    }

    /// Gives up the view of the backend when nobody has read for a while: it pins pages.
    pub(crate) async fn let_go(self: Arc<Worker>) {
        let mut interval = tokio::time::interval(READER_IDLE);
        loop {
            interval.tick().await;
            let mut used = self.reader.lock();
            if !std::mem::take(&mut used.lately) {
                used.reader.idle();
            }
        }
    }
}
