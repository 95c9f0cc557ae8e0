//! What a seed chooses before anything happens: the cluster, its work and its troubles.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use ferrod_env::sim::LinkFaults;

/// One run. Not every kind of trouble is in every run: some bugs only show when others are absent.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// What everything follows from.
    pub(super) seed: u64,
    /// Members at the start.
    pub(super) members: u64,
    /// How long troubles last; then the cluster must recover.
    pub(super) troubles_last: Duration,
    /// Time between two troubles, on average.
    pub(super) trouble_every: Duration,
    /// Kinds of trouble, each as often as it occurs here.
    pub(super) troubles: Vec<Trouble>,
    /// Time between two wishes of an operator who changes the membership, on average; `None`: it stays.
    pub(super) operates_every: Option<Duration>,
    /// How links are when nothing is wrong with them.
    pub(super) links: LinkFaults,
    /// How long a sync takes.
    pub(super) sync_takes: Range<Duration>,
    /// Clients with one call at a time each.
    pub(super) clients: u64,
    /// Time between the calls of a client, on average.
    pub(super) think: Duration,
    /// Keys that are written.
    pub(super) keys: u64,
    /// Length of a segment of the log.
    pub(super) segment_bytes: u64,
    /// Time between two looks at whether something should be flushed.
    pub(super) flush_every: Duration,
    /// Bytes at which a flush is due.
    pub(super) flush_bytes: usize,
    /// Bytes of entries in a message.
    pub(super) message_bytes_max: u64,
    /// Bytes of applied entries in memory; who needs older ones gets a copy of the state.
    pub(super) log_bytes_max: u64,
    /// How much faster or slower clocks may run, in millionths.
    pub(super) drift_ppm_max: i32,
}

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A process dies, the machine lives.
    Kill,
    /// A machine loses power.
    PowerLoss,
    /// A machine loses power in the middle of a call on its disk.
    PowerLossInCall,
    /// Every machine loses power.
    ///
    /// covers: P-07
    PowerLossOfAll,
    /// A process stands still for a while.
    ///
    /// covers: P-09, R-024
    Pause,
    /// The members fall into two groups.
    Partition,
    /// One member hears nobody, or nobody hears it.
    OneWay,
    /// Two members do not reach each other.
    ///
    /// covers: N-05
    BrokenLink,
    /// A link holds everything back for a while.
    Clog,
    /// All links lose, repeat, delay and reorder for a while.
    BadNetwork,
    /// A disk does nothing for a while.
    ///
    ///
    DiskStall,
    /// A call on a disk fails.
    DiskError,
    /// A commit of the backend fails.
    CommitError,
    /// Clocks change their rates.
    Drift,
    /// Leadership is handed over.
    ///
    /// covers: N-13
    Transfer,
    /// A process dies, or two do, and what is on their disks is not what they wrote.
    Damage,
}

const ALL: [Trouble; 16] = [
    Trouble::Kill,
    Trouble::PowerLoss,
    Trouble::PowerLossInCall,
    Trouble::PowerLossOfAll,
    Trouble::Pause,
    Trouble::Partition,
    Trouble::OneWay,
    Trouble::BrokenLink,
    Trouble::Clog,
    Trouble::BadNetwork,
    Trouble::DiskStall,
    Trouble::DiskError,
    Trouble::CommitError,
    Trouble::Drift,
    Trouble::Transfer,
    Trouble::Damage,
];

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Plan {
    /// What this seed chooses.
    pub(super) fn new(seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0x5eed);
        let members = [1, 3, 3, 3, 3, 5][rng.usize(0..6)];
        Plan {
            seed,
            members,
            troubles_last: ms(rng.u64(10_000..40_000)),
            trouble_every: ms(rng.u64(300..4_000)),
            troubles: troubles(&mut rng),
            operates_every: rng.bool().then(|| ms(rng.u64(200..4_000))),
            links: links(&mut rng),
            sync_takes: sync(&mut rng),
            clients: rng.u64(2..8),
            think: ms(rng.u64(5..120)),
            keys: rng.u64(2..12),
            segment_bytes: 1 << rng.u32(13..18),
            flush_every: ms(rng.u64(50..2_000)),
            flush_bytes: 1 << rng.u32(9..15),
            message_bytes_max: 1 << rng.u32(8..20),
            log_bytes_max: 1 << rng.u32(10..22),
            drift_ppm_max: [0, 1_000, 100_000][rng.usize(0..3)],
        }
    }
}

fn troubles(rng: &mut Rng) -> Vec<Trouble> {
    let mut chosen: Vec<_> = ALL
        .iter()
        .flat_map(|trouble| std::iter::repeat_n(*trouble, rng.usize(0..4)))
        .collect();
    if chosen.is_empty() {
        chosen.push(Trouble::Kill);
    }
    chosen
}

fn links(rng: &mut Rng) -> LinkFaults {
    let shortest = rng.u64(50..2_000);
    LinkFaults {
        delay: Duration::from_micros(shortest)..Duration::from_micros(shortest * rng.u64(2..6)),
        ..LinkFaults::default()
    }
}

fn sync(rng: &mut Rng) -> Range<Duration> {
    let shortest = rng.u64(20..5_000);
    Duration::from_micros(shortest)..Duration::from_micros(shortest * rng.u64(2..10))
}

/// All links while the network is bad.
pub(super) fn bad_links(rng: &mut Rng, usual: &LinkFaults) -> LinkFaults {
    LinkFaults {
        delay: usual.delay.clone(),
        tail: rng.f64() * 0.2,
        tail_delay_max: ms(rng.u64(10..3_000)),
        loss: rng.f64() * rng.f64() * 0.5,
        repeat: rng.f64() * 0.2,
        reorder: rng.f64() * rng.f64(),
    }
}
