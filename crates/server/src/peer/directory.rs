//! The other members as this one knows them, and what waits for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ferrod_metrics::Metrics;
use ferrod_node::{MemberId, PeerMessage, Refusal, StateMeta, Transport};
use ferrod_store::Members;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};

use super::inbox::Inbox;
use super::lane::Lane;
use super::outbox::Outbox;
use super::state::{StateOrder, StateOrders};

/// Members that this one may talk to without having found them in the log: those that it was told of when it joined, and
/// those that call. A bound, because a caller can say what it likes.
const GUESTS_MAX: usize = 16;

/// The other members of the cluster.
#[derive(Default)]
pub(crate) struct Directory {
    peers: RwLock<BTreeMap<MemberId, Arc<Peer>>>,
    /// Rings when somebody new is in it.
    changed: Notify,
}

/// Another member.
pub(crate) struct Peer {
    pub(super) id: MemberId,
    urls: Mutex<Urls>,
    urgent: Outbox,
    bulk: Outbox,
    /// Rings when an attempt to connect is worth its while.
    kicks: [Notify; 2],
    /// Entries for it were lost since somebody last asked.
    lost: AtomicBool,
    /// How many messages for it were lost.
    lost_count: AtomicU64,
    /// What of it may wait for the node, on each lane.
    inboxes: [Inbox; 2],
    /// Counts the connections from it on each lane: only the end of the newest one means something.
    arrivals: [watch::Sender<u64>; 2],
    /// What it said last that no sound member says.
    absurdity: watch::Sender<Option<Refusal>>,
    contact: Mutex<Contact>,
    /// Rings when it is no member any more.
    gone: watch::Sender<bool>,
}

struct Urls {
    list: Vec<String>,
    next: usize,
}

/// Which connections there are.
#[derive(Debug, Clone, Copy, Default)]
struct Contact {
    connections: u32,
    since: Option<Duration>,
}

/// What the end of a connection, or the begin of one, changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The peer is heard of again.
    Active,
    /// The last connection is gone.
    Inactive,
    /// There are others.
    None,
}

impl Directory {
    /// The peer of this id.
    pub(crate) fn get(&self, id: MemberId) -> Option<Arc<Peer>> {
        self.peers.read().get(&id).cloned()
    }

    /// All peers.
    pub(crate) fn all(&self) -> Vec<Arc<Peer>> {
        self.peers.read().values().cloned().collect()
    }

    /// Waits until somebody new may be in it.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Makes a member known before the log tells of it. `None` if there are too many such.
    pub(crate) fn introduce(&self, id: MemberId, urls: &[String]) -> Option<Arc<Peer>> {
        let mut peers = self.peers.write();
        if let Some(peer) = peers.get(&id) {
            return Some(peer.clone());
        }
        if urls.is_empty() || peers.len() >= GUESTS_MAX {
            return None;
        }
        let peer = Arc::new(Peer::new(id, urls.to_vec()));
        peers.insert(id, peer.clone());
        drop(peers);
        self.changed.notify_one();
        Some(peer)
    }

    /// Follows the members of the cluster: who is new comes in, who was removed goes, and URLs are as they are now.
    pub(super) fn follow(&self, local: MemberId, members: &Members) -> Followed {
        let mut followed = Followed::default();
        let mut peers = self.peers.write();
        for member in members.present.values() {
            let id = MemberId(member.id);
            if id == local {
                continue;
            }
            match peers.get(&id) {
                Some(peer) if peer.set_urls(&member.peer_urls) => followed.moved.push(id),
                Some(_) => {}
                None => {
                    let peer = Arc::new(Peer::new(id, member.peer_urls.clone()));
                    peers.insert(id, peer);
                    followed.added.push(id);
                }
            }
        }
        peers.retain(|id, peer| {
            let removed = members.removed.contains(&id.0);
            if removed {
                peer.leave();
                followed.removed.push(*id);
            }
            !removed
        });
        drop(peers);
        if !followed.added.is_empty() {
            self.changed.notify_one();
        }
        followed
    }
}

/// What following the members changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) added: Vec<MemberId>,
    pub(super) removed: Vec<MemberId>,
    pub(super) moved: Vec<MemberId>,
}

