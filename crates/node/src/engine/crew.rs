//! Who does a job: the thread that has it, or another one.
//!
//! Each hop to another thread is a wake-up. A member that is alone gains nothing from writing on
//! another thread, for it can do nothing until the write is durable; a member with peers must go on
//! listening meanwhile. The two owners sit behind locks that nobody waits for long: the calling thread
//! takes one only while no job is out, and then only a small step of idle work may be under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::applier::{Applier, ApplyJob};
use super::writer::{WriteJob, Writer};
use crate::engine::Event;
use crate::log_reader::LogReader;
use crate::queue::{Receiver, Sender, queue};
use crate::{Batch, Error, Fetch, Input, StateMachine};

/// Hands out jobs.
pub(crate) struct Crew<S> {
    writer: Arc<Mutex<Writer>>,
    applier: Arc<Mutex<Applier<S>>>,
    writes: Sender<WriteJob>,
    applies: Sender<ApplyJob>,
    fetches: Sender<Fetch>,
    writes_out: usize,
    writes_done: u64,
    applies_out: usize,
}

/// What a step of a writer or applier came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Something was done; there may be more.
    Done,
    /// There was nothing to do.
    Nothing,
    /// Nothing will ever be done again: the member has stopped.
    Over,
}

/// The other end of the writes: a loop around [`WriteLoop::step`] on a thread of its own.
pub(crate) struct WriteLoop {
    writer: Arc<Mutex<Writer>>,
    jobs: Receiver<WriteJob>,
    events: Sender<Event>,
    bytes_max: u64,
    next: Option<WriteJob>,
}

/// The other end of the fetches: a loop around [`FetchLoop::step`] on a thread of its own, for a
/// member that lags must not hold up a write.
pub(crate) struct FetchLoop {
    reader: LogReader,
    jobs: Receiver<Fetch>,
    events: Sender<Event>,
}

/// The other end of the applies: a loop around [`ApplyLoop::step`] on a thread of its own.
pub(crate) struct ApplyLoop<S> {
    applier: Arc<Mutex<Applier<S>>>,
    jobs: Receiver<ApplyJob>,
    events: Sender<Event>,
}

/// How long the segment read last is remembered.
const REST_AFTER: Duration = Duration::from_secs(1);

/// How often a machine without jobs is asked whether there is something to do.
const IDLE_PERIOD: Duration = Duration::from_millis(100);

impl<S: StateMachine> Crew<S> {
    /// Both ends. What the loops find out comes back as events.
    pub(crate) fn new(
        writer: Writer,
        applier: Arc<Mutex<Applier<S>>>,
        events: &Sender<Event>,
        bytes_max: u64,
    ) -> (Crew<S>, WriteLoop, ApplyLoop<S>, FetchLoop) {
        let reader = writer.reader();
        let writer = Arc::new(Mutex::new(writer));
        let (writes, write_jobs) = queue();
        let (applies, apply_jobs) = queue();
        let (fetches, fetch_jobs) = queue();
        let fetch_loop = FetchLoop {
            reader,
            jobs: fetch_jobs,
            events: events.clone(),
        };
        let write_loop = WriteLoop {
            writer: writer.clone(),
            jobs: write_jobs,
            events: events.clone(),
            bytes_max,
            next: None,
        };
        let apply_loop = ApplyLoop {
            applier: applier.clone(),
            jobs: apply_jobs,
            events: events.clone(),
        };
        let crew = Crew {
            writer,
            applier,
            writes,
            applies,
            fetches,
            writes_out: 0,
            writes_done: 0,
            applies_out: 0,
        };
        (crew, write_loop, apply_loop, fetch_loop)
    }

    /// Does the job here if `here` and nothing is out; returns what the core wants to know of it.
    pub(crate) fn write(&mut self, job: WriteJob, here: bool) -> Result<Option<Input>, Error> {
        if here && self.writes_out == 0 {
            return lock(&self.writer).run(job);
        }
        self.writes_out += 1;
        // If the loop is gone, it has sent its reason as an event.
        let _ = self.writes.send(job);
        Ok(None)
    }

    /// As [`Crew::write`].
    pub(crate) fn apply(&mut self, job: ApplyJob, here: bool) -> Result<Option<Input>, Error> {
        if here && self.applies_out == 0 {
            return lock(&self.applier).run(job);
        }
        self.applies_out += 1;
        let _ = self.applies.send(job);
        Ok(None)
    }

    /// Whether a write is out.
    pub(crate) fn is_writing(&self) -> bool {
        self.writes_out > 0
    }

    /// Has entries read from the disk; they come as an event.
    pub(crate) fn fetch(&self, fetch: Fetch) {
        let _ = self.fetches.send(fetch);
    }

