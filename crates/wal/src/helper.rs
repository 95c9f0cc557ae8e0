//! Who does the work of the workshop: the caller, or a thread.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::workshop::{Chore, Done, Workshop};

/// Who does the work of the workshop. Each chore asked for gives one [`Done`], in order.
pub(crate) enum Helper {
    /// The caller, at once: repeatable, for simulation and for opening.
    Inline(Workshop, VecDeque<Done>),
    /// A thread of its own, so that appends never wait for the next segment.
    Thread(HelperThread),
}

impl Helper {
    pub(crate) fn inline(workshop: Workshop) -> Self {
        Self::Inline(workshop, VecDeque::new())
    }

    /// Moves the work to a thread, if it is not on one.
    pub(crate) fn into_thread(self) -> io::Result<Self> {
        match self {
            Self::Inline(workshop, done) => Ok(Self::Thread(HelperThread::start(workshop, done)?)),
            thread @ Self::Thread(_) => Ok(thread),
        }
    }

    /// Asks for a piece of work.
    pub(crate) fn ask(&mut self, chore: Chore) {
        match self {
            Self::Inline(workshop, done) => done.push_back(workshop.carry_out(chore)),
            Self::Thread(thread) => thread.ask(chore),
        }
    }

    /// Returns the next answer if it is there.
    pub(crate) fn poll(&mut self) -> Option<Done> {
        match self {
            Self::Inline(_, done) => done.pop_front(),
            Self::Thread(thread) => thread.done.try_recv().ok(),
        }
    }

    /// Waits for the next answer; `None` if none can come.
    pub(crate) fn wait(&mut self) -> Option<Done> {
        match self {
            Self::Inline(_, done) => done.pop_front(),
            Self::Thread(thread) => thread.done.recv().ok(),
        }
    }
}

/// A workshop on a thread. Dropping it finishes what was asked for.
pub(crate) struct HelperThread {
    /// `None` only while dropping.
    chores: Option<Sender<Chore>>,
    done: Receiver<Done>,
    /// `None` only while dropping.
    thread: Option<JoinHandle<()>>,
}

impl HelperThread {
    fn start(mut workshop: Workshop, before: VecDeque<Done>) -> io::Result<Self> {
        let (chores, todo) = channel();
        let (report, done) = channel();
        let run = move || {
            let results = todo.into_iter().map(|chore| workshop.carry_out(chore));
            for done in before.into_iter().chain(results) {
                if report.send(done).is_err() {
                    break;
                }
            }
        };
        let thread = Builder::new().name("wal-segments".into()).spawn(run)?;
        Ok(Self {
            chores: Some(chores),
            done,
            thread: Some(thread),
        })
    }

    fn ask(&self, chore: Chore) {
        // A thread that is gone shows when its answer is waited for.
        let _ = self.chores.as_ref().map(|chores| chores.send(chore));
    }
}

impl Drop for HelperThread {
    fn drop(&mut self) {
        drop(self.chores.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook.
            let _ = thread.join();
        }
    }
}