impl Peer {
    fn new(id: MemberId, list: Vec<String>) -> Peer {
        Peer {
            id,
            urls: Mutex::new(Urls { list, next: 0 }),
            urgent: Outbox::new(Lane::Urgent.bytes_max()),
            bulk: Outbox::new(Lane::Bulk.bytes_max()),
            kicks: [Notify::new(), Notify::new()],
            lost: AtomicBool::new(false),
            lost_count: AtomicU64::new(0),
            inboxes: Lane::ALL.map(|lane| Inbox::new(lane.bytes_max())),
            arrivals: [watch::Sender::new(0), watch::Sender::new(0)],
            absurdity: watch::Sender::new(None),
            contact: Mutex::default(),
            gone: watch::Sender::new(false),
        }
    }

    pub(crate) fn id(&self) -> MemberId {
        self.id
    }

    /// Where it is reached.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.urls.lock().list.clone()
    }

    /// Since when there is a connection with it; `None` if there is none.
    pub(crate) fn active_since(&self) -> Option<Duration> {
        self.contact.lock().since
    }

    /// Where to try next.
    pub(super) fn next_url(&self) -> Option<String> {
        let mut urls = self.urls.lock();
        let url = urls.list.get(urls.next % urls.list.len().max(1)).cloned();
        urls.next = urls.next.wrapping_add(1);
        url
    }

    /// True if they differ from what they were.
    fn set_urls(&self, list: &[String]) -> bool {
        let mut urls = self.urls.lock();
        let differ = urls.list != list;
        if differ {
            list.clone_into(&mut urls.list);
            drop(urls);
            self.kick();
        }
        differ
    }

    pub(super) fn outbox(&self, lane: Lane) -> &Outbox {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        }
    }

    /// An attempt to connect is worth its while: the peer is up, or has moved.
    pub(super) fn kick(&self) {
        self.kicks.iter().for_each(Notify::notify_one);
    }

    pub(super) async fn kicked(&self, lane: Lane) {
        self.kicks[lane as usize].notified().await;
    }

    fn leave(&self) {
        self.gone.send_replace(true);
    }

    /// Returns when it is no member any more.
    pub(super) async fn gone(&self) {
        let mut gone = self.gone.subscribe();
        // The sender lives as long as `self`.
        let _never = gone.wait_for(|gone| *gone).await;
    }

    /// Whether entries for it were lost since the last call.
    pub(super) fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }

    /// How many messages were lost since the last call.
    pub(super) fn take_lost_count(&self) -> u64 {
        self.lost_count.swap(0, Ordering::Relaxed)
    }

    pub(super) fn inbox(&self, lane: Lane) -> &Inbox {
        &self.inboxes[lane as usize]
    }

    /// A connection from it begins; returns which one it is.
    pub(super) fn arrived(&self, lane: Lane) -> u64 {
        let arrivals = &self.arrivals[lane as usize];
        arrivals.send_modify(|count| *count += 1);
        *arrivals.borrow()
    }

    /// Whether no newer connection has come from it.
    pub(super) fn is_newest(&self, lane: Lane, arrival: u64) -> bool {
        *self.arrivals[lane as usize].borrow() == arrival
    }

    /// Returns when a newer connection has come from it.
    pub(super) async fn superseded(&self, lane: Lane, arrival: u64) {
        let mut arrivals = self.arrivals[lane as usize].subscribe();
        // The sender lives as long as `self`.
        let _never = arrivals.wait_for(|count| *count != arrival).await;
    }

    /// Hears of what it says from now on that no sound member says.
    pub(super) fn absurdities(&self) -> watch::Receiver<Option<Refusal>> {
        let mut absurdities = self.absurdity.subscribe();
        absurdities.mark_unchanged();
        absurdities
    }

    pub(super) fn connected(&self, now: Duration) -> Turn {
        let mut contact = self.contact.lock();
        contact.connections += 1;
        if contact.connections > 1 {
            return Turn::None;
        }
        contact.since = Some(now);
        Turn::Active
    }

    pub(super) fn disconnected(&self) -> Turn {
        let mut contact = self.contact.lock();
        contact.connections -= 1;
        if contact.connections > 0 {
            return Turn::None;
        }
        contact.since = None;
        Turn::Inactive
    }

    fn send(&self, message: PeerMessage) {
        let lane = Lane::of(&message.body);
        if self.outbox(lane).push(message) {
            return;
        }
        self.lost_count.fetch_add(1, Ordering::Relaxed);
        if lane == Lane::Bulk {
            self.lost.store(true, Ordering::Relaxed);
        }
    }
}

