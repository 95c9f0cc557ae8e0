//! A cluster whose time, network and disks are turned by hand.

mod seams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ferrod_env::sim::{Loss, SimClock, SimDisk};
use ferrod_wal::{Identity, Options};

use self::seams::{Kept, Machine, Net, Parcel, Shared, Told};
use crate::{
    ConfChange, ConfChangeKind, ConfState, Config, DurableLog, Error, Executor, LogIndex, MemberId,
    Next, Pace, Parts, PeerBody, Proposal, ProposalId, ReadFailure, Role, StateMeta, Work,
};

/// A round of everyone's steps takes this long.
pub(super) const STEP: Duration = Duration::from_millis(1);

pub(super) struct Site {
    pub(super) disk: Arc<SimDisk>,
    pub(super) kept: Shared<Kept>,
    pub(super) told: Shared<Told>,
    /// `None` while it is down.
    pub(super) running: Option<Executor<Machine, Net>>,
    /// Its disk answers nothing at present.
    pub(super) hangs: bool,
    /// Its process stands still.
    pub(super) frozen: bool,
    boots: u64,
}

pub(super) struct Cluster {
    pub(super) clock: Arc<SimClock>,
    pub(super) sites: BTreeMap<MemberId, Site>,
    network: Shared<VecDeque<Parcel>>,
    seed: u64,
    log_bytes_max: u64,
    /// Bytes of log kept on disk for members that lag.
    lagging_bytes_max: u64,
    proposals: u64,
    /// Members that hear nothing and are not heard.
    pub(super) cut_off: Vec<MemberId>,
    /// Members of which the one does not hear the other.
    pub(super) cut_links: BTreeSet<(MemberId, MemberId)>,
    /// Copies of the state stay on their way.
    pub(super) copies_wait: bool,
}

pub(super) const ALL: [MemberId; 3] = [MemberId(1), MemberId(2), MemberId(3)];

fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        ..Options::default()
    }
}

impl Cluster {
    /// Three members, running; nobody leads yet.
    pub(super) fn new(seed: u64, log_bytes_max: u64) -> Cluster {
        Cluster::with_log(seed, log_bytes_max, 0)
    }

    /// As [`Cluster::new`], with bytes of log kept for members that lag.
    pub(super) fn with_log(seed: u64, log_bytes_max: u64, lagging_bytes_max: u64) -> Cluster {
        Cluster::begin(&ALL, seed, log_bytes_max, lagging_bytes_max)
    }

    /// So many members, running; nobody leads yet. They have not started in the same moment, so their ticks do not meet.
    pub(super) fn of(members: u64, seed: u64) -> Cluster {
        let members: Vec<_> = (1..=members).map(MemberId).collect();
        let mut cluster = Cluster::begin(&members, seed, 64 << 20, 0);
        cluster
            .sites
            .values_mut()
            .for_each(|site| site.frozen = true);
        for member in members {
            cluster.site(member).frozen = false;
            cluster.run_for(113 * STEP);
        }
        cluster
    }

    fn begin(
        members: &[MemberId],
        seed: u64,
        log_bytes_max: u64,
        lagging_bytes_max: u64,
    ) -> Cluster {
        let mut cluster = Cluster {
            clock: Arc::new(SimClock::new(SystemTime::UNIX_EPOCH)),
            sites: BTreeMap::new(),
            network: Arc::default(),
            seed,
            log_bytes_max,
            lagging_bytes_max,
            proposals: 0,
            cut_off: Vec::new(),
            cut_links: BTreeSet::new(),
            copies_wait: false,
        };
        let voter = |member: &MemberId| change(ConfChangeKind::AddVoter, *member);
        let initial: Vec<_> = members.iter().map(voter).collect();
        for member in members {
            cluster.build(*member, &initial);
        }
        cluster
    }

    /// A machine with a log that begins with these members, running.
    fn build(&mut self, member: MemberId, initial: &[ConfChange]) {
        let disk = SimDisk::new(self.seed + member.0);
        let (dir, identity) = (Path::new("/wal"), identity(member));
        let log = DurableLog::create(disk.clone(), dir, options(), identity, initial);
        drop(log.unwrap());
        let site = Site {
            disk,
            kept: Arc::default(),
            told: Arc::default(),
            running: None,
            hangs: false,
            frozen: false,
            boots: 0,
        };
        self.sites.insert(member, site);
        self.start(member).unwrap();
    }

    /// Starts a machine that is to join, with an empty log.
    pub(super) fn join(&mut self, member: MemberId) {
        self.build(member, &[]);
    }

    /// Proposes a change of the membership, and waits until whoever is up knows what came of it.
    pub(super) fn change(&mut self, kind: ConfChangeKind, member: MemberId) {
        let leader = self.elect();
        self.proposals += 1;
        let proposal = Proposal::conf_change(ProposalId(self.proposals), &change(kind, member));
        let running = self.sites[&leader].running.as_ref().unwrap();
        running.handle().propose_as(proposal).unwrap();
        let last = self.propose(leader);
        self.run_until(|cluster| cluster.has(leader, &last));
    }

