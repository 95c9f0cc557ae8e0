//! What a member that is alone costs: `cargo run --release -p ferrod-node --example bench --
//! CALLERS SECONDS [DIR [APPLY_HERE_MAX [WORK_US]]]`.
//!
//! Two threads stand for the server's runtimes. Each has half of the callers, who propose 300
//! bytes, wait until that is applied, and propose again; a runtime is woken once for all its
//! callers whose proposals were applied together. The state machine does nothing; a runtime works
//! for WORK_US on each proposal, as a server does. With one caller there is one runtime, and the
//! time of each proposal is taken.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use ferrod_env::{Clock, RealClock, RealDisk};
use ferrod_node::{
    AppliedChange, BoxError, CommittedChange, ConfChange, ConfChangeKind, Config, DropReason,
    DurableLog, Entry, Error, MemberId, NoPeers, Node, NodeHandle, Observer, Pace, Parts,
    ProposalId, SoftState, StartingPoint, StateMachine, StateMeta, WriteStats,
};
use ferrod_wal::{Identity, Options};

const PAYLOAD_BYTES: usize = 300;

/// Tells each runtime which of its callers may go on.
struct Machine {
    runtimes: Vec<Sender<Vec<u64>>>,
    woken: Vec<Vec<u64>>,
    batches: Arc<AtomicU64>,
}

impl StateMachine for Machine {
    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        for entry in &entries {
            if let Some(caller) = entry.payload.first_chunk() {
                let caller = u64::from_le_bytes(*caller);
                let runtime = usize::try_from(caller)? % self.runtimes.len();
                self.woken[runtime].push(caller);
            }
        }
        for (runtime, woken) in self.runtimes.iter().zip(&mut self.woken) {
            if !woken.is_empty() {
                // A runtime that has ended wants no answers.
                let _ = runtime.send(std::mem::take(woken));
            }
        }
        Ok(())
    }

    fn judge_change(&mut self, _change: &CommittedChange) -> bool {
        true
    }

    fn apply_change(&mut self, _change: AppliedChange) -> Result<(), BoxError> {
        Ok(())
    }

    fn install(&mut self, _state: &StateMeta) -> Result<(), BoxError> {
        Err("there is nobody to get a copy from".into())
    }

    fn role_changed(&mut self, _state: SoftState) {}
}

struct Counters {
    syncs: AtomicU64,
    nanos: AtomicU64,
}

impl Observer for Counters {
    fn dropped(&self, ids: Vec<ProposalId>, reason: DropReason) {
        println!("dropped {}: {reason}", ids.len());
    }

    fn failed(&self, error: &Error) {
        println!("failed: {error:?}");
    }

    fn written(&self, took: Duration, _stats: WriteStats) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

fn propose(node: &NodeHandle, caller: u64) {
    let mut payload = vec![0x5a; PAYLOAD_BYTES];
    payload[..8].copy_from_slice(&caller.to_le_bytes());
    if node
        .propose(ProposalId(caller + 1), Bytes::from(payload))
        .is_err()
    {
        println!("stopped");
    }
}

/// Drives its callers until told to stop; returns the latencies if there is only one, and how many
/// proposals were applied.
fn runtime(
    node: &NodeHandle,
    callers: Vec<u64>,
    woken: &Receiver<Vec<u64>>,
    clock: &RealClock,
    stop: &AtomicBool,
    work: Duration,
) -> (u64, Vec<Duration>) {
    let single = callers.len() == 1;
    let mut latencies = Vec::new();
    let mut done = 0;
    let mut start = clock.now();
    for caller in callers {
        propose(node, caller);
    }
    while let Ok(batch) = woken.recv() {
        done += batch.len() as u64;
        if single {
            latencies.push(clock.now() - start);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        start = clock.now();
        for caller in batch {
            let until = clock.now() + work;
            while clock.now() < until {}
            propose(node, caller);
        }
    }
    (done, latencies)
}

/// User and system time of this process, in clock ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let callers: u64 = args.next().as_deref().unwrap_or("1").parse()?;
    let seconds: u64 = args.next().as_deref().unwrap_or("3").parse()?;
    let parent = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let apply_here_max = args.next().as_deref().unwrap_or("4").parse()?;
    let work = Duration::from_micros(args.next().as_deref().unwrap_or("0").parse()?);
    let scratch = tempfile::tempdir_in(parent)?;

    let clock = Arc::new(RealClock::new());
    let member = MemberId(1);
    let identity = Identity {
        cluster: 1,
        member: 1,
    };
    let voter = ConfChange {
        id: 0,
        kind: ConfChangeKind::AddVoter,
        member,
        context: Bytes::new(),
    };
    let dir = scratch.path().join("wal");
    let options = Options::default();
    DurableLog::create(Arc::new(RealDisk), &dir, options, identity, &[voter])?;
    let (log, opened) = DurableLog::open(Arc::new(RealDisk), &dir, options, Some(identity))?;

    let runtimes = callers.min(2);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..runtimes)
        .map(|_| crossbeam_channel::unbounded())
        .unzip();
    let batches = Arc::new(AtomicU64::new(0));
    let counters = Arc::new(Counters {
        syncs: AtomicU64::new(0),
        nanos: AtomicU64::new(0),
    });
    let woken = vec![Vec::new(); senders.len()];
    let node = Node::start(Parts {
        config: Config::new(member, 1, 1),
        pace: Pace {
            apply_here_max,
            ..Pace::default()
        },
        log: log.with_helper_thread()?,
        recovered: opened.recovered,
        from: StartingPoint::default(),
        machine: Machine {
            runtimes: senders,
            woken,
            batches: batches.clone(),
        },
        transport: NoPeers,
        observer: counters.clone(),
        clock: clock.clone(),
    })?;
    while !node.handle().reads_alone() {
        std::thread::yield_now();
    }

    let stop = AtomicBool::new(false);
    let (start, cpu_start) = (clock.now(), cpu());
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..runtimes)
            .map(|n| {
                let mine = (n..callers)
                    .step_by(usize::try_from(runtimes).expect("at most 2"))
                    .collect();
                let (node, woken) = (
                    node.handle(),
                    &receivers[usize::try_from(n).expect("at most 1")],
                );
                let (clock, stop) = (&clock, &stop);
                scope.spawn(move || runtime(node, mine, woken, clock, stop, work))
            })
            .collect();
        let (_keep, timer) = crossbeam_channel::bounded::<()>(0);
        let _ = timer.recv_timeout(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let (took, cpu) = (clock.now() - start, cpu() - cpu_start);

    let done: u64 = results.iter().map(|(done, _)| done).sum();
    let syncs = counters.syncs.load(Ordering::Relaxed);
    let sync_nanos = counters.nanos.load(Ordering::Relaxed);
    println!(
        "{callers} callers: {:.0} proposals/s, {:.2} us CPU each, {:.1} per sync, {} us per write, {:.1} per apply",
        done as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / done as f64,
        done as f64 / syncs as f64,
        sync_nanos / syncs.max(1) / 1000,
        done as f64 / batches.load(Ordering::Relaxed) as f64,
    );
    let mut latencies: Vec<_> = results
        .into_iter()
        .flat_map(|(_, latencies)| latencies)
        .collect();
    if !latencies.is_empty() {
        latencies.sort_unstable();
        let at = |part: usize| latencies[latencies.len() * part / 1000];
        println!(
            "latency p50 {:?} p99 {:?} p99.9 {:?}",
            at(500),
            at(990),
            at(999)
        );
    }
    node.stop()?;
    Ok(())
}
