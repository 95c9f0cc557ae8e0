//! Whole members on real threads, over a simulated disk.

mod cluster;

use std::path::Path;
use std::sync::mpsc;

use ferrod_env::RealClock;
use ferrod_env::sim::{Effect, Op, SimDisk, When};
use ferrod_wal::{Identity, Options};

use super::*;
use crate::{
    AppliedChange, BoxError, CommittedChange, ConfChange, ConfChangeKind, ConfState, Entry,
    EntryKind, NoPeers, OpenedLog, Role, SoftState, StateMeta, Term,
};

const SELF: MemberId = MemberId(7);
const IDENTITY: Identity = Identity {
    cluster: 1,
    member: 7,
};

/// What a state machine has made durable: all it needs to start again.
#[derive(Clone, Default)]
struct Durable {
    from: StartingPoint,
    payloads: Vec<Bytes>,
}

struct Machine {
    durable: Durable,
    applied: mpsc::Sender<Bytes>,
    fails_on: Option<Bytes>,
}

impl Machine {
    fn moved_to(&mut self, index: LogIndex, term: Term) {
        assert_eq!(
            index,
            self.durable.from.applied.next(),
            "each index once, in order"
        );
        self.durable.from.applied = index;
        self.durable.from.applied_term = term;
    }
}

impl StateMachine for Machine {
    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
        for entry in entries {
            assert_eq!(entry.kind, EntryKind::Normal);
            self.moved_to(entry.index, entry.term);
            if self.fails_on.as_ref() == Some(&entry.payload) {
                return Err("broken".into());
            }
            if !entry.payload.is_empty() {
                self.durable.payloads.push(entry.payload.clone());
                let _ = self.applied.send(entry.payload);
            }
        }
        Ok(())
    }

    fn judge_change(&mut self, change: &CommittedChange) -> bool {
        change.change.context != "refuse"
    }

    fn apply_change(&mut self, change: AppliedChange) -> Result<(), BoxError> {
        self.moved_to(change.committed.index, change.committed.term);
        let text = match change.conf_state {
            Some(conf_state) => {
                let text = format!("{:?}", conf_state.learners);
                self.durable.from.conf_state = conf_state;
                text
            }
            None => "refused".to_owned(),
        };
        let _ = self.applied.send(text.into());
        Ok(())
    }

    fn install(&mut self, _state: &StateMeta) -> Result<(), BoxError> {
        Err("nobody sends copies here".into())
    }

    fn role_changed(&mut self, _state: SoftState) {}
}

struct Watch(mpsc::Sender<String>);

impl Observer for Watch {
    fn dropped(&self, ids: Vec<ProposalId>, reason: DropReason) {
        let _ = self.0.send(format!("dropped {}: {reason}", ids.len()));
    }

    fn failed(&self, error: &Error) {
        let source = std::error::Error::source(error);
        let _ = self
            .0
            .send(format!("failed: {error}: {}", source.expect("has a cause")));
    }
}

struct Running {
    node: Node<Machine>,
    applied: mpsc::Receiver<Bytes>,
    events: mpsc::Receiver<String>,
}

fn add(member: MemberId, kind: ConfChangeKind, context: &'static str) -> ConfChange {
    ConfChange {
        id: 0,
        kind,
        member,
        context: Bytes::from_static(context.as_bytes()),
    }
}

fn create(disk: &Arc<SimDisk>) -> DurableLog {
    let initial = [add(SELF, ConfChangeKind::AddVoter, "")];
    let options = Options {
        segment_bytes: 64 << 10,
        ..Options::default()
    };
    DurableLog::create(disk.clone(), Path::new("/wal"), options, IDENTITY, &initial).unwrap();
    open(disk).0
}

fn open(disk: &Arc<SimDisk>) -> (DurableLog, OpenedLog) {
    let options = Options {
        segment_bytes: 64 << 10,
        ..Options::default()
    };
    DurableLog::open(disk.clone(), Path::new("/wal"), options, Some(IDENTITY)).unwrap()
}

fn start(disk: &Arc<SimDisk>, durable: Durable, pace: Pace) -> Running {
    start_with(disk, durable, pace, None)
}

