//! A running member: its threads, and the handle that everyone else has.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use ferrod_env::Clock;
use std::sync::mpsc;

use crate::engine::{Applier, Event};
use crate::executor::into_machine;
use crate::queue::Sender;
use crate::status::Board;
use crate::{
    BoxError, Config, DropReason, DurableLog, Error, Executor, Input, LogIndex, MemberId, Observer,
    Pace, PeerMessage, ProgressCallback, Proposal, ProposalId, ReadCallback, Recovered,
    StartingPoint, StateMachine, StateMeta, Status, Ticket, Transport,
};

/// Everything a member is made of.
pub struct Parts<S, T> {
    /// Identity, timing in ticks, limits.
    pub config: Config,
    /// Timing in seconds.
    pub pace: Pace,
    /// The log, as created or opened.
    pub log: DurableLog,
    /// What the log held when it was opened; empty only if nothing was ever in it.
    pub recovered: Recovered,
    /// Where the state machine stands.
    pub from: StartingPoint,
    /// What entries are applied to.
    pub machine: S,
    /// The way to the peers.
    pub transport: T,
    /// Hears of refusals and failures.
    pub observer: Arc<dyn Observer>,
    /// Drives the ticks.
    pub clock: Arc<dyn Clock>,
}

/// A running member. Dropping it without [`Node::stop`] leaves its threads running.
pub struct Node<S> {
    handle: NodeHandle,
    machine: Arc<Mutex<Applier<S>>>,
    threads: Vec<JoinHandle<()>>,
    outcome: mpsc::Receiver<Result<(), Error>>,
}

/// Access to a running member from any thread. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    events: Sender<Event>,
    board: Arc<Board>,
}

impl<S: StateMachine> Node<S> {
    /// Starts a member on four threads.
    ///
    /// # Errors
    /// Those of [`Core::new`]; [`Error::Thread`].
    pub fn start<T: Transport>(parts: Parts<S, T>) -> Result<Node<S>, Error> {
        let Executor {
            handle,
            mut node,
            mut writer,
            mut applier,
            mut fetcher,
            machine,
        } = Executor::new(parts)?;
        let (report, outcome) = mpsc::sync_channel(1);
        let threads = vec![
            spawn("wal", move || writer.run())?,
            spawn("apply", move || applier.run())?,
            spawn("fetch", move || fetcher.run())?,
            spawn("node", move || {
                let result = node.run();
                // What others send from now on is refused.
                drop(node);
                // Nobody listens if the node was dropped instead of stopped.
                let _ = report.send(result);
            })?,
        ];
        Ok(Node {
            handle,
            machine,
            threads,
            outcome,
        })
    }

    /// Access for others.
    #[must_use]
    pub fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Stops: what was proposed before is written, and applied as far as it is committed. Returns
    /// the state machine.
    ///
    /// # Errors
    /// What the member failed with, if it stopped by itself.
    pub fn stop(self) -> Result<S, Error> {
        // A member that has stopped by itself listens no more.
        self.handle.send(Event::Stop);
        let outcome = self.outcome.recv().unwrap_or(Err(Error::Stopped));
        for thread in self.threads {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
        outcome?;
        into_machine(self.machine).ok_or(Error::Stopped)
    }
}

impl NodeHandle {
    pub(crate) fn new(events: Sender<Event>, board: Arc<Board>) -> NodeHandle {
        NodeHandle { events, board }
    }

    /// Offers a payload for the log. Costs a push on a queue, and a wake-up only if the node thread
    /// sleeps.
    ///
    /// # Errors
    /// [`DropReason::Stopped`]. Every other refusal comes through [`Observer::dropped`]; after
    /// acceptance the state machine meets the payload, or nobody does: then the outcome is unknown.
    pub fn propose(&self, id: ProposalId, payload: Bytes) -> Result<(), DropReason> {
        self.propose_as(Proposal::normal(id, payload))
    }

    /// As [`NodeHandle::propose`], for changes of membership and for what is bound to a term.
    ///
    /// # Errors
    /// As [`NodeHandle::propose`].
    pub fn propose_as(&self, proposal: Proposal) -> Result<(), DropReason> {
        self.events
            .send(Event::Propose(proposal))
            .map_err(|_| DropReason::Stopped)
    }

