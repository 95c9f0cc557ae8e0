//! The next segment, ready before it is needed.

use std::io;

use crate::error::io_error;
use crate::helper::Helper;
use crate::segment::Prepared;
use crate::workshop::{Chore, Done};
use crate::{Error, SegmentSeq};

/// The next segment, and the helper that makes it.
pub(crate) struct Spare {
    helper: Helper,
    state: State,
    /// What the helper met and nobody was told yet.
    error: Option<Error>,
    no_fsync: bool,
}

enum State {
    Absent,
    Asked,
    Ready(Prepared),
    /// The disk was full. Asked for again only by [`Spare::retry`].
    Full,
}

impl Spare {
    pub(crate) fn new(helper: Helper, no_fsync: bool) -> Self {
        Self {
            helper,
            state: State::Absent,
            error: None,
            no_fsync,
        }
    }

    pub(crate) fn into_thread(self) -> io::Result<Self> {
        Ok(Self {
            helper: self.helper.into_thread()?,
            ..self
        })
    }

    /// Asks for the segment unless that was done.
    pub(crate) fn prepare(&mut self, seq: SegmentSeq) {
        if matches!(self.state, State::Absent) {
            self.state = State::Asked;
            self.ask(Chore::Prepare(seq));
        }
    }

    /// Asks again if the disk was full.
    pub(crate) fn retry(&mut self, seq: SegmentSeq) {
        if self.is_full() {
            self.state = State::Absent;
            self.prepare(seq);
        }
    }

    /// Asks for any work.
    pub(crate) fn ask(&mut self, chore: Chore) {
        self.helper.ask(chore);
        self.poll();
    }

    /// Takes in what the helper has done.
    pub(crate) fn poll(&mut self) {
        while let Some(done) = self.helper.poll() {
            self.absorb(done);
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        matches!(self.state, State::Full)
    }

    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Returns the segment, waiting for it if need be, at least `len` bytes long. On
    /// [`Error::NoSpace`] nothing has changed.
    pub(crate) fn take(&mut self, seq: SegmentSeq, len: u64) -> Result<Prepared, Error> {
        let mut prepared = self.wait(seq)?;
        match self.extend(&mut prepared, len) {
            Ok(()) => Ok(prepared),
            Err(error) => {
                self.state = State::Ready(prepared);
                Err(error)
            }
        }
    }

    fn wait(&mut self, seq: SegmentSeq) -> Result<Prepared, Error> {
        self.prepare(seq);
        loop {
            if let Some(error) = self.take_error() {
                return Err(error);
            }
            match std::mem::replace(&mut self.state, State::Absent) {
                State::Ready(prepared) => return Ok(prepared),
                State::Full => {
                    self.state = State::Full;
                    return Err(Error::NoSpace { segment: seq });
                }
                unfinished => self.state = unfinished,
            }
            match self.helper.wait() {
                Some(done) => self.absorb(done),
                // The helper thread is gone, and with it the next segment.
                None => return Err(Error::Poisoned),
            }
        }
    }

    /// Makes a segment longer for a batch longer than a segment. The caller waits; such batches are
    /// rare.
    fn extend(&self, prepared: &mut Prepared, len: u64) -> Result<(), Error> {
        if prepared.len >= len {
            return Ok(());
        }
        let grown = prepared.file.allocate(len).and_then(|()| {
            if self.no_fsync {
                Ok(())
            } else {
                prepared.file.sync_all()
            }
        });
        grown
            .map_err(io_error("extend", &prepared.path))
            .map_err(|error| error.or_no_space(prepared.seq))?;
        prepared.len = len;
        Ok(())
    }

    fn absorb(&mut self, done: Done) {
        match done {
            Done::Prepared(prepared) => self.state = State::Ready(prepared),
            Done::NoSpace => self.state = State::Full,
            Done::Nothing => {}
            // The first error is the one to report; others follow from it.
            Done::Failed(error) => self.error = self.error.take().or(Some(error)),
        }
    }
}