/// The node's end: sorts messages into the outboxes, and leaves orders for copies of the state on their desk.
pub(crate) struct PeerTransport {
    pub(crate) directory: Arc<Directory>,
    pub(crate) states: StateOrders,
    pub(crate) meters: Arc<Metrics>,
}

impl PeerTransport {
    fn order(&self, order: StateOrder) {
        // Without a desk this member stops.
        let _stopping = self.states.send(order);
    }
}

impl Transport for PeerTransport {
    fn send(&mut self, messages: Vec<PeerMessage>) {
        let peers = self.directory.peers.read();
        for message in messages {
            // A member that has just been removed gets nothing any more.
            if let Some(peer) = peers.get(&message.to) {
                peer.send(message);
            }
        }
    }

    fn offer_state(&mut self, to: MemberId) {
        self.order(StateOrder::Offer(to));
    }

    fn withdraw_state(&mut self, to: MemberId) {
        self.order(StateOrder::Withdraw(to));
    }

    fn send_state(&mut self, message: PeerMessage) {
        self.order(StateOrder::Send(message));
    }

    /// Hangs up on who talks nonsense; it may call again, and nothing is lost that was worth anything.
    fn refused(&mut self, from: MemberId, refusal: Refusal) {
        let counters = &self.meters.network.peer_refused_messages_total;
        let labels = [&from.to_string(), refusal.name()];
        counters.with_label_values(&labels).inc();
        if refusal.is_absurd()
            && let Some(peer) = self.directory.get(from)
        {
            peer.absurdity.send_replace(Some(refusal));
        }
    }

    fn state_refused(&mut self, state: &StateMeta) {
        self.order(StateOrder::Refused(state.clone()));
    }
}

#[cfg(test)]
mod tests {
    use ferrod_store::Member;

    use super::*;

    fn members(present: &[(u64, &str)], removed: &[u64]) -> Members {
        let member = |(id, url): &(u64, &str)| {
            let member = Member {
                id: *id,
                peer_urls: vec![(*url).to_owned()],
                ..Member::default()
            };
            (*id, member)
        };
        Members {
            present: present.iter().map(member).collect(),
            removed: removed.iter().copied().collect(),
        }
    }

    #[test]
    fn it_follows_the_members() {
        let directory = Directory::default();
        let local = MemberId(1);
        let followed = directory.follow(local, &members(&[(1, "a"), (2, "b"), (3, "c")], &[]));
        assert_eq!(followed.added, [MemberId(2), MemberId(3)]);
        let followed = directory.follow(local, &members(&[(1, "a"), (2, "z")], &[3]));
        let expected = Followed {
            added: vec![],
            removed: vec![MemberId(3)],
            moved: vec![MemberId(2)],
        };
        assert_eq!(followed, expected);
        assert_eq!(directory.get(MemberId(2)).unwrap().next_url().unwrap(), "z");
        assert!(directory.get(MemberId(3)).is_none());
    }

    #[test]
    fn guests_stay_until_they_are_removed_and_are_few() {
        let directory = Directory::default();
        let urls = ["u".to_owned()];
        assert!(directory.introduce(MemberId(9), &[]).is_none());
        for id in 1..100 {
            let known = directory.introduce(MemberId(id), &urls).is_some();
            assert_eq!(known, id <= GUESTS_MAX as u64);
        }
        directory.follow(MemberId(200), &members(&[], &[1]));
        assert!(directory.get(MemberId(1)).is_none());
        assert!(directory.get(MemberId(2)).is_some());
    }

    #[test]
    fn the_first_and_the_last_connection_matter() {
        let peer = Peer::new(MemberId(1), vec![]);
        let now = Duration::from_secs(3);
        assert_eq!(peer.connected(now), Turn::Active);
        assert_eq!(peer.connected(now), Turn::None);
        assert_eq!(peer.active_since(), Some(now));
        assert_eq!(peer.disconnected(), Turn::None);
        assert_eq!(peer.disconnected(), Turn::Inactive);
        assert_eq!(peer.active_since(), None);
    }
}
