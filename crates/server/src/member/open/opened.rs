//! A member whose log runs, and what may be done with it.

use std::sync::Arc;
use std::thread::JoinHandle;

use ferrod_node::Node;
use tokio::sync::{mpsc, watch};

use crate::engine::{Engine, Machine};
use crate::mailbox::Mailbox;
use crate::member::Error;
use crate::member::upkeep::Inboxes;
use crate::peer::{Context, Newcomer, PeerThread, StateOrder};
use crate::serve::BoundListener;

/// A member whose log runs.
pub(in super::super) struct Opened {
    pub(in super::super) engine: Arc<Engine>,
    /// One for each runtime.
    pub(in super::super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) node: Node<Machine>,
    pub(super) flush: JoinHandle<()>,
    pub(super) hashing: JoinHandle<()>,
    pub(super) fatal: watch::Receiver<Option<String>>,
    pub(super) peers: Arc<Context>,
    /// Until the peers are talked to.
    pub(super) state_orders: Option<mpsc::UnboundedReceiver<StateOrder>>,
    pub(super) inboxes: Option<Inboxes>,
}

impl Opened {
    /// Starts to talk to the other members.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(in super::super) fn talk(
        &mut self,
        listeners: Vec<BoundListener>,
    ) -> Result<PeerThread, Error> {
        let orders = self.state_orders.take();
        let orders = orders.expect("a member begins to talk once");
        PeerThread::start(self.peers.clone(), orders, listeners)
            .map_err(|source| Error::system("start a thread", source))
    }

    /// What comes in for the tasks of the upkeep, once.
    pub(in super::super) fn take_inboxes(&mut self) -> Inboxes {
        self.inboxes.take().expect("taken once, by the start")
    }

    /// What the others take this member for.
    pub(in super::super) fn newcomer(&self) -> &Newcomer {
        &self.peers.newcomer
    }

    /// How many members the cluster has, as far as this one has applied.
    pub(in super::super) fn members_count(&self) -> usize {
        self.engine.cluster.load().members.present.len()
    }

    /// Returns when this member was removed from its cluster.
    pub(in super::super) fn removed(&self) -> impl Future<Output = ()> + use<> {
        let mut removed = self.peers.removed.subscribe();
        async move {
            if removed.wait_for(|removed| *removed).await.is_err() {
                // All who could tell are gone, which happens only while stopping.
                std::future::pending().await
            }
        }
    }

    /// Waits for what the member must not go on with.
    pub(in super::super) fn fatal(&self) -> impl Future<Output = Error> + use<> {
        let mut fatal = self.fatal.clone();
        async move {
            let text = match fatal.wait_for(Option::is_some).await {
                Ok(text) => text.clone(),
                // All who could tell are gone, which happens only while stopping.
                Err(_) => std::future::pending().await,
            };
            Error::Fatal(text.unwrap_or_default())
        }
    }

    /// Stops the log, writes everything to the backend, and gives the directory up.
    ///
    /// # Errors
    /// What the log or the backend failed with.
    pub(in super::super) fn close(self, peers: PeerThread) -> Result<(), Error> {
        let machine = self
            .node
            .stop()
            .map_err(|source| Error::system("stop the log", source))?;
        // Copies of the state may be on their way, in or out of the backend.
        peers.stop();
        // Both threads end when the key space is gone.
        drop(machine);
        let _panicked = (self.flush.join(), self.hashing.join());
        match &*self.fatal.borrow() {
            Some(text) => Err(Error::Fatal(text.clone())),
            None => Ok(()),
        }
    }
}
