//! One machine: a disk, a clock, and perhaps a running member.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrod_env::Disk;
use ferrod_env::sim::{DiskPace, DriftingClock, Loss, SimClock, SimDisk};
use ferrod_mvcc::backend::Memory;
use ferrod_node::{ConfChange, DurableLog};
use ferrod_wal::{Identity, Options};

use super::process::Process;

/// The one cluster there is.
pub(super) const CLUSTER: u64 = 0xc1;

/// Where the log is.
pub(super) const WAL_DIR: &str = "/wal";

/// A machine. What is on it outlives its processes.
pub(super) struct Host {
    pub(super) id: u64,
    pub(super) disk: Arc<SimDisk>,
    pub(super) pace: DiskPace,
    pub(super) backend: Arc<Memory>,
    pub(super) clock: Arc<DriftingClock>,
    /// Counts processes: what was meant for an earlier one is void.
    pub(super) life: u64,
    pub(super) running: Option<Process>,
    /// The process stands still until then.
    pub(super) paused_until: Duration,
    /// What a loss of power in the middle of a call leaves, when it strikes.
    pub(super) doom: Option<Loss>,
    /// The process died by itself for a reason that was arranged.
    pub(super) may_fail: bool,
}

impl Host {
    pub(super) fn new(id: u64, seed: u64, world: Arc<SimClock>, sync: Range<Duration>) -> Host {
        Host {
            id,
            disk: SimDisk::new(seed),
            pace: DiskPace::new(sync),
            backend: Arc::new(Memory::new()),
            clock: Arc::new(DriftingClock::new(world)),
            life: 0,
            running: None,
            paused_until: Duration::ZERO,
            doom: None,
            may_fail: false,
        }
    }

    /// Makes an empty log, as the start of a new member does.
    pub(super) fn create_log(&self, options: Options, initial: &[ConfChange]) {
        let disk: Arc<dyn Disk> = self.disk.clone();
        let identity = Identity {
            cluster: CLUSTER,
            member: self.id,
        };
        let created = DurableLog::create(disk, Path::new(WAL_DIR), options, identity, initial);
        created.expect("nothing fails yet");
    }

    /// The process is gone, and of what it had not synced only this is left.
    pub(super) fn stop(&mut self, loss: Loss) {
        self.running = None;
        self.life += 1;
        self.disk.restart(loss);
        self.paused_until = Duration::ZERO;
        self.doom = None;
    }

    pub(super) fn is_up(&self) -> bool {
        self.running.is_some()
    }
}