    /// Who votes and who learns, as this member has it with its state.
    pub(super) fn conf(&self, member: MemberId) -> ConfState {
        let kept = self.sites[&member].kept.lock().unwrap();
        kept.state.from.conf_state.clone()
    }

    /// All members die at once, without what they had not synced, and start again.
    pub(super) fn restart_all(&mut self) {
        let members: Vec<_> = self.sites.keys().copied().collect();
        for member in &members {
            self.kill(*member, Loss::Drop);
        }
        for member in members {
            self.start(member).unwrap();
        }
    }

    pub(super) fn site(&mut self, member: MemberId) -> &mut Site {
        self.sites.get_mut(&member).unwrap()
    }

    /// Starts a member from what its last life has left, as a server does.
    pub(super) fn start(&mut self, member: MemberId) -> Result<(), Error> {
        let (seed, log_bytes_max) = (self.seed, self.log_bytes_max);
        let lagging_bytes_max = self.lagging_bytes_max;
        let (network, clock) = (self.network.clone(), self.clock.clone());
        let site = self.site(member);
        site.boots += 1;
        let opened = DurableLog::open(
            site.disk.clone(),
            Path::new("/wal"),
            options(),
            Some(identity(member)),
        );
        let (log, opened) = opened?;
        let from = {
            let mut kept = site.kept.lock().unwrap();
            match opened.recovered.state() {
                Some(state) if state.index > kept.state.from.applied => kept.install(state),
                _ => {}
            }
            kept.received.clear();
            kept.state.from.clone()
        };
        let mut config = Config::new(member, seed, site.boots);
        config.limits.log_bytes_max = log_bytes_max;
        config.limits.lagging_bytes_max = lagging_bytes_max;
        let told: Shared<Told> = Arc::default();
        site.told = told.clone();
        let executor = Executor::new(Parts {
            config,
            pace: Pace::default(),
            log,
            recovered: opened.recovered,
            from,
            machine: Machine {
                kept: site.kept.clone(),
                told: told.clone(),
            },
            transport: Net {
                network,
                told: told.clone(),
                kept: site.kept.clone(),
            },
            observer: told,
            clock,
        })?;
        site.running = Some(executor);
        Ok(())
    }

    /// A member dies; what it had not synced may be lost. Those that are left see its connections
    /// close.
    pub(super) fn kill(&mut self, member: MemberId, loss: Loss) {
        let site = self.site(member);
        site.running = None;
        site.disk.restart(loss);
        for other in self.sites.values() {
            if let Some(running) = &other.running {
                running.handle().leader_gone(member);
            }
        }
    }

    /// Everyone steps, in order, until `duration` has passed.
    pub(super) fn run_for(&mut self, duration: Duration) {
        let mut left = duration;
        while left > Duration::ZERO {
            self.step();
            left = left.saturating_sub(STEP);
        }
    }

    /// Steps until `done`, at most for simulated seconds; returns how long it took.
    pub(super) fn run_until(&mut self, mut done: impl FnMut(&mut Cluster) -> bool) -> Duration {
        let mut took = Duration::ZERO;
        while !done(self) {
            self.step();
            took += STEP;
            assert!(took < Duration::from_secs(20), "never: {}", self.describe());
        }
        took
    }

    fn describe(&self) -> String {
        let status = |(member, site): (&MemberId, &Site)| {
            let status = site.running.as_ref().map(|it| it.handle().status());
            format!("{member}: {status:?}\n")
        };
        self.sites.iter().map(status).collect()
    }

    pub(super) fn step(&mut self) {
        self.clock.advance(STEP);
        for site in self.sites.values_mut() {
            site.step();
        }
        let parcels = std::mem::take(&mut *self.network.lock().unwrap());
        for parcel in parcels {
            if self.copies_wait && parcel.copy.is_some() {
                self.network.lock().unwrap().push_back(parcel);
            } else {
                self.deliver(parcel);
            }
        }
    }

    /// Whether a copy of the state is on its way.
    pub(super) fn has_copy_under_way(&self) -> bool {
        let network = self.network.lock().unwrap();
        network.iter().any(|parcel| parcel.copy.is_some())
    }

