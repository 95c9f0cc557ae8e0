//! A member without threads: three steps that a single thread, such as a simulator, calls in any
//! order.
//!
//! [`Node`](crate::Node) is this with a thread around each step, so what is seen here is what runs
//! in production. The order of the steps is the only freedom that threads have.

use std::sync::{Arc, Mutex, PoisonError};

use ferrod_env::Clock;

use crate::engine::{
    Applier, ApplyLoop, Crew, Engine, Event, FetchLoop, Next, Work, WriteLoop, Writer,
};
use crate::queue::{Receiver, queue};
use crate::status::Board;
use crate::{Core, Error, NodeHandle, Observer, Parts, StateMachine, Transport};

/// A member that moves only when told to. Dropping it is a crash: what is not on its disk is lost.
///
/// ```
/// # use std::sync::{Arc, mpsc};
/// # use ferrod_env::{RealClock, RealDisk};
/// # use ferrod_node::*;
/// # use ferrod_wal::{Identity, Options};
/// # struct Machine(mpsc::Sender<Vec<u8>>);
/// # impl StateMachine for Machine {
/// #     fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
/// #         entries.iter().try_for_each(|entry| self.0.send(entry.payload.to_vec()))?;
/// #         Ok(())
/// #     }
/// #     fn judge_change(&mut self, _: &CommittedChange) -> bool {
/// #         true
/// #     }
/// #     fn apply_change(&mut self, _: AppliedChange) -> Result<(), BoxError> {
/// #         Ok(())
/// #     }
/// #     fn install(&mut self, _: &StateMeta) -> Result<(), BoxError> {
/// #         Err("no peers".into())
/// #     }
/// #     fn role_changed(&mut self, _: SoftState) {}
/// # }
/// # struct Silent;
/// # impl Observer for Silent {
/// #     fn dropped(&self, _: Vec<ProposalId>, _: DropReason) {}
/// #     fn failed(&self, _: &Error) {}
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let scratch = tempfile::tempdir()?;
/// # let (disk, dir) = (Arc::new(RealDisk), scratch.path().join("wal"));
/// # let (member, identity) = (MemberId(1), Identity { cluster: 1, member: 1 });
/// # let options = Options { segment_bytes: 1 << 20, ..Options::default() };
/// # let voter =
/// #     ConfChange { id: 0, kind: ConfChangeKind::AddVoter, member, context: "".into() };
/// # drop(DurableLog::create(disk.clone(), &dir, options, identity, &[voter])?);
/// # let (log, opened) = DurableLog::open(disk, &dir, options, Some(identity))?;
/// # let (applied, results) = mpsc::channel();
/// # let parts = Parts {
/// #     config: Config::new(member, 7, 1),
/// #     pace: Pace::default(),
/// #     log,
/// #     recovered: opened.recovered,
/// #     from: StartingPoint::default(),
/// #     machine: Machine(applied),
/// #     transport: NoPeers,
/// #     observer: Arc::new(Silent),
/// #     clock: Arc::new(RealClock::new()),
/// # };
/// let mut member = Executor::new(parts)?; // The same parts as those of a `Node`.
/// let mut proposed = false;
/// while !results.try_iter().any(|payload| payload == b"hello") {
///     if !proposed && member.handle().reads_alone() {
///         member.handle().propose(ProposalId(1), "hello".into())?;
///         proposed = true;
///     }
///     // A simulator draws which member takes which step, and sets the clock between them.
///     member.step_node()?;
///     member.step_writer();
///     member.step_applier();
/// }
/// # Ok(())
/// # }
/// ```
pub struct Executor<S, T> {
    pub(crate) handle: NodeHandle,
    pub(crate) node: NodeLoop<S, T>,
    pub(crate) writer: WriteLoop,
    pub(crate) applier: ApplyLoop<S>,
    pub(crate) fetcher: FetchLoop,
    pub(crate) machine: Arc<Mutex<Applier<S>>>,
}

