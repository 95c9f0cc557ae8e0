//! The world: machines, a network, clients, time; and the order in which things happen.
//!
//! There is one thread and one generator of random numbers. Whatever is due next happens next; what it causes is put on
//! the agenda with a delay that the generator draws. Members are moved by the three steps of their executor, so anything
//! may come between them that threads would let come between.

mod act;
mod calls;
mod damage;
mod finish;
mod heal;
mod members;
mod membership;
mod states;
mod subscribers;
mod troubles;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use ferrod_env::Clock;
use ferrod_env::sim::{SimClock, SimNetwork};
use ferrod_node::{ConfChange, ConfChangeKind, MemberId, PeerMessage};

use super::host::Host;
use super::plan::Plan;
use super::process;
use super::trace::Trace;
use super::truth::Truth;
use super::workload::Client;
use crate::check::Violation;
use crate::check::history::Operation;
use crate::check::lease::LeaseLog;
use calls::{Call, Reply};
use heal::Question;
use membership::Roster;
use states::Transfer;
use subscribers::Subscriber;
use troubles::Cure;

/// Something that is due at a time. Numbers are those of members, clients, calls and subscribers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Node(u64),
    Writer(u64),
    Applier(u64),
    Flusher(u64),
    Lessor(u64),
    /// A message waited for a member that stood still.
    Held(u64, u64),
    LeaderGone(u64, u64),
    Offer(u64, u64),
    Transfer(u64),
    Restart(u64),
    Operate,
    TurnOff(u64),
    /// A question of a member that may have forgotten something arrives.
    Asked(u64),
    /// The answer arrives.
    Told(u64),
    Arrive(u64),
    Reply(u64, usize),
    GiveUp(u64),
    Think(usize),
    Subscriber(usize),
    Trouble,
    Cure(usize),
}

/// An event on the agenda: when, in which order of planning, for which life of its member, what.
type Due = Reverse<(Duration, u64, u64, Event)>;

/// The world.
pub(super) struct World {
    plan: Plan,
    rng: Rng,
    clock: Arc<SimClock>,
    now: Duration,
    agenda: BinaryHeap<Due>,
    planned: u64,
    network: SimNetwork<PeerMessage>,
    held: BTreeMap<u64, PeerMessage>,
    hosts: BTreeMap<u64, Host>,
    clients: Vec<Client>,
    calls: BTreeMap<u64, Call>,
    replies: BTreeMap<usize, Reply>,
    next_call: u64,
    next_reply: usize,
    subscribers: Vec<Subscriber>,
    cures: Vec<Cure>,
    /// Clients ask for nothing new any more.
    quiet: bool,
    troubled: bool,
    ended_leases: BTreeSet<i64>,
    roster: Roster,
    transfers: BTreeMap<u64, Transfer>,
    next_transfer: u64,
    questions: BTreeMap<u64, Question>,
    next_question: u64,
    pub(super) truth: Truth,
    pub(super) operations: Vec<Operation>,
    pub(super) leases: LeaseLog,
    pub(super) trace: Trace,
    pub(super) counts: Counts,
}

/// What happened how often.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) crashes: u64,
    pub(super) troubles: u64,
    pub(super) renewals: u64,
    pub(super) expired: usize,
    pub(super) watch_events: usize,
    pub(super) flushes: u64,
    pub(super) states: u64,
    /// Hashes of compactions that were compared.
    pub(super) hashes: u64,
    pub(super) damages: u64,
    pub(super) healed: u64,
    /// Members that began again while others waited for an answer too.
    pub(super) healed_together: u64,
    /// Changes of the membership that took effect.
    pub(super) changes: u64,
}

/// The result of anything that may break a promise.
pub(super) type Judged = Result<(), Violation>;

impl World {
    /// A cluster whose members have all just started for the first time.
    pub(super) fn new(plan: Plan, trace: Trace) -> World {
        let mut rng = Rng::with_seed(plan.seed);
        let clock = Arc::new(SimClock::new(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        ));
        let hosts = (1..=plan.members)
            .map(|id| {
                let sync = plan.sync_takes.clone();
                (id, Host::new(id, rng.u64(..), clock.clone(), sync))
            })
            .collect();
        let clients = (0..plan.clients as usize)
            .map(|number| Client::new(number, &plan, &mut rng))
            .collect();
        let subscribers = (0..rng.usize(1..4))
            .map(|number| Subscriber::new(number, &mut rng))
            .collect();
        let mut world = World {
            network: SimNetwork::new(rng.u64(..), plan.links.clone()),
            rng,
            clock,
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            planned: 0,
            held: BTreeMap::new(),
            hosts,
            clients,
            calls: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_call: 1,
            next_reply: 0,
            subscribers,
            cures: Vec::new(),
            quiet: false,
            troubled: true,
            ended_leases: BTreeSet::new(),
            roster: Roster::default(),
            transfers: BTreeMap::new(),
            next_transfer: 0,
            questions: BTreeMap::new(),
            next_question: 0,
            truth: Truth::default(),
            operations: Vec::new(),
            leases: LeaseLog::default(),
            trace,
            counts: Counts::default(),
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let initial: Vec<ConfChange> = (1..=self.plan.members)
            .map(|id| ConfChange {
                id: 0,
                kind: ConfChangeKind::AddVoter,
                member: MemberId(id),
                context: bytes::Bytes::new(),
            })
            .collect();
        let options = process::wal_options(&self.plan);
        for id in 1..=self.plan.members {
            self.hosts[&id].create_log(options, &initial);
            let at = self.draw(0, 50);
            self.plan_for(id, at, Event::Restart(id));
        }
        for number in 0..self.clients.len() {
            let at = self.draw(0, 3_000);
            self.plan_at(at, Event::Think(number));
        }
        for number in 0..self.subscribers.len() {
            let at = self.draw(0, 5_000);
            self.plan_at(at, Event::Subscriber(number));
        }
        let at = self.draw(1_000, 5_000);
        self.plan_at(at, Event::Trouble);
        let at = self.draw(1_000, 3_000);
        self.plan_at(at, Event::Operate);
    }

    /// Runs until a time.
    pub(super) fn run_until(&mut self, end: Duration) -> Judged {
        loop {
            let planned = self.agenda.peek().map(|Reverse((at, ..))| *at);
            let arrival = self.network.next_arrival();
            let next = planned.into_iter().chain(arrival).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.pass(end);
                return Ok(());
            };
            self.pass(next);
            if arrival.is_some_and(|arrival| arrival <= next) {
                self.receive()?;
            } else if let Some(Reverse((_, _, life, event))) = self.agenda.pop() {
                self.happen(life, event)?;
            }
        }
    }

