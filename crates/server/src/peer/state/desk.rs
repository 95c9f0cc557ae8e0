//! Who gets a copy, and when: the node's orders, carried out by tasks of their own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ferrod_node::{
    ConfState as NodeConf, LogIndex, MemberId, PeerBody, PeerMessage, StateMeta, Term,
};
use ferrod_snapshot::Sender;
use ferrod_store::ConfState;
use tokio::sync::mpsc;

use super::send::Delivery;
use super::{StateOrder, States};
use crate::peer::context::Context;

/// Copies that are prepared or on their way at once: each holds deletes back and takes its part of the disk and the
/// network.
const OUTGOING_MAX: usize = 2;
/// Superseded rows that a copy may keep from being deleted: about 32 bytes of memory each, and what they take on disk.
const HELD_ROWS_MAX: usize = 1_000_000;
/// Copies hold what is flushed, so a flush comes first; but not at any price.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
const FLUSH_POLL: Duration = Duration::from_millis(10);
/// The node asks again as soon as it hears that there is no copy.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// The leader's copies.
pub(in crate::peer) struct Desk {
    context: Arc<Context>,
    orders: mpsc::UnboundedReceiver<StateOrder>,
    news: mpsc::UnboundedReceiver<News>,
    tell: mpsc::UnboundedSender<News>,
    offers: BTreeMap<MemberId, Offer>,
    /// Those who have to wait for their turn.
    queue: VecDeque<MemberId>,
    /// Being prepared, or on their way.
    busy: usize,
}

enum Offer {
    Queued,
    Preparing,
    Ready(Box<Sender>),
}

type Prepared = Result<(Box<Sender>, StateMeta), String>;

enum News {
    Prepared(MemberId, Prepared),
    /// A delivery has ended, well or not.
    Ended,
}

impl Desk {
    pub(in crate::peer) fn new(
        context: Arc<Context>,
        orders: mpsc::UnboundedReceiver<StateOrder>,
    ) -> Desk {
        let (tell, news) = mpsc::unbounded_channel();
        Desk {
            context,
            orders,
            news,
            tell,
            offers: BTreeMap::new(),
            queue: VecDeque::new(),
            busy: 0,
        }
    }

    /// Works for as long as the node lives.
    pub(in crate::peer) async fn work(mut self) {
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.carry_out(order),
                    None => return,
                },
                // The desk keeps an end of it, so it never closes.
                Some(news) = self.news.recv() => self.hear(news),
            }
            self.begin_waiting();
        }
    }

    fn carry_out(&mut self, order: StateOrder) {
        match order {
            StateOrder::Offer(to) => {
                self.withdraw(to);
                self.offers.insert(to, Offer::Queued);
                self.queue.push_back(to);
            }
            StateOrder::Withdraw(to) => self.withdraw(to),
            StateOrder::Send(message) => self.send(message),
            StateOrder::Refused(state) => self.discard(state),
        }
    }

    fn withdraw(&mut self, to: MemberId) {
        self.queue.retain(|queued| *queued != to);
        match self.offers.remove(&to) {
            // What is being prepared is dropped when it is there.
            Some(Offer::Ready(_)) => self.busy -= 1,
            Some(Offer::Queued | Offer::Preparing) | None => {}
        }
    }

    fn begin_waiting(&mut self) {
        while self.busy < OUTGOING_MAX
            && let Some(to) = self.queue.pop_front()
        {
            self.busy += 1;
            self.offers.insert(to, Offer::Preparing);
            let (context, tell) = (self.context.clone(), self.tell.clone());
            tokio::spawn(async move {
                let prepared = prepare(&context.states).await;
                if prepared.is_err() {
                    tokio::time::sleep(FAILURE_PAUSE).await;
                }
                // Without a desk nobody wants it.
                let _ended = tell.send(News::Prepared(to, prepared));
            });
        }
    }

    fn hear(&mut self, news: News) {
        let (to, prepared) = match news {
            News::Ended => return self.busy -= 1,
            News::Prepared(to, prepared) => (to, prepared),
        };
        let wanted = matches!(self.offers.get(&to), Some(Offer::Preparing));
        match prepared {
            Ok((sender, state)) if wanted => {
                self.offers.insert(to, Offer::Ready(sender));
                self.context.node.state_offered(to, Ok(state));
            }
            Err(reason) if wanted => {
                self.busy -= 1;
                self.offers.remove(&to);
                self.context.node.state_offered(to, Err(reason.into()));
            }
            // Withdrawn meanwhile.
            _ => self.busy -= 1,
        }
    }

    fn send(&mut self, message: PeerMessage) {
        let to = message.to;
        let PeerBody::State(state) = &message.body else {
            return;
        };
        let offer = self.offers.remove(&to);
        let (Some(Offer::Ready(sender)), Some(peer)) = (offer, self.context.directory.get(to))
        else {
            self.withdraw(to);
            return self.context.node.state_sent(to, state.index, false);
        };
        let delivery = Delivery::new(self.context.clone(), peer, &message, state);
        let tell = self.tell.clone();
        tokio::spawn(async move {
            delivery.run(sender).await;
            let _ended = tell.send(News::Ended);
        });
    }

    /// Removes a copy that raft had no use for. Off this thread: it may be gigabytes.
    fn discard(&self, state: StateMeta) {
        let context = self.context.clone();
        tokio::task::spawn_blocking(move || {
            tracing::info!(
                "snapshot-index" = state.index.0,
                "ignored a received snapshot that is older than the log"
            );
            context.states.receptions.forget();
            if let Err(error) = context.states.backend.discard(state.index.0) {
                let error = crate::logging::error_chain(&error);
                tracing::warn!(error, "failed to remove a received snapshot");
            }
        });
    }
}

/// Begins an export of what is applied now.
async fn prepare(states: &States) -> Prepared {
    let applied = states.views.load().applied_index();
    states.views.request_flush();
    let flushed = async {
        while states.views.flushed_index() < applied {
            tokio::time::sleep(FLUSH_POLL).await;
        }
    };
    // What is flushed by then may do as well.
    let _too_slow = tokio::time::timeout(FLUSH_TIMEOUT, flushed).await;
    let views = states.views.clone();
    let begun = tokio::task::spawn_blocking(move || {
        let export = views.export(HELD_ROWS_MAX);
        let export = export.map_err(|error| crate::logging::error_chain(&error))?;
        let head = export.head();
        let conf = ConfState::in_export(head).map_err(|error| error.to_string())?;
        let ids = |members: Vec<u64>| members.into_iter().map(MemberId).collect();
        let state = StateMeta {
            index: LogIndex(head.applied_index),
            term: Term(head.applied_term),
            conf: NodeConf::new(ids(conf.voters), ids(conf.learners)),
        };
        Ok((Box::new(Sender::new(export, bytes::Bytes::new())), state))
    });
    begun.await.unwrap_or_else(|error| Err(error.to_string()))
}