impl<S: StateMachine, T: Transport> Executor<S, T> {
    /// Puts a member together; nothing happens yet.
    ///
    /// # Errors
    /// Those of [`Core::new`].
    pub fn new(parts: Parts<S, T>) -> Result<Executor<S, T>, Error> {
        let Parts {
            config,
            pace,
            log,
            recovered,
            from,
            machine,
            transport,
            observer,
            clock,
        } = parts;
        let limits = config.limits;
        let core = Core::new(config, recovered, &from)?;
        let board = Arc::new(Board::default());
        board.set_applied(from.applied);
        board.set_log(core.committed(), core.last_index());
        board.set_soft(core.soft_state());
        board.set_suspect(core.is_suspect());

        let (events, inbox) = queue();
        let writer = Writer::new(log, clock.clone(), observer.clone(), board.clone());
        let machine = Arc::new(Mutex::new(Applier::new(machine, board.clone())));
        let (crew, writer, applier, fetcher) =
            Crew::new(writer, machine.clone(), &events, limits.batch_bytes_max);
        let engine = Engine::new(
            core,
            crew,
            transport,
            observer.clone(),
            board.clone(),
            pace,
            limits,
        );
        Ok(Executor {
            handle: NodeHandle::new(events, board),
            node: NodeLoop {
                engine,
                inbox,
                clock,
                observer,
                events: Vec::new(),
            },
            writer,
            applier,
            fetcher,
            machine,
        })
    }

    /// Access for others; what they ask for waits for the next step.
    #[must_use]
    pub fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Takes in what was asked, said or done since the last step, and acts on it. What a member
    /// that is alone writes and applies, it may write and apply here.
    ///
    /// Nothing is lost if it is called later than it wants, but time that passes unseen counts as
    /// one tick.
    ///
    /// # Errors
    /// What the member failed with; it has told the observer. No step may follow.
    pub fn step_node(&mut self) -> Result<Next, Error> {
        self.node.step()
    }

    /// Writes to the log, and syncs, what the node wants durable: everything that queued up, as
    /// one write. If there is nothing, reads from the log what a member that lags needs, which has a
    /// thread of its own in production.
    pub fn step_writer(&mut self) -> Work {
        match self.writer.step() {
            Work::Nothing => self.fetcher.step(),
            work => work,
        }
    }

    /// Gives the state machine its next job; without one, lets it do some of what can wait.
    pub fn step_applier(&mut self) -> Work {
        self.applier.step()
    }

    /// Whether [`Executor::step_writer`] has something to do.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        self.writer.has_work() || self.fetcher.has_work()
    }

    /// Whether [`Executor::step_applier`] has a job; what can wait is not looked for.
    #[must_use]
    pub fn has_applies(&self) -> bool {
        self.applier.has_work()
    }

    /// Asks the member to stop, as [`Node::stop`](crate::Node::stop) does; more steps are needed
    /// until the node's is [`Next::Stopped`].
    pub fn request_stop(&self) {
        self.handle.send(Event::Stop);
    }

    /// The state machine, of a member that has stopped or is to crash.
    #[must_use]
    pub fn into_machine(self) -> S {
        drop((self.node, self.writer, self.applier));
        into_machine(self.machine).expect("the others who share it are gone")
    }
}

/// Takes the state machine out, if nobody shares it any more.
pub(crate) fn into_machine<S: StateMachine>(machine: Arc<Mutex<Applier<S>>>) -> Option<S> {
    let applier = Arc::into_inner(machine)?;
    let applier = applier.into_inner().unwrap_or_else(PoisonError::into_inner);
    Some(applier.into_machine())
}

/// Events taken in at once: beyond, the next step takes them.
const EVENTS_MAX: usize = 64 << 10;

/// The node's step, and the loop around it.
pub(crate) struct NodeLoop<S, T> {
    engine: Engine<S, T>,
    inbox: Receiver<Event>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    /// Kept for its memory.
    events: Vec<Event>,
}

impl<S: StateMachine, T: Transport> NodeLoop<S, T> {
    /// Steps until the member has stopped, waiting for something to happen.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        loop {
            match self.step()? {
                Next::Again => {}
                Next::Wait(deadline) => {
                    self.inbox.wait(deadline.saturating_sub(self.clock.now()));
                }
                Next::Stopped => return Ok(()),
            }
        }
    }

    fn step(&mut self) -> Result<Next, Error> {
        let inbox = &self.inbox;
        let arrived = std::iter::from_fn(|| inbox.try_recv()).take(EVENTS_MAX);
        self.events.extend(arrived);
        if self.events.is_empty() && inbox.is_abandoned() && inbox.is_empty() {
            self.events.push(Event::Stop);
        }
        let more = || !inbox.is_empty();
        let result = self.engine.step(self.clock.now(), &mut self.events, &more);
        if !matches!(result, Ok(Next::Again | Next::Wait(_))) {
            self.engine.close();
        }
        if let Err(error) = &result {
            self.observer.failed(error);
        }
        result
    }
}

#[cfg(test)]
mod tests;