    /// Asks how far a linearizable read must have applied. If the member is alone, the call itself
    /// answers.
    ///
    /// A read that nobody can answer waits; the caller keeps a deadline.
    pub fn read_index(&self, callback: ReadCallback) {
        if self.reads_alone() {
            return callback(Ok(self.board.committed()));
        }
        if let Err(error) = self.events.send(Event::Read(callback))
            && let Event::Read(callback) = error.0
        {
            callback(Err(crate::ReadFailure::Stopped));
        }
    }

    /// Whether linearizable reads may be served from the state machine as it is, without an index:
    /// the member is the only voter, leads, and has applied everything that was ever acknowledged.
    /// Ask before taking the state to read from.
    #[must_use]
    pub fn reads_alone(&self) -> bool {
        self.board.is_alone()
    }

    /// What is known without waking anyone.
    #[must_use]
    pub fn status(&self) -> Status {
        self.board.read()
    }

    /// Whether the member has stopped, by itself or on request.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.board.is_stopped()
    }

    /// The state machine has made durable the effect of everything up to `index`: the log need not
    /// keep it.
    pub fn flushed(&self, index: LogIndex) {
        self.send(Event::Flushed(index));
    }

    /// Delivers a message from a peer.
    pub fn receive(&self, message: PeerMessage) {
        self.send(Event::Peer(vec![message], None));
    }

    /// Delivers messages that came together. What waits here is not bounded; who sends keeps a bound by not handing over
    /// more while too many of its tickets are not dropped yet.
    pub fn receive_all(&self, messages: Vec<PeerMessage>, ticket: Ticket) {
        self.send(Event::Peer(messages, Some(ticket)));
    }

    /// Messages to this peer are being lost.
    pub fn unreachable(&self, peer: MemberId) {
        self.send(Event::Unreachable(peer));
    }

    /// This peer's connections closed.
    pub fn leader_gone(&self, peer: MemberId) {
        self.send(Event::LeaderGone(peer));
    }

    /// Waits so many ticks less for a leader, if none is known: for a member that has just started and would hear of one
    /// at once if there were one.
    pub fn hasten(&self, ticks: u32) {
        self.send(Event::Hasten(ticks));
    }

    /// Hands leadership to this member, if the asked one leads.
    pub fn transfer_leader(&self, member: MemberId) {
        self.send(Event::Transfer(member));
    }

    /// Asks how far each member is, which only a leader knows.
    pub fn progress(&self, callback: ProgressCallback) {
        if let Err(error) = self.events.send(Event::Progress(callback))
            && let Event::Progress(callback) = error.0
        {
            callback(None);
        }
    }

    /// The copy that [`Transport::offer_state`] asked for can be sent, or why not.
    pub fn state_offered(&self, to: MemberId, offer: Result<StateMeta, BoxError>) {
        let offer = offer.map_err(|error| error.to_string());
        self.send(Event::News(Input::StateOffered { to, offer }));
    }

    /// The copy that [`Transport::send_state`] sent has arrived as a whole, or never will. Must be
    /// called once for each, also when the peer is removed or the member stops: until then the
    /// peer gets nothing else.
    pub fn state_sent(&self, to: MemberId, index: LogIndex, arrived: bool) {
        self.send(Event::News(Input::StateSent { to, index, arrived }));
    }

    /// This member says that it has lost its log and has nothing behind `last`: if the asked member leads, it starts over
    /// with it.
    pub fn log_lost(&self, member: MemberId, last: LogIndex) {
        self.send(Event::News(Input::LogLost { member, last }));
    }

    /// A leader has been confirmed whose log ends at `index`: a suspect member may be trusted when it has applied that.
    pub fn trust_from(&self, index: LogIndex) {
        self.send(Event::News(Input::TrustFrom(index)));
    }

    pub(crate) fn send(&self, event: Event) {
        // A member that has stopped does not care.
        let _ = self.events.send(event);
    }
}

fn spawn(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|source| Error::Thread { name, source })
}

#[cfg(test)]
mod tests;