    fn pass(&mut self, to: Duration) {
        self.clock.advance(to.saturating_sub(self.now));
        self.now = self.now.max(to);
        debug_assert_eq!(self.clock.now(), self.now);
    }

    fn receive(&mut self) -> Judged {
        let Some((from, to, message)) = self.network.receive(self.now) else {
            return Ok(());
        };
        self.trace.note(self.now, [1, from, to], || {
            format!("{from} > {to} {}", describe(&message))
        });
        let Some(host) = self.hosts.get(&to).filter(|host| !host.refuses(from)) else {
            return Ok(());
        };
        if host.paused_until > self.now {
            self.planned += 1;
            let (number, until) = (self.planned, host.paused_until);
            self.held.insert(number, message);
            self.plan_for(to, until, Event::Held(to, number));
            return Ok(());
        }
        self.hear(to, message);
        Ok(())
    }

    fn happen(&mut self, life: u64, event: Event) -> Judged {
        if let Some(id) = event.host() {
            let Some(host) = self.hosts.get(&id).filter(|host| host.life == life) else {
                return Ok(());
            };
            if host.paused_until > self.now {
                let (id, until) = (host.id, host.paused_until);
                self.plan_for(id, until, event);
                return Ok(());
            }
        }
        match event {
            Event::Node(id) => self.step_node(id),
            Event::Writer(id) => self.step_writer(id),
            Event::Applier(id) => self.step_applier(id),
            Event::Flusher(id) => self.step_flusher(id),
            Event::Lessor(id) => self.step_lessor(id),
            Event::Held(id, number) => {
                if let Some(message) = self.held.remove(&number) {
                    self.hear(id, message);
                }
                Ok(())
            }
            Event::LeaderGone(id, peer) => {
                self.leader_gone(id, peer);
                Ok(())
            }
            Event::Offer(id, to) => self.offer(id, to),
            Event::Transfer(number) => self.step_transfer(number),
            Event::Restart(id) => self.restart(id),
            Event::Operate => self.operate(),
            Event::TurnOff(id) => self.turn_off(id),
            Event::Asked(number) => self.asked(number),
            Event::Told(number) => self.told(number),
            Event::Arrive(call) => self.arrive(call),
            Event::Reply(call, reply) => self.reply(call, reply),
            Event::GiveUp(call) => self.give_up(call),
            Event::Think(client) => self.think(client),
            Event::Subscriber(number) => self.subscribe(number),
            Event::Trouble => self.trouble(),
            Event::Cure(number) => self.cure(number),
        }
    }

    // The agenda.

    fn plan_at(&mut self, at: Duration, event: Event) {
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, 0, event)));
    }

    /// Plans something that is void if the member's process is another one by then.
    fn plan_for(&mut self, id: u64, at: Duration, event: Event) {
        let life = self.hosts.get(&id).map_or(0, |host| host.life);
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, life, event)));
    }

    /// A time from now, in milliseconds.
    fn draw(&mut self, low: u64, high: u64) -> Duration {
        let micros = self.rng.u64(low * 1000..high * 1000);
        self.now + Duration::from_micros(micros)
    }

    fn draw_in(&mut self, range: Range<Duration>) -> Duration {
        let (low, high) = (range.start.as_nanos() as u64, range.end.as_nanos() as u64);
        self.now + Duration::from_nanos(self.rng.u64(low..high.max(low + 1)))
    }

    /// A time from now, this long on average, and now and then much longer.
    fn draw_around(&mut self, mean: Duration) -> Duration {
        let stretch = -(1.0 - self.rng.f64()).ln();
        self.now + mean.mul_f64(stretch.min(10.0))
    }
}

impl Event {
    /// The member whose process it is for.
    fn host(&self) -> Option<u64> {
        match self {
            Event::Node(id)
            | Event::Writer(id)
            | Event::Applier(id)
            | Event::Flusher(id)
            | Event::Lessor(id)
            | Event::Held(id, _)
            | Event::LeaderGone(id, _)
            | Event::Offer(id, _)
            | Event::Restart(id) => Some(*id),
            _ => None,
        }
    }
}

fn describe(message: &PeerMessage) -> String {
    let mut text = format!("t{} {:?}", message.term, message.body);
    let end = text
        .char_indices()
        .nth(200)
        .map_or(text.len(), |(at, _)| at);
    text.truncate(end);
    text
}
