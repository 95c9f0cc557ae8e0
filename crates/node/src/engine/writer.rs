//! The disk's side: one job at a time, in order.

use std::sync::Arc;

use ferrod_env::Clock;

use crate::log_reader::LogReader;
use crate::status::Board;
use crate::{Batch, DurableLog, Error, Input, LogIndex, Observer};

/// Something for the log to do.
pub(crate) enum WriteJob {
    /// Batches to write, and to sync if one of them asks for it.
    Batches(Vec<Batch>),
    /// Nothing more comes for now: make what is there provable.
    Idle,
    /// The state machine has made the effect of an index durable; some members may still want what
    /// lies before it.
    Release {
        flushed: LogIndex,
        wanted: LogIndex,
        wanted_bytes_max: u64,
    },
    /// See whether a full disk has room again.
    Probe,
}

/// Owner of the log on disk.
pub(crate) struct Writer {
    log: DurableLog,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    board: Arc<Board>,
    /// Batches that the log had no room for. It is whole, so they are tried again, in their order.
    stuck: Vec<Batch>,
}

impl Writer {
    pub(crate) fn new(
        log: DurableLog,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        board: Arc<Board>,
    ) -> Writer {
        Writer {
            log,
            clock,
            observer,
            board,
            stuck: Vec::new(),
        }
    }

    /// Reads the log while this writes it.
    pub(crate) fn reader(&self) -> LogReader {
        self.log.reader()
    }

    /// Does one job; returns what the core wants to know of it. After an error nothing more may be
    /// asked.
    pub(crate) fn run(&mut self, job: WriteJob) -> Result<Option<Input>, Error> {
        let news = match job {
            WriteJob::Batches(batches) => self.write(batches)?,
            WriteJob::Probe => self.write(Vec::new())?,
            WriteJob::Idle => {
                self.log.sync_idle()?;
                None
            }
            WriteJob::Release {
                flushed,
                wanted,
                wanted_bytes_max,
            } => {
                fail::fail_point!("raftBeforeWALRelease");
                let gone = self.log.release(flushed, wanted, wanted_bytes_max)?;
                fail::fail_point!("raftAfterWALRelease");
                gone.map(Input::Released)
            }
        };
        self.board
            .set_full(self.log.is_full() || !self.stuck.is_empty());
        Ok(news)
    }

    fn write(&mut self, batches: Vec<Batch>) -> Result<Option<Input>, Error> {
        self.stuck.extend(batches);
        if self.stuck.is_empty() {
            return Ok(None);
        }
        fail::fail_point!("raftBeforeSave");
        let start = self.clock.now();
        match self.log.write(&self.stuck) {
            Err(Error::Wal(ferrod_wal::Error::NoSpace { .. })) => return Ok(None),
            Err(error) => return Err(error),
            Ok(stats) => self
                .observer
                .written(self.clock.now().saturating_sub(start), stats),
        }
        fail::fail_point!("raftAfterSave");
        let last = self.stuck.iter().rev().find(|batch| batch.sync);
        let news = last.map(|batch| Input::Persisted(batch.number));
        self.stuck.clear();
        Ok(news)
    }
}
