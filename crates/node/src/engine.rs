//! Carries out what a core asks for: the state of the node thread, as a step function.
//!
//! One call of [`Engine::step`] takes what happened, lets the core decide, and acts on it until
//! nothing is left to do. It blocks only for what it does itself: the writes and, while little is
//! going on, the applies of a member that is alone.

mod applier;
mod crew;
mod tickets;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::applier::Applier;
use self::applier::ApplyJob;
pub use self::crew::Work;
pub(crate) use self::crew::{ApplyLoop, Crew, FetchLoop, WriteLoop};
use self::tickets::Tickets;
use self::writer::WriteJob;
pub(crate) use self::writer::Writer;
use crate::status::Board;
use crate::{
    Action, Batch, Core, DropReason, Error, Input, Limits, LogIndex, MemberId, Observer, PeerBody,
    PeerMessage, ProgressCallback, Proposal, ReadFailure, ReadId, Role, SoftState, StateMachine,
    Transport,
};

/// Called with the index that a read must wait for. Runs on the node thread, or in the call; must
/// not block.
pub type ReadCallback = Box<dyn FnOnce(Result<LogIndex, ReadFailure>) + Send>;

/// Kept while what came with it takes memory here, and then dropped. Dropping must not block.
pub type Ticket = Box<dyn Send>;

/// What reaches the node thread.
pub(crate) enum Event {
    Propose(Proposal),
    Read(ReadCallback),
    Peer(Vec<PeerMessage>, Option<Ticket>),
    Unreachable(MemberId),
    LeaderGone(MemberId),
    Hasten(u32),
    Transfer(MemberId),
    Progress(ProgressCallback),
    /// What was found out elsewhere.
    News(Input),
    /// The state machine has made the effect of this index durable.
    Flushed(LogIndex),
    /// A loop of the crew did some jobs.
    Done {
        writes: usize,
        applies: usize,
        news: Option<Input>,
    },
    /// A loop of the crew cannot go on.
    Failed(Error),
    Stop,
}

impl Event {
    fn done(writes: usize, applies: usize, result: Result<Option<Input>, Error>) -> Event {
        match result {
            Ok(news) => Event::Done {
                writes,
                applies,
                news,
            },
            Err(error) => Event::Failed(error),
        }
    }
}

/// When the node wants its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Again,
    /// When something happens, or at this time of its clock.
    Wait(Duration),
    /// Never: everything is written and applied.
    Stopped,
}

/// Durations and thresholds of an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Length of a tick of raft's clock.
    pub tick: Duration,
    /// Bound of the random delay between the loss of a leader's connections and the first try to
    /// replace it: a small part of the election timeout, and many times a round trip and a sync.
    pub campaign_within: Duration,
    /// Quiet time after which the end of the log is made provable, which costs a sync: whoever comes meanwhile waits for it
    /// and then for its own. Of callers who come at random that is a share of (sync / `idle_after`) / e at most, so this
    /// is many times a sync. Those who come at a steady pace must not meet it each time, so this is no round number.
    pub idle_after: Duration,
    /// A member that is alone applies up to this many entries on the node thread, if nothing else
    /// waits there: that saves a wake-up for a single caller. 0 never does.
    pub apply_here_max: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            tick: Duration::from_millis(100),
            campaign_within: Duration::from_millis(100),
            idle_after: Duration::from_millis(370),
            apply_here_max: 4,
        }
    }
}

/// The node thread's state.
pub(crate) struct Engine<S, T> {
    core: Core,
    crew: Crew<S>,
    transport: T,
    observer: Arc<dyn Observer>,
    board: Arc<Board>,
    pace: Pace,
    limits: Limits,
    inputs: Vec<Input>,
    actions: Vec<Action>,
    proposals: VecDeque<Proposal>,
    reads: BTreeMap<ReadId, ReadCallback>,
    last_read: ReadId,
    tickets: Tickets,
    writes: Vec<Batch>,
    applies: VecDeque<ApplyJob>,
    next_tick: Duration,
    /// When to try to replace a leader that is gone.
    campaign_at: Option<Duration>,
    /// Since when the disk owes an answer.
    writing_since: Option<Duration>,
    /// Until when a member that stops waits for another one to lead; unset while it does not stop.
    hand_over_until: Option<Duration>,
    /// Something was written, and nobody has looked at the clock since it was durable.
    wrote: bool,
    /// When the log counts as idle; unset while it is written to, and while there is nothing to prove.
    idle_at: Option<Duration>,
    flushed: Option<LogIndex>,
    /// Whether to see if a full disk has room again.
    probe: bool,
    stopping: bool,
}