    fn deliver(&mut self, parcel: Parcel) {
        let Parcel { message, copy } = parcel;
        let (from, to) = (message.from, message.to);
        let is_cut = self.cut_off.contains(&from)
            || self.cut_off.contains(&to)
            || self.cut_links.contains(&(from, to));
        // Some are members before their machines are there, or when these are gone.
        let receiver = self.sites.get(&to);
        let receiver = receiver.and_then(|site| site.running.as_ref());
        let receiver = receiver.filter(|_| !is_cut);
        if let PeerBody::State(state) = &message.body {
            if receiver.is_some() {
                let copy = copy.expect("the copy travels with the message");
                let mut kept = self.sites[&to].kept.lock().unwrap();
                kept.received.insert(state.index, copy);
            }
            if let Some(sender) = self.sites.get(&from).and_then(|site| site.running.as_ref()) {
                let arrived = receiver.is_some();
                sender.handle().state_sent(to, state.index, arrived);
            }
        }
        if let Some(receiver) = receiver {
            receiver.handle().receive(message);
        }
    }

    /// Proposes at a member; returns the payload.
    pub(super) fn propose(&mut self, at: MemberId) -> Bytes {
        self.proposals += 1;
        let payload = Bytes::from(format!("proposal {} {:0900}", self.proposals, 0));
        let id = ProposalId(self.proposals);
        let running = self.sites[&at].running.as_ref().unwrap();
        running.handle().propose(id, payload.clone()).unwrap();
        payload
    }

    pub(super) fn has(&self, member: MemberId, payload: &Bytes) -> bool {
        let kept = self.sites[&member].kept.lock().unwrap();
        kept.state.payloads.contains(payload)
    }

    /// Who leads and is known to do so by all members that are up.
    pub(super) fn leader(&self) -> Option<MemberId> {
        let soft = |member: &MemberId| {
            let running = self.sites[member].running.as_ref()?;
            Some(running.handle().status().soft)
        };
        let leads = |member: &&MemberId| soft(member).is_some_and(|it| it.role == Role::Leader);
        let leading = self.sites.keys().filter(leads);
        let leader = *leading.max_by_key(|member| soft(member).map(|it| it.term))?;
        let term = soft(&leader)?.term;
        let conf = self.conf(leader);
        let is_member =
            |member: &&MemberId| conf.voters.contains(member) || conf.learners.contains(member);
        let mut members = self.sites.keys().filter(is_member).filter_map(soft);
        let agreed = members.all(|it| (it.term, it.leader) == (term, leader));
        agreed.then_some(leader)
    }

    pub(super) fn elect(&mut self) -> MemberId {
        self.run_until(|cluster| cluster.leader().is_some());
        self.leader().unwrap()
    }

    /// Asks for a read; the answer comes later.
    pub(super) fn read(&self, at: MemberId) -> Shared<Option<Result<LogIndex, ReadFailure>>> {
        let answer = Arc::new(Mutex::new(None));
        let send = answer.clone();
        let callback = Box::new(move |result| *send.lock().unwrap() = Some(result));
        let running = self.sites[&at].running.as_ref().unwrap();
        running.handle().read_index(callback);
        answer
    }

    /// Everyone that is up has the same state.
    pub(super) fn settle(&mut self) {
        self.elect();
        let last = self.propose(ALL[0]);
        self.run_until(|cluster| {
            cluster
                .sites
                .keys()
                .all(|member| cluster.has(*member, &last))
        });
        let states: Vec<_> = self.sites.values().map(Site::payloads).collect();
        assert!(states.iter().all(|state| *state == states[0]));
    }

    /// No member has applied something else than another one.
    pub(super) fn assert_agreement(&self) {
        let mut states: Vec<_> = self.sites.values().map(Site::payloads).collect();
        states.sort_by_key(Vec::len);
        let is_prefix = |pair: &[Vec<Bytes>]| pair[1].starts_with(&pair[0]);
        assert!(states.windows(2).all(is_prefix), "{}", self.describe());
    }
}

impl Site {
    pub(super) fn payloads(&self) -> Vec<Bytes> {
        self.kept.lock().unwrap().state.payloads.clone()
    }

    /// One step of each of its threads; its transport answers too.
    fn step(&mut self) {
        let Some(running) = self.running.as_mut().filter(|_| !self.frozen) else {
            return;
        };
        let next = running.step_node();
        if !self.hangs && next.is_ok() {
            while running.step_writer() == Work::Done {}
        }
        let over = running.step_applier() == Work::Over;
        let asked = std::mem::take(&mut self.told.lock().unwrap().asked);
        for to in asked {
            let copy = self.kept.lock().unwrap().state.clone();
            let meta = StateMeta {
                index: copy.from.applied,
                term: copy.from.applied_term,
                conf: copy.from.conf_state.clone(),
            };
            self.told.lock().unwrap().offered.insert(to, copy);
            running.handle().state_offered(to, Ok(meta));
        }
        if over || !matches!(next, Ok(Next::Again | Next::Wait(_))) {
            self.running = None;
        }
    }
}

fn change(kind: ConfChangeKind, member: MemberId) -> ConfChange {
    ConfChange {
        id: 0,
        kind,
        member,
        context: Bytes::new(),
    }
}

fn identity(member: MemberId) -> Identity {
    Identity {
        cluster: 1,
        member: member.0,
    }
}
