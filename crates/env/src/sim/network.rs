//! A network that loses, repeats, delays and reorders.

mod link;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

pub use link::LinkFaults;

/// Who sends and receives.
pub type NodeId = u64;

/// Messages on their way between nodes, each direction of each pair with faults of its own.
///
/// It has no clock: who drives it says what time it is, and takes what has arrived by then.
///
/// ```
/// use ferrod_env::sim::{LinkFaults, SimNetwork};
/// use std::time::Duration;
///
/// let mut network = SimNetwork::new(/* seed */ 7, LinkFaults::default());
/// network.send(Duration::ZERO, 1, 2, "hello");
/// network.cut(2, 1);
/// network.send(Duration::ZERO, 2, 1, "lost");
/// let due = network.next_arrival().expect("one message is on its way");
/// assert_eq!(network.receive(due), Some((1, 2, "hello")));
/// assert_eq!(network.next_arrival(), None);
/// ```
#[derive(Debug)]
pub struct SimNetwork<M> {
    rng: Rng,
    usual: LinkFaults,
    links: BTreeMap<(NodeId, NodeId), LinkFaults>,
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Directions in which nothing moves, and nothing is lost either.
    clogged: BTreeMap<(NodeId, NodeId), Duration>,
    /// When the last message of a direction arrives, for those that keep the order.
    last: BTreeMap<(NodeId, NodeId), Duration>,
    on_the_way: BTreeMap<(Duration, u64), (NodeId, NodeId, M)>,
    sent: u64,
    stats: NetworkStats,
}

/// What became of messages so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkStats {
    /// Handed to their receivers, repetitions included.
    pub delivered: u64,
    /// Lost by chance or by a cut.
    pub lost: u64,
    /// Sent on twice.
    pub repeated: u64,
}

impl<M: Clone> SimNetwork<M> {
    /// An empty network whose choices follow from `seed`; every link has these faults until it gets its own.
    pub fn new(seed: u64, usual: LinkFaults) -> SimNetwork<M> {
        SimNetwork {
            rng: Rng::with_seed(seed),
            usual,
            links: BTreeMap::new(),
            cut: BTreeSet::new(),
            clogged: BTreeMap::new(),
            last: BTreeMap::new(),
            on_the_way: BTreeMap::new(),
            sent: 0,
            stats: NetworkStats::default(),
        }
    }

    /// Changes the faults of every link without its own.
    pub fn set_usual(&mut self, faults: LinkFaults) {
        self.usual = faults;
    }

    /// Gives one direction faults of its own.
    pub fn set_link(&mut self, from: NodeId, to: NodeId, faults: LinkFaults) {
        self.links.insert((from, to), faults);
    }

    /// Loses everything from `from` to `to`, what is on its way included; the other direction is another matter.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
        self.lose(|a, b| (a, b) == (from, to));
    }

    /// Whether a direction is cut.
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Holds back everything from `from` to `to` until `until`, and lets it go then.
    pub fn clog(&mut self, from: NodeId, to: NodeId, until: Duration) {
        self.clogged.insert((from, to), until);
    }

    /// Ends all cuts, clogs and faults of single links. What was held back arrives as it was to.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.clogged.clear();
        self.links.clear();
    }

    /// A node died: what is on its way to it is lost, as its connections are. What it has sent is not.
    pub fn lose_inbound(&mut self, node: NodeId) {
        self.lose(|_, to| to == node);
    }

    /// Sends a message at `now`.
    pub fn send(&mut self, now: Duration, from: NodeId, to: NodeId, message: M) {
        let faults = self.links.get(&(from, to)).unwrap_or(&self.usual).clone();
        if self.cut.contains(&(from, to)) || faults.loses(&mut self.rng) {
            self.stats.lost += 1;
            return;
        }
        if faults.repeats(&mut self.rng) {
            self.stats.repeated += 1;
            let late = faults.repeat_delay(&mut self.rng);
            self.put(now + late, from, to, message.clone());
        }
        let mut at = now + faults.delay(&mut self.rng);
        if let Some(until) = self.clogged.get(&(from, to)) {
            at = at.max(*until);
        }
        if !faults.reorders(&mut self.rng) {
            let last = self.last.entry((from, to)).or_default();
            at = at.max(*last);
            *last = at;
        }
        self.put(at, from, to, message);
    }

    /// When the next message arrives.
    pub fn next_arrival(&self) -> Option<Duration> {
        self.on_the_way.keys().next().map(|(at, _)| *at)
    }

    /// Takes one message that has arrived by `now`: sender, receiver, message.
    pub fn receive(&mut self, now: Duration) -> Option<(NodeId, NodeId, M)> {
        let first = self.on_the_way.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        self.stats.delivered += 1;
        Some(first.remove())
    }

    /// What became of messages so far.
    pub fn stats(&self) -> NetworkStats {
        self.stats
    }

    fn put(&mut self, at: Duration, from: NodeId, to: NodeId, message: M) {
        self.sent += 1;
        self.on_the_way.insert((at, self.sent), (from, to, message));
    }

    fn lose(&mut self, is_lost: impl Fn(NodeId, NodeId) -> bool) {
        let before = self.on_the_way.len();
        self.on_the_way
            .retain(|_, (from, to, _)| !is_lost(*from, *to));
        self.stats.lost += (before - self.on_the_way.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(network: &mut SimNetwork<u32>) -> Vec<u32> {
        std::iter::from_fn(|| network.receive(Duration::MAX).map(|(_, _, m)| m)).collect()
    }

    fn network(faults: LinkFaults) -> SimNetwork<u32> {
        let mut network = SimNetwork::new(3, faults);
        (0..1000).for_each(|n| network.send(Duration::ZERO, 1, 2, n));
        network
    }

    /// covers: N-06
    #[test]
    fn a_link_without_faults_keeps_everything_in_order() {
        let all: Vec<_> = (0..1000).collect();
        assert_eq!(drain(&mut network(LinkFaults::default())), all);
    }

    /// covers: N-06, N-07
    #[test]
    fn faults_lose_repeat_and_reorder() {
        let faults = LinkFaults {
            loss: 0.3,
            repeat: 0.2,
            reorder: 0.5,
            ..LinkFaults::default()
        };
        let mut network = network(faults);
        let got = drain(&mut network);
        let stats = network.stats();
        assert_eq!(stats.lost + got.len() as u64, 1000 + stats.repeated);
        assert!(stats.lost > 200 && stats.repeated > 80);
        assert!(!got.is_sorted());
    }

    /// covers: N-03, N-06
    #[test]
    fn a_cut_has_a_direction_and_a_clog_only_holds_back() {
        let mut network = network(LinkFaults::default());
        network.cut(1, 2);
        network.send(Duration::ZERO, 2, 1, 7);
        assert_eq!(drain(&mut network), [7]);
        network.heal();
        let until = Duration::from_secs(9);
        network.clog(1, 2, until);
        network.send(Duration::ZERO, 1, 2, 8);
        assert_eq!(network.next_arrival(), Some(until));
        assert_eq!(drain(&mut network), [8]);
    }
}