impl<S: StateMachine, T: Transport> Engine<S, T> {
    pub(crate) fn new(
        core: Core,
        crew: Crew<S>,
        transport: T,
        observer: Arc<dyn Observer>,
        board: Arc<Board>,
        pace: Pace,
        limits: Limits,
    ) -> Engine<S, T> {
        Engine {
            core,
            crew,
            transport,
            observer,
            board,
            pace,
            limits,
            inputs: Vec::new(),
            actions: Vec::new(),
            proposals: VecDeque::new(),
            reads: BTreeMap::new(),
            last_read: ReadId(0),
            tickets: Tickets::default(),
            writes: Vec::new(),
            applies: VecDeque::new(),
            next_tick: Duration::ZERO,
            campaign_at: None,
            writing_since: None,
            hand_over_until: None,
            wrote: false,
            idle_at: None,
            flushed: None,
            probe: false,
            stopping: false,
        }
    }

    /// Takes what happened and acts on it. `more` tells whether yet more has happened.
    ///
    /// # Errors
    /// The log or the state machine failed: nothing more may be done with this member.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        events: &mut Vec<Event>,
        more: &dyn Fn() -> bool,
    ) -> Result<Next, Error> {
        self.tick(now);
        for event in events.drain(..) {
            self.take(event)?;
        }
        self.watch_disk(now);
        self.grow_quiet(now);
        self.prepare_stop(now);
        self.take_proposals();
        if !self.inputs.is_empty() {
            self.core
                .handle_all(self.inputs.drain(..), &mut self.actions);
        }
        self.stand_alone();
        self.act(now, more)?;
        self.tickets
            .taken(self.crew.writes_done(), self.crew.writes_begun());
        self.fall_idle(now, more)?;
        self.next(now, more)
    }

    fn next(&mut self, now: Duration, more: &dyn Fn() -> bool) -> Result<Next, Error> {
        if !self.proposals.is_empty() || !self.inputs.is_empty() {
            return Ok(Next::Again);
        }
        if self.stopping && self.crew.is_idle() && !self.hands_over(now) {
            self.finish(now, more)?;
            return Ok(Next::Stopped);
        }
        let deadlines = [Some(self.next_tick), self.idle_at, self.campaign_at];
        let earliest = deadlines.into_iter().flatten().min();
        Ok(Next::Wait(earliest.expect("there is always a next tick")))
    }

    /// At most one tick per call: after a pause many at once would look like a lost leader.
    fn tick(&mut self, now: Duration) {
        if self.campaign_at.take_if(|at| *at <= now).is_some() {
            self.inputs.push(Input::CampaignDue);
        }
        if now < self.next_tick {
            return;
        }
        self.next_tick = (self.next_tick + self.pace.tick).max(now + self.pace.tick / 2);
        self.inputs.push(Input::Tick);
        self.probe = self.board.is_full();
    }

    fn take(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Propose(proposal) if self.stopping => {
                self.observer
                    .dropped(vec![proposal.id], DropReason::Stopped);
            }
            Event::Propose(proposal) => self.proposals.push_back(proposal),
            Event::Read(callback) => self.read(callback),
            Event::Peer(messages, ticket) => self.hear(messages, ticket),
            Event::Unreachable(peer) => self.inputs.push(Input::Unreachable(peer)),
            Event::LeaderGone(peer) => self.inputs.push(Input::LeaderGone(peer)),
            Event::Hasten(ticks) => self.inputs.push(Input::Hasten(ticks)),
            Event::Transfer(member) => self.inputs.push(Input::Transfer(member)),
            Event::Progress(callback) => callback(self.core.progress()),
            Event::News(input) => self.inputs.push(input),
            Event::Flushed(index) => self.flushed = self.flushed.max(Some(index)),
            Event::Done {
                writes,
                applies,
                news,
            } => {
                self.crew.done(writes, applies);
                self.tickets.written(self.crew.writes_done());
                news.iter().for_each(|_| before_advance());
                if writes > 0 {
                    self.writing_since = None;
                }
                self.inputs.extend(news);
            }
            Event::Failed(error) => return Err(error),
            Event::Stop => self.stopping = true,
        }
        Ok(())
    }

    /// Entries take memory until they are written; everything else is gone once the core has taken it.
    fn hear(&mut self, messages: Vec<PeerMessage>, ticket: Option<Ticket>) {
        let entries = |message: &PeerMessage| match &message.body {
            PeerBody::Append { entries, .. } => !entries.is_empty(),
            _ => false,
        };
        if let Some(ticket) = ticket {
            self.tickets.add(ticket, messages.iter().any(entries));
        }
        self.inputs.extend(messages.into_iter().map(Input::Peer));
    }

    fn read(&mut self, callback: ReadCallback) {
        if self.stopping {
            return callback(Err(ReadFailure::Stopped));
        }
        if self.reads.len() >= self.limits.reads_max {
            return callback(Err(ReadFailure::Overloaded));
        }
        self.last_read = ReadId(self.last_read.0 + 1);
        self.reads.insert(self.last_read, callback);
        self.inputs.push(Input::Read(self.last_read));
    }

    fn election_timeout(&self) -> Duration {
        self.pace.tick * self.core.election_ticks()
    }

    /// A leader whose disk does not answer holds up everyone: it hands over, or at least gives up.
    /// Heartbeats and reads need no disk, so without this it would lead for ever.
    fn watch_disk(&mut self, now: Duration) {
        if !self.crew.is_writing() {
            self.writing_since = None;
            return;
        }
        let took = now.saturating_sub(*self.writing_since.get_or_insert(now));
        let (patience, leads) = (self.election_timeout(), self.leads());
        let on_tick = self.inputs.iter().any(|input| matches!(input, Input::Tick));
        if !leads || !on_tick || self.core.is_sole_voter() || took < patience {
            return;
        }
        // A hand-over that fails takes an election timeout to do so.
        let too_long = took >= patience * 2 - self.pace.tick;
        self.inputs.push(if too_long {
            Input::StepDown
        } else {
            Input::HandOver
        });
    }

    fn leads(&self) -> bool {
        self.core.soft_state().role == Role::Leader
    }

    /// A leader that stops hands over first, so that nobody waits for an election timeout.
    fn prepare_stop(&mut self, now: Duration) {
        if !self.stopping {
            return;
        }
        let hands_over = self.leads() && self.core.conf_state().voters.len() > 1;
        let patience = if hands_over {
            self.election_timeout()
        } else {
            Duration::ZERO
        };
        let until = *self.hand_over_until.get_or_insert(now + patience);
        // A leader that was just elected knows of nobody yet who could take over.
        if hands_over && now < until {
            self.inputs.push(Input::HandOver);
        }
    }

    /// Whether it is worth to wait for the next leader.
    fn hands_over(&self, now: Duration) -> bool {
        let soft = self.core.soft_state();
        let open = soft.role == Role::Leader || soft.leader == MemberId::NONE;
        open && self.hand_over_until.is_some_and(|until| now < until)
    }

    /// Takes proposals up to the byte limit, at least one. Everything that queued up during the
    /// last sync goes together.
    fn take_proposals(&mut self) {
        let mut bytes = 0;
        let mut count = 0;
        for proposal in &self.proposals {
            bytes += proposal.payload.len() as u64;
            if count > 0 && bytes > self.limits.batch_bytes_max {
                break;
            }
            count += 1;
        }
        if count == 0 {
            return;
        }
        let batch: Vec<_> = self.proposals.drain(..count).collect();
        if self.board.is_full() {
            let ids = batch.iter().map(|proposal| proposal.id).collect();
            self.observer.dropped(ids, DropReason::NoSpace);
        } else {
            fail::fail_point!("raftBeforePropose");
            self.inputs.push(Input::Propose(batch));
        }
    }

    /// The only voter need not wait for an election timeout.
    fn stand_alone(&mut self) {
        let waits = self.core.soft_state().leader == MemberId::NONE && self.core.is_sole_voter();
        if waits {
            self.core.handle(Input::Campaign, &mut self.actions);
        }
    }

    /// Acts until nothing is left to do here.
    fn act(&mut self, now: Duration, more: &dyn Fn() -> bool) -> Result<(), Error> {
        loop {
            self.publish();
            for action in std::mem::take(&mut self.actions) {
                self.carry_out(action, now)?;
            }
            let news = if !self.writes.is_empty() {
                (self.wrote, self.idle_at) = (true, None);
                let batches = std::mem::take(&mut self.writes);
                self.crew
                    .write(WriteJob::Batches(batches), self.core.is_sole_voter())?
            } else if let Some(job) = self.applies.pop_front() {
                let here = self.applies_here(&job, more);
                self.crew.apply(job, here)?
            } else if self.actions.is_empty() {
                return Ok(());
            } else {
                None
            };
            if let Some(input) = news {
                before_advance();
                self.core.handle(input, &mut self.actions);
                self.stand_alone();
            }
        }
    }

    /// Before anything leaves: a message may let another member lead.
    fn publish(&mut self) {
        self.board.set_alone(self.core.reads_alone());
        self.board.set_suspect(self.core.is_suspect());
        self.board
            .set_log(self.core.committed(), self.core.last_index());
    }

    fn carry_out(&mut self, action: Action, now: Duration) -> Result<(), Error> {
        match action {
            Action::CampaignSoon { permille } => {
                let delay = self.pace.campaign_within * permille / 1000;
                self.campaign_at = Some(now + delay);
            }
            Action::RoleChanged(state) => {
                self.board.set_soft(state);
                self.applies.push_back(ApplyJob::Role(state));
            }
            Action::Send(messages) => self.send(messages),
            Action::Fetch(fetch) => self.crew.fetch(fetch),
            Action::OfferState { to } => self.transport.offer_state(to),
            Action::WithdrawState { to } => self.transport.withdraw_state(to),
            Action::RefuseState(state) => self.transport.state_refused(&state),
            Action::InstallState(state) => self.applies.push_back(ApplyJob::Install(state)),
            Action::Persist(batch) => self.writes.push(batch),
            Action::Apply(entries) => self.applies.push_back(ApplyJob::Entries(entries)),
            Action::JudgeChange(change) => self.applies.push_back(ApplyJob::Judge(change)),
            Action::ApplyChange(change) => self.applies.push_back(ApplyJob::Change(change)),
            Action::ReadReady { reads, index } => self.answer(&reads, Ok(index)),
            Action::ReadFailed { reads, reason } => self.answer(&reads, Err(reason)),
            Action::Refused { from, refusal } => self.transport.refused(from, refusal),
            Action::Contradicted(contradiction) => return Err(contradiction.into()),
            Action::Forgotten(forgotten) => return Err(forgotten.into()),
            Action::Dropped { ids, reason } => self.observer.dropped(ids, reason),
        }
        Ok(())
    }

    /// A copy of the state goes its own way.
    fn send(&mut self, mut messages: Vec<PeerMessage>) {
        let is_state = |message: &mut PeerMessage| matches!(message.body, PeerBody::State(_));
        for message in messages.extract_if(.., is_state) {
            self.transport.send_state(message);
        }
        // `return` at either loses the messages.
        fail::fail_point!(
            "raftBeforeLeaderSend",
            self.core.soft_state().role == Role::Leader,
            |_| {}
        );
        fail::fail_point!(
            "raftBeforeFollowerSend",
            self.core.soft_state().role != Role::Leader,
            |_| {}
        );
        if !messages.is_empty() {
            self.transport.send(messages);
        }
    }

    fn answer(&mut self, reads: &[ReadId], result: Result<LogIndex, ReadFailure>) {
        fail::fail_point!("raftBeforeReadAnswer");
        for read in reads {
            if let Some(callback) = self.reads.remove(read) {
                callback(result);
            }
        }
    }

    /// Whether a hop to the apply thread would cost more than it gains.
    fn applies_here(&self, job: &ApplyJob, more: &dyn Fn() -> bool) -> bool {
        let few = match job {
            ApplyJob::Entries(entries) => entries.len() <= self.pace.apply_here_max,
            ApplyJob::Install(_) => false,
            ApplyJob::Judge(_) | ApplyJob::Change(_) | ApplyJob::Role(_) => {
                self.pace.apply_here_max > 0
            }
        };
        few && self.core.is_sole_voter() && self.proposals.is_empty() && !more()
    }

    /// What is not worth a hold-up while much is going on.
    fn fall_idle(&mut self, now: Duration, more: &dyn Fn() -> bool) -> Result<(), Error> {
        let here = self.core.is_sole_voter();
        if let Some(index) = self.flushed.take() {
            let job = WriteJob::Release {
                flushed: index,
                wanted: self.core.wanted_from().unwrap_or(index),
                wanted_bytes_max: if self.core.is_copying() {
                    self.limits.copying_bytes_max
                } else {
                    self.limits.lagging_bytes_max
                },
            };
            let news = self.crew.write(job, here)?;
            self.inputs.extend(news);
        }
        if std::mem::take(&mut self.probe) {
            let news = self.crew.write(WriteJob::Probe, here)?;
            self.inputs.extend(news);
        }
        if self.idle_at.take_if(|idle_at| *idle_at <= now).is_some() {
            // In the other order the proof would be of the commit index too, and take a sync more.
            self.prove()?;
            self.write_commit(now, more)?;
        }
        Ok(())
    }

    /// Quiet counts from the end of the last write: a slow one would else be followed by a proof at once, with the next
    /// caller behind it.
    fn grow_quiet(&mut self, now: Duration) {
        if !self.crew.is_writing() && std::mem::take(&mut self.wrote) {
            self.idle_at = Some(now + self.pace.idle_after);
        }
    }

    /// Makes everything provable that is on disk.
    fn prove(&mut self) -> Result<(), Error> {
        self.crew.write(WriteJob::Idle, self.core.is_sole_voter())?;
        Ok(())
    }

    /// Writes the commit index, which so far was not worth a write.
    fn write_commit(&mut self, now: Duration, more: &dyn Fn() -> bool) -> Result<(), Error> {
        self.core.handle(Input::Idle, &mut self.actions);
        self.act(now, more)?;
        // That write needs no proof: nobody was promised anything for it.
        self.wrote = false;
        Ok(())
    }

    fn finish(&mut self, now: Duration, more: &dyn Fn() -> bool) -> Result<(), Error> {
        fail::fail_point!("raftBeforeStop");
        self.core.give_up(&mut self.actions);
        self.write_commit(now, more)?;
        self.prove()
    }

    /// Nothing is acknowledged any more; whoever waits for a read hears so.
    pub(crate) fn close(&mut self) {
        for (_, callback) in std::mem::take(&mut self.reads) {
            callback(Err(ReadFailure::Stopped));
        }
        let ids: Vec<_> = self
            .proposals
            .drain(..)
            .map(|proposal| proposal.id)
            .collect();
        if !ids.is_empty() {
            self.observer.dropped(ids, DropReason::Stopped);
        }
        self.board.set_soft(SoftState {
            role: Role::Follower,
            ..SoftState::default()
        });
        self.board.set_stopped();
    }
}

/// What was written or applied is about to be told to the core.
fn before_advance() {
    fail::fail_point!("raftBeforeAdvance");
}