fn start_with(
    disk: &Arc<SimDisk>,
    durable: Durable,
    pace: Pace,
    fails_on: Option<Bytes>,
) -> Running {
    let (log, opened) = open(disk);
    let (send, applied) = mpsc::channel();
    let (report, events) = mpsc::channel();
    let node = Node::start(Parts {
        config: Config::new(SELF, 1, 1),
        pace,
        log,
        recovered: opened.recovered,
        from: durable.from.clone(),
        machine: Machine {
            durable,
            applied: send,
            fails_on,
        },
        transport: NoPeers,
        observer: Arc::new(Watch(report)),
        clock: Arc::new(RealClock::new()),
    })
    .unwrap();
    let running = Running {
        node,
        applied,
        events,
    };
    while !running.node.handle().reads_alone() {
        assert!(!running.node.handle().is_stopped());
        std::thread::yield_now();
    }
    running
}

impl Running {
    fn propose(&self, number: u64) {
        let payload = number.to_be_bytes().to_vec().into();
        self.node
            .handle()
            .propose(ProposalId(number), payload)
            .unwrap();
    }

    fn stop(self) -> Durable {
        self.node.stop().unwrap().durable
    }
}

fn numbers(durable: &Durable) -> Vec<u64> {
    durable
        .payloads
        .iter()
        .map(|payload| u64::from_be_bytes(payload[..].try_into().unwrap()))
        .collect()
}

///
#[test]
fn proposals_are_applied_in_order_and_survive_a_restart() {
    for apply_here_max in [0, 4] {
        let pace = Pace {
            apply_here_max,
            ..Pace::default()
        };
        let disk = SimDisk::new(1);
        drop(create(&disk));
        let running = start(&disk, Durable::default(), pace);
        (0..1000).for_each(|number| running.propose(number));
        let durable = running.stop();
        assert_eq!(numbers(&durable), (0..1000).collect::<Vec<_>>());

        // The state machine lost what it had not made durable; the log brings it back, once.
        let running = start(&disk, Durable::default(), pace);
        running.propose(1000);
        let again = running.stop();
        assert_eq!(numbers(&again), (0..=1000).collect::<Vec<_>>());

        let running = start(&disk, again, pace);
        running.propose(1001);
        assert_eq!(numbers(&running.stop()), (0..=1001).collect::<Vec<_>>());
    }
}

#[test]
fn status_and_reads_need_no_round_when_alone() {
    let disk = SimDisk::new(1);
    drop(create(&disk));
    let running = start(&disk, Durable::default(), Pace::default());
    running.propose(5);
    running
        .applied
        .iter()
        .find(|payload| payload.len() == 8)
        .unwrap();
    let (send, index) = mpsc::channel();
    running
        .node
        .handle()
        .read_index(Box::new(move |result| send.send(result).unwrap()));
    assert_eq!(index.recv().unwrap(), Ok(LogIndex(3)));
    let status = running.node.handle().status();
    assert_eq!((status.soft.role, status.soft.leader), (Role::Leader, SELF));
    assert_eq!((status.committed, status.last), (LogIndex(3), LogIndex(3)));
    let handle = running.node.handle().clone();
    running.stop();
    assert_eq!(
        handle.propose(ProposalId(1), Bytes::new()),
        Err(DropReason::Stopped)
    );
    assert!(handle.is_stopped() && !handle.reads_alone());
}

#[test]
fn changes_of_membership_are_judged_and_stored() {
    let disk = SimDisk::new(1);
    drop(create(&disk));
    let running = start(&disk, Durable::default(), Pace::default());
    assert_eq!(running.applied.recv().unwrap(), "[]");
    let change = |change: ConfChange| {
        let proposal = Proposal::conf_change(ProposalId(1), &change);
        running.node.handle().propose_as(proposal).unwrap();
        String::from_utf8(running.applied.recv().unwrap().to_vec()).unwrap()
    };
    assert_eq!(
        change(add(MemberId(9), ConfChangeKind::AddLearner, "")),
        "[MemberId(9)]"
    );
    assert_eq!(
        change(add(MemberId(9), ConfChangeKind::Remove, "refuse")),
        "refused"
    );
    assert_eq!(
        change(add(SELF, ConfChangeKind::Remove, "")),
        "refused",
        "a cluster keeps a voter"
    );
    assert_eq!(
        change(add(MemberId(9), ConfChangeKind::Update, "")),
        "[MemberId(9)]"
    );
    assert_eq!(change(add(MemberId(9), ConfChangeKind::Remove, "")), "[]");
    assert!(running.node.handle().reads_alone());
    running.stop();
}

