//! The thread that writes the backend: flushes, and the deletes of compactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrod_env::Clock;
use ferrod_mvcc::{Error, Flusher, Wake};
use ferrod_node::{LogIndex, NodeHandle};
use tokio::sync::{Notify, watch};

use crate::suspect::Suspicion;

/// Rows that wait longer are written even if they are few, so that a restart has little to replay.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// How soon a full disk is looked at again.
const FULL_INTERVAL: Duration = Duration::from_millis(500);

/// Deletes are made with pauses, so that syncs of the log do not wait for one after the other, unless so many have
/// piled up.
const HURRY_ROWS: usize = 100_000;
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The state of the thread that writes the backend.
pub(crate) struct FlushLoop {
    pub(crate) flusher: Flusher,
    /// Before the next deletes.
    pub(crate) pause: Option<Duration>,
    /// Told to whoever accepts requests: there is no room on the disk.
    pub(crate) disk_full: Arc<AtomicBool>,
    pub(crate) node: NodeHandle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) meters: Arc<ferrod_metrics::Metrics>,
    pub(crate) fatal: watch::Sender<Option<String>>,
    pub(crate) suspicion: Arc<Suspicion>,
    /// Rings when a compaction is through.
    pub(crate) compacted: Arc<Notify>,
}

impl FlushLoop {
    /// Runs until the key space is gone; then writes what is left.
    pub(crate) fn run(mut self) {
        while let Some(result) = self.step() {
            if let Err(error) = result {
                self.suspicion.look_at(&error);
                let text = crate::logging::error_chain(&error);
                // Nobody listens any more when the member stops anyway.
                let _stopping = self.fatal.send(Some(text));
                return;
            }
        }
    }

    /// Waits for work and does it; `None` when there will be no more.
    fn step(&mut self) -> Option<Result<(), Error>> {
        let wake = match self.pause.take().map(|pause| self.flusher.rest(pause)) {
            None | Some(Wake::Timeout) => self.flusher.wait(self.interval()),
            Some(wake) => wake,
        };
        let began = self.clock.now();
        let progress = match wake {
            Wake::DeletesDue | Wake::FlushDue | Wake::Timeout => self.flusher.flush(),
            Wake::Closed => match self.flusher.flush() {
                Ok(_) => return None,
                Err(error) => Err(error),
            },
        };
        Some(progress.map(|progress| {
            let took = self.clock.now().saturating_sub(began);
            if progress.rows_written + progress.rows_deleted > 0 {
                let histogram = &self.meters.disk.backend_commit_duration_seconds;
                histogram.observe(took.as_secs_f64());
            }
            self.tell_room(progress.disk_full);
            if progress.rows_deleted > 0 && progress.deletes_pending < HURRY_ROWS {
                self.pause = Some((took * 3).clamp(PAUSE_MIN, PAUSE_MAX));
            }
            let deleted = progress.rows_deleted as u64;
            self.meters.mvcc.db_compaction_keys_total.inc_by(deleted);
            self.node.flushed(LogIndex(progress.applied_index));
            if let Some(revision) = progress.compaction_finished {
                tracing::info!(
                    "compact-revision" = revision,
                    "finished scheduled compaction"
                );
                self.compacted.notify_waiters();
            }
        }))
    }

    fn interval(&self) -> Duration {
        if self.disk_full.load(Ordering::Relaxed) {
            FULL_INTERVAL
        } else {
            FLUSH_INTERVAL
        }
    }

    /// What is applied waits in memory and in the log; that it does is worth a line when it begins and when it ends.
    fn tell_room(&self, disk_full: bool) {
        match (self.disk_full.swap(disk_full, Ordering::Relaxed), disk_full) {
            (false, true) => tracing::error!(
                "no space left for the backend; writes are refused until there is some"
            ),
            (true, false) => tracing::info!("the backend has space again"),
            _ => {}
        }
    }
}