    /// Writes handed to the loop so far, which does them in this order.
    pub(crate) fn writes_begun(&self) -> u64 {
        self.writes_done + self.writes_out as u64
    }

    /// How many of them it has done.
    pub(crate) fn writes_done(&self) -> u64 {
        self.writes_done
    }

    /// The loops have done this many jobs.
    pub(crate) fn done(&mut self, writes: usize, applies: usize) {
        self.writes_out -= writes;
        self.writes_done += writes as u64;
        self.applies_out -= applies;
    }

    /// Whether no job is out.
    pub(crate) fn is_idle(&self) -> bool {
        self.writes_out == 0 && self.applies_out == 0
    }
}

impl WriteLoop {
    /// Steps until the member has stopped, waiting for jobs.
    pub(crate) fn run(&mut self) {
        while self.step() != Work::Over {
            if self.next.is_none() {
                self.jobs.sleep();
            }
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        self.next.is_some() || !self.jobs.is_empty()
    }

    /// Does everything that queued up, as one write.
    pub(crate) fn step(&mut self) -> Work {
        let next = self.next.take().or_else(|| self.jobs.try_recv());
        let Some(mut job) = next else {
            return without_job(&self.jobs);
        };
        let mut jobs = 1;
        if let WriteJob::Batches(batches) = &mut job {
            jobs += self.join(batches);
        }
        let result = lock(&self.writer).run(job);
        let go_on = result.is_ok();
        after(self.events.send(Event::done(jobs, 0, result)).is_ok() && go_on)
    }

    /// Adds queued batches up to the limit; returns of how many jobs.
    fn join(&mut self, batches: &mut Vec<Batch>) -> usize {
        let mut bytes: u64 = batches.iter().map(payload_bytes).sum();
        let mut jobs = 0;
        while bytes < self.bytes_max {
            match self.jobs.try_recv() {
                Some(WriteJob::Batches(more)) => {
                    bytes += more.iter().map(payload_bytes).sum::<u64>();
                    batches.extend(more);
                    jobs += 1;
                }
                Some(other) => {
                    self.next = Some(other);
                    break;
                }
                None => break,
            }
        }
        jobs
    }
}

impl FetchLoop {
    /// Steps until the member has stopped, waiting for jobs.
    pub(crate) fn run(&mut self) {
        while self.step() != Work::Over {
            self.jobs.wait(REST_AFTER);
            if self.jobs.is_empty() {
                self.reader.rest();
                self.jobs.sleep();
            }
        }
    }

    /// Reads what one member lacks.
    pub(crate) fn step(&mut self) -> Work {
        let Some(fetch) = self.jobs.try_recv() else {
            return without_job(&self.jobs);
        };
        let entries = self.reader.fetch(&fetch);
        let news = Input::Fetched {
            low: fetch.low,
            entries,
        };
        after(self.events.send(Event::News(news)).is_ok())
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.jobs.is_empty()
    }
}

impl<S: StateMachine> ApplyLoop<S> {
    /// Steps until the member has stopped. What can wait is not looked for between two jobs that
    /// follow each other closely.
    pub(crate) fn run(&mut self) {
        let mut has_more = false;
        loop {
            match self.work() {
                Work::Done => {}
                Work::Nothing => {
                    if !has_more {
                        self.jobs.wait(IDLE_PERIOD);
                    }
                    if self.jobs.is_empty() {
                        has_more = self.idle();
                    }
                }
                Work::Over => return,
            }
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Does a job; without one, a small step of what can wait.
    pub(crate) fn step(&mut self) -> Work {
        match self.work() {
            Work::Nothing if self.idle() => Work::Done,
            work => work,
        }
    }

    fn idle(&mut self) -> bool {
        lock(&self.applier).idle()
    }

    fn work(&mut self) -> Work {
        let Some(job) = self.jobs.try_recv() else {
            return without_job(&self.jobs);
        };
        let result = lock(&self.applier).run(job);
        let go_on = result.is_ok();
        after(self.events.send(Event::done(0, 1, result)).is_ok() && go_on)
    }
}

/// Nobody who could send another job is left, or somebody is.
fn without_job<T>(jobs: &Receiver<T>) -> Work {
    // The last sender may have sent before it went.
    if jobs.is_abandoned() && jobs.is_empty() {
        Work::Over
    } else {
        Work::Nothing
    }
}

fn after(go_on: bool) -> Work {
    if go_on { Work::Done } else { Work::Over }
}

fn payload_bytes(batch: &Batch) -> u64 {
    batch
        .entries
        .iter()
        .map(|entry| entry.payload.len() as u64)
        .sum()
}

/// A thread that panicked while it held the lock has ended the process or the test: the state
/// inside is not looked at.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
