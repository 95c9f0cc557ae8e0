//! Three members on real threads, with channels for a network.

use std::time::Duration;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::*;

type Handles = Arc<OnceLock<BTreeMap<MemberId, NodeHandle>>>;

/// Delivers at once, from the sender's thread.
struct Local(Handles);

impl Transport for Local {
    fn send(&mut self, messages: Vec<PeerMessage>) {
        let Some(handles) = self.0.get() else { return };
        for message in messages {
            if let Some(handle) = handles.get(&message.to) {
                handle.receive(message);
            }
        }
    }
}

struct Cluster {
    members: BTreeMap<MemberId, (Node<Machine>, mpsc::Receiver<Bytes>)>,
}

fn start_cluster() -> Cluster {
    let ids = [1, 2, 3].map(MemberId);
    let initial = ids.map(|id| add(id, ConfChangeKind::AddVoter, ""));
    let handles = Handles::default();
    let mut members = BTreeMap::new();
    for member in ids {
        let disk = SimDisk::new(member.0);
        let identity = Identity {
            cluster: 1,
            member: member.0,
        };
        let dir = Path::new("/wal");
        let options = Options {
            segment_bytes: 64 << 10,
            ..Options::default()
        };
        drop(DurableLog::create(disk.clone(), dir, options, identity, &initial).unwrap());
        let (log, opened) = DurableLog::open(disk, dir, options, Some(identity)).unwrap();
        let (applied, results) = mpsc::channel();
        let (report, _) = mpsc::channel();
        let node = Node::start(Parts {
            config: Config::new(member, 1, 1),
            pace: Pace {
                tick: Duration::from_millis(5),
                ..Pace::default()
            },
            log,
            recovered: opened.recovered,
            from: StartingPoint::default(),
            machine: Machine {
                durable: Durable::default(),
                applied,
                fails_on: None,
            },
            transport: Local(handles.clone()),
            observer: Arc::new(Watch(report)),
            clock: Arc::new(RealClock::new()),
        });
        members.insert(member, (node.unwrap(), results));
    }
    let all = members
        .iter()
        .map(|(id, (node, _))| (*id, node.handle().clone()))
        .collect();
    handles.set(all).unwrap_or_else(|_| panic!("set once"));
    Cluster { members }
}

impl Cluster {
    /// Waits until all know one leader.
    fn leader(&self) -> MemberId {
        loop {
            let known = self
                .members
                .values()
                .map(|(node, _)| node.handle().status().soft.leader);
            let known: Vec<_> = known.collect();
            if known[0] != MemberId::NONE && known.iter().all(|leader| *leader == known[0]) {
                return known[0];
            }
            std::thread::yield_now();
        }
    }

    fn handle(&self, member: MemberId) -> &NodeHandle {
        self.members[&member].0.handle()
    }

    /// Proposes until the payload is applied: a leader may be lost at any time.
    fn propose(&self, at: MemberId, payload: &Bytes) {
        loop {
            self.leader();
            self.handle(at)
                .propose(ProposalId(1), payload.clone())
                .unwrap();
            let (_, applied) = &self.members[&at];
            let deadline = Duration::from_secs(2);
            while let Ok(result) = applied.recv_timeout(deadline) {
                if result == payload {
                    return;
                }
            }
        }
    }

    fn read(&self, at: MemberId) -> LogIndex {
        loop {
            let (send, index) = mpsc::channel();
            let answer = Box::new(move |result| {
                let _ = send.send(result);
            });
            self.handle(at).read_index(answer);
            if let Ok(Ok(index)) = index.recv() {
                return index;
            }
        }
    }
}

/// covers: P-KV-05
#[test]
fn writes_and_reads_work_on_every_member() {
    let cluster = start_cluster();
    let leader = cluster.leader();
    let ids: Vec<_> = cluster.members.keys().copied().collect();
    for n in 0..50u64 {
        for at in &ids {
            let payload = Bytes::from(format!("{n} at {at}"));
            cluster.propose(*at, &payload);
            let applied = cluster.handle(*at).status().applied;
            let reader = ids[usize::try_from(n).unwrap() % ids.len()];
            assert!(cluster.read(reader) >= applied);
        }
    }
    assert!(!ids.iter().any(|id| cluster.handle(*id).reads_alone()));
    let other = ids.iter().copied().find(|id| *id != leader).unwrap();
    while cluster.leader() != other {
        cluster.handle(cluster.leader()).transfer_leader(other);
        std::thread::yield_now();
    }
    cluster.propose(leader, &Bytes::from_static(b"last"));
    let states = cluster
        .members
        .into_values()
        .map(|(node, _)| node.stop().unwrap().durable.payloads);
    let states: Vec<_> = states.collect();
    let shortest = states.iter().map(Vec::len).min().unwrap();
    assert!(shortest >= 100);
    assert!(
        states
            .iter()
            .all(|state| state[..shortest] == states[0][..shortest])
    );
}
