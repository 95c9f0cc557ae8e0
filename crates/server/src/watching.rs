//! The watch streams of one runtime: its hub, and who is woken when there is something to send.

mod history;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;

use ferrod_mvcc::Views;
use ferrod_watch::{Create, Hub, Limits, Response, Revision, StreamId, WatchId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::mailbox::{Letters, Mailbox};
use history::StoreHistory;

/// The watch streams of one runtime.
///
/// There is a hub only while there is a stream: nobody makes events that nobody hears.
pub(crate) struct Watching {
    state: Mutex<State>,
    /// Rings when a watcher may have to catch up.
    behind: Notify,
    views: Views,
    mailbox: Arc<Mailbox>,
}

struct State {
    hub: Option<Hub>,
    wakers: HashMap<StreamId, Waker>,
    history: StoreHistory,
}

impl Watching {
    pub(crate) fn new(views: Views, mailbox: Arc<Mailbox>) -> Watching {
        let history = StoreHistory::new(views.reader());
        let state = Mutex::new(State {
            hub: None,
            wakers: HashMap::new(),
            history,
        });
        Watching {
            state,
            behind: Notify::new(),
            views,
            mailbox,
        }
    }

    /// Opens a stream.
    pub(crate) fn open(&self) -> StreamId {
        let mut state = self.state.lock();
        let hub = state.hub.get_or_insert_with(|| {
            // First ask for events, then look: what is published in between comes both ways, and is heard once.
            self.mailbox.set_wants_events(true);
            let view = self.views.load();
            let compacted = Revision(view.compacted().max(0));
            Hub::new(Revision(view.revision()), compacted, Limits::default())
        });
        hub.open()
    }

    /// Ends a stream.
    pub(crate) fn close(&self, stream: StreamId) {
        let mut state = self.state.lock();
        state.wakers.remove(&stream);
        let Some(hub) = &mut state.hub else { return };
        hub.close(stream);
        if hub.stats().streams == 0 {
            self.mailbox.set_wants_events(false);
            state.hub = None;
            state.history.idle();
        }
    }

    /// Takes in what was published. Nobody is woken for it before [`Watching::wake_ready`].
    pub(crate) fn heard(&self, news: &Letters) {
        let mut state = self.state.lock();
        let State {
            hub: Some(hub),
            history,
            ..
        } = &mut *state
        else {
            return;
        };
        if let Some(installed) = &news.installed {
            // Not for a hub that began when it was in place already.
            if installed.revision >= hub.revision().0 {
                let compacted = Revision(installed.compacted.max(0));
                hub.on_install(Revision(installed.revision), compacted);
            }
        }
        // What was published while the hub began may come once more.
        let known = news
            .events
            .partition_point(|batch| batch.revision() <= hub.revision());
        hub.on_batches(&news.events[known..], history);
        if let Some(compacted) = news.compacted.filter(|compacted| *compacted > 0) {
            hub.on_compaction(Revision(compacted));
        }
    }

    /// Wakes the streams that have got something to send.
    pub(crate) fn wake_ready(&self) {
        self.wake(&mut self.state.lock());
    }

    /// What a client asks of its stream. What was published before must be taken in first.
    pub(crate) fn ask(&self, stream: StreamId, ask: Ask) {
        let mut state = self.state.lock();
        let Some(hub) = &mut state.hub else { return };
        match ask {
            Ask::Create(create) => hub.create(stream, create),
            Ask::Cancel(id) => hub.cancel(stream, id),
            Ask::Progress => hub.request_progress(stream),
            Ask::Tick => hub.progress_tick(stream),
        }
        self.wake(&mut state);
    }

    /// Whether further requests of the stream should be read.
    pub(crate) fn accepts_requests(&self, stream: StreamId) -> bool {
        self.state
            .lock()
            .hub
            .as_ref()
            .is_some_and(|hub| hub.accepts_requests(stream))
    }

    /// Gives the messages of a stream to `take` for as long as it wants more, after `begin` was told about how many
    /// bytes there are; without any, `waker` is called when there is one.
    pub(crate) fn poll<T>(
        &self,
        stream: StreamId,
        waker: &Waker,
        begin: impl FnOnce(usize) -> T,
        mut take: impl FnMut(&mut T, &Response) -> bool,
    ) -> Option<T> {
        let mut state = self.state.lock();
        let hub = state.hub.as_mut()?;
        let mut taken = begin(hub.queued_bytes(stream));
        let is_empty = loop {
            match hub.poll(stream) {
                Some(response) if take(&mut taken, &response) => {}
                Some(_) => break false,
                None => break true,
            }
        };
        if is_empty {
            state.wakers.insert(stream, waker.clone());
        }
        // The queue has room again, perhaps for a watcher that was set aside.
        self.wake(&mut state);
        Some(taken)
    }

    /// Lets watchers catch up, step by step, giving way to everything else in between.
    pub(crate) async fn catch_up(&self) {
        loop {
            self.behind.notified().await;
            while self.catch_up_step() {
                tokio::task::yield_now().await;
            }
        }
    }

    fn catch_up_step(&self) -> bool {
        let mut state = self.state.lock();
        let State {
            hub: Some(hub),
            history,
            ..
        } = &mut *state
        else {
            return false;
        };
        hub.catch_up(history);
        let again = hub.is_behind();
        self.wake(&mut state);
        again
    }

    fn wake(&self, state: &mut State) {
        let Some(hub) = &mut state.hub else { return };
        for stream in hub.take_ready() {
            if let Some(waker) = state.wakers.remove(&stream) {
                waker.wake();
            }
        }
        if hub.is_behind() {
            self.behind.notify_one();
        }
    }
}

/// What a client asks of its stream.
pub(crate) enum Ask {
    Create(Create),
    Cancel(WatchId),
    Progress,
    /// A period of the stream's progress timer is over.
    Tick,
}
