//! One machine: a disk, a clock, and perhaps a running member.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ferrod_env::Disk;
use ferrod_env::sim::{DiskPace, DriftingClock, Loss, SimClock, SimDisk};
use ferrod_mvcc::backend::Memory;
use ferrod_node::{ConfChange, DurableLog, Healing, MemberId, Standing};
use ferrod_wal::{Identity, Options};

use super::process::Process;

/// The one cluster there is.
pub(super) const CLUSTER: u64 = 0xc1;

/// What was damaged on the disk of a member that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// A start finds out whether what is left is enough.
    Possible,
    /// A start must find it.
    Certain,
    /// It was found, and nobody has told yet where the member may begin again.
    Found,
}

/// A member that found damage asks in rounds.
#[derive(Debug, Default)]
pub(super) struct Consulting {
    /// Which round it is; none has begun at 0.
    pub(super) round: u64,
    /// Those that have said in an earlier round that they wait too.
    pub(super) waiting: Vec<MemberId>,
    /// Those that have said it in this one.
    pub(super) also_waiting: Vec<MemberId>,
    /// What was said in this round.
    pub(super) answers: Vec<Standing>,
}

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
    /// Where the log is: elsewhere after it was damaged.
    pub(super) wal_dir: PathBuf,
    pub(super) damage: Option<Damage>,
    /// The highest index that it may have acknowledged before something was damaged.
    pub(super) owes: u64,
    /// What the others have said to a member that found damage.
    pub(super) consulting: Consulting,
    /// The mark of a suspect member, which outlives its processes.
    pub(super) healing: Option<Healing>,
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
            wal_dir: PathBuf::from("/wal"),
            damage: None,
            owes: 0,
            consulting: Consulting::default(),
            healing: None,
        }
    }

    /// Makes an empty log, as the start of a new member does.
    pub(super) fn create_log(&self, options: Options, initial: &[ConfChange]) {
        let disk: Arc<dyn Disk> = self.disk.clone();
        let identity = Identity {
            cluster: CLUSTER,
            member: self.id,
        };
        let created = DurableLog::create(disk, &self.wal_dir, options, identity, initial);
        created.expect("nothing fails yet");
    }

    /// Puts everything aside and has the mark say how the member goes on.
    pub(super) fn heal(&mut self, healing: Healing) {
        self.healing = Some(healing);
        self.consulting = Consulting::default();
        self.damage = None;
        self.wal_dir = PathBuf::from(format!("/wal-{}", self.life));
        self.backend = Arc::new(Memory::new());
    }

    /// Makes the log of a suspect member, unless an earlier start has done so.
    ///
    /// # Errors
    /// As the log, for one if power is lost meanwhile.
    pub(super) fn begin_again(&self, options: Options) -> Result<(), ferrod_node::Error> {
        let Some(healing) = self.healing else {
            return Ok(());
        };
        let disk: Arc<dyn Disk> = self.disk.clone();
        let identity = Identity {
            cluster: CLUSTER,
            member: self.id,
        };
        let begun = DurableLog::begin_again(disk, &self.wal_dir, options, identity, healing.floor);
        match begun {
            Ok(_) | Err(ferrod_node::Error::Wal(ferrod_wal::Error::Exists { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether it is up, has no log, and asks how it can heal.
    pub(super) fn waits(&self) -> bool {
        self.damage == Some(Damage::Found) && self.consulting.round > 0
    }

    /// Whether it may have forgotten what it promised.
    pub(super) fn is_doubted(&self) -> bool {
        self.damage.is_some() || self.healing.is_some()
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

    /// Whether it closes the connections of this member, which it knows to be removed.
    pub(super) fn refuses(&self, member: u64) -> bool {
        let process = self.running.as_ref();
        process.is_some_and(|process| process.cluster.load().members.removed.contains(&member))
    }

    /// Whether clients are answered: only by voters, and not by a suspect one.
    pub(super) fn is_serving(&self) -> bool {
        let votes = |process: &Process| {
            let cluster = process.cluster.load();
            let member = cluster.members.present.get(&self.id);
            member.is_some_and(|member| !member.is_learner)
        };
        self.healing.is_none() && self.running.as_ref().is_some_and(votes)
    }
}