/// covers: D-09
#[test]
fn a_failed_sync_stops_the_member_and_acknowledges_nothing() {
    let disk = SimDisk::new(1);
    drop(create(&disk));
    let running = start(&disk, Durable::default(), Pace::default());
    running.propose(1);
    while running.applied.recv().unwrap().len() != 8 {}
    let next = disk.calls_of(Op::SyncData) + 1;
    for nth in next..next + 3 {
        disk.script(
            When::Nth(Op::SyncData, nth),
            Effect::Error(std::io::ErrorKind::Other),
        );
    }
    running.propose(2);
    assert!(
        running
            .events
            .recv()
            .unwrap()
            .starts_with("failed: log: sync")
    );
    assert!(running.applied.try_recv().is_err());
    assert!(running.node.stop().is_err());
}

#[test]
fn a_failed_apply_stops_the_member() {
    let disk = SimDisk::new(1);
    drop(create(&disk));
    let poison = Bytes::copy_from_slice(&2u64.to_be_bytes());
    let running = start_with(&disk, Durable::default(), Pace::default(), Some(poison));
    running.propose(2);
    // The member may have stopped by now.
    let _late = running
        .node
        .handle()
        .propose(ProposalId(3), Bytes::from_static(b"late"));
    assert_eq!(
        running.events.recv().unwrap(),
        "failed: state machine: broken"
    );
    assert!(matches!(running.node.stop(), Err(Error::StateMachine(_))));
}

#[test]
fn segments_below_the_flushed_index_are_freed() {
    let disk = SimDisk::new(1);
    drop(create(&disk));
    let running = start(&disk, Durable::default(), Pace::default());
    let payload = Bytes::from(vec![1; 4000]);
    for number in 0..200 {
        running
            .node
            .handle()
            .propose(ProposalId(number), payload.clone())
            .unwrap();
        while running.applied.recv().unwrap().len() < 4000 {}
    }
    let before = disk.files().len();
    running.node.handle().flushed(LogIndex(200));
    let durable = running.stop();
    assert!(disk.files().len() < before, "{:?}", disk.files());
    let (_, opened) = open(&disk);
    let first = opened.recovered.entries()[0].index;
    assert!(first > LogIndex(1) && first <= LogIndex(200));
    start(&disk, durable, Pace::default()).stop();
}

#[test]
fn a_log_without_room_refuses_proposals() {
    let disk = SimDisk::new(1);
    drop(create(&disk));
    let running = start(&disk, Durable::default(), Pace::default());
    disk.set_capacity(Some(300 << 10));
    let propose = |bytes: usize| {
        let payload = Bytes::from(vec![1; bytes]);
        running
            .node
            .handle()
            .propose(ProposalId(1), payload)
            .unwrap();
    };
    let wait_for = |bytes| while running.applied.recv().unwrap().len() != bytes {};
    // Taken, but the log cannot hold it: nothing is lost, and nothing new is taken.
    propose(400 << 10);
    while !running.node.handle().status().full {
        std::thread::yield_now();
    }
    propose(10);
    assert_eq!(
        running.events.recv().unwrap(),
        "dropped 1: no space left for the log"
    );
    disk.set_capacity(None);
    wait_for(400 << 10);
    while running.node.handle().status().full {
        std::thread::yield_now();
    }
    propose(20);
    wait_for(20);
    running.stop();
}

#[test]
fn what_does_not_belong_together_does_not_start() {
    let disk = SimDisk::new(1);
    drop(create(&disk));
    let (log, opened) = open(&disk);
    let from = StartingPoint {
        applied: LogIndex(9),
        applied_term: Term(1),
        conf_state: ConfState::new(vec![SELF], vec![]),
    };
    let (applied, _) = mpsc::channel();
    let (report, _) = mpsc::channel();
    let started = Node::start(Parts {
        config: Config::new(SELF, 1, 1),
        pace: Pace::default(),
        log,
        recovered: opened.recovered,
        from: from.clone(),
        machine: Machine {
            durable: Durable {
                from,
                payloads: Vec::new(),
            },
            applied,
            fails_on: None,
        },
        transport: NoPeers,
        observer: Arc::new(Watch(report)),
        clock: Arc::new(RealClock::new()),
    });
    let error = started.err().unwrap().to_string();
    assert_eq!(
        error,
        "state machine has applied index 9, but the log holds 1 to 1"
    );
}
