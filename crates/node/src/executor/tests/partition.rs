//! Networks that fall apart.

use std::time::Duration;

use super::cluster::Cluster;
use crate::MemberId;

/// The longest that a member waits before it campaigns.
const ELECTION_MAX: Duration = Duration::from_secs(2);

/// Members hear each other only if `reaches` says so.
fn part(cluster: &mut Cluster, reaches: impl Fn(u64, u64) -> bool) {
    let ids: Vec<_> = cluster.sites.keys().copied().collect();
    for from in &ids {
        for to in &ids {
            if !reaches(from.0, to.0) {
                cluster.cut_links.insert((*from, *to));
            }
        }
    }
}

fn heal(cluster: &mut Cluster) {
    cluster.cut_links.clear();
    cluster.settle();
}

/// How long a majority needs until it takes writes; the minority answers no read meanwhile.
fn split(cluster: &mut Cluster, side: u64) -> Duration {
    let is_in = |id: u64| side >> (id - 1) & 1 == 1;
    part(cluster, |a, b| is_in(a) == is_in(b));
    let ids: Vec<_> = cluster.sites.keys().copied().collect();
    let (majority, minority): (Vec<_>, Vec<_>) = ids.iter().partition(|id| is_in(id.0));
    let payloads: Vec<_> = majority.iter().map(|id| cluster.propose(*id)).collect();
    let lost: Vec<_> = minority.iter().map(|id| cluster.propose(*id)).collect();
    let reads: Vec<_> = minority.iter().map(|id| cluster.read(*id)).collect();
    // What went to a leader that is cut off is lost, so writes are tried again, as clients do.
    let mut last = payloads[0].clone();
    let mut since = Duration::ZERO;
    let took = cluster.run_until(|cluster| {
        since += super::cluster::STEP;
        if since >= Duration::from_millis(50) {
            since = Duration::ZERO;
            last = cluster.propose(majority[0]);
        }
        majority.iter().any(|id| cluster.has(*id, &last))
    });
    cluster.run_for(ELECTION_MAX / 2);
    for read in reads {
        assert!(!matches!(*read.lock().unwrap(), Some(Ok(_))));
    }
    let has_any = |id: &MemberId| lost.iter().any(|payload| cluster.has(*id, payload));
    assert!(!ids.iter().any(has_any));
    cluster.assert_agreement();
    took
}

/// Every split that leaves a majority, with the leader cut off from it if it leaves somebody else.
fn every_split(members: u64) {
    let mut cluster = Cluster::of(members, members);
    cluster.settle();
    let mut all = Vec::new();
    for side in 1..1u64 << members {
        if u64::from(side.count_ones()) > members / 2 {
            let outside = u64::from(side.trailing_ones()) + 1;
            lead(&mut cluster, MemberId(outside.min(members)));
            all.push(split(&mut cluster, side));
            heal(&mut cluster);
        }
    }
    assert_eq!(all.len(), 1 << (members - 1));
    all.sort_unstable();
    // Simulated time: the same on every machine. A vote that is split costs a timeout more.
    let (most, worst) = (all[all.len() * 9 / 10], all[all.len() - 1]);
    assert!(most <= ELECTION_MAX, "{all:?}");
    assert!(worst <= 2 * ELECTION_MAX, "{all:?}");
}

/// Has this member lead.
fn lead(cluster: &mut Cluster, member: MemberId) {
    let leader = cluster.elect();
    let running = cluster.sites[&leader].running.as_ref().unwrap();
    running.handle().transfer_leader(member);
    cluster.run_until(|cluster| cluster.leader() == Some(member));
}

/// covers: N-01
#[test]
fn every_majority_of_three_goes_on() {
    every_split(3);
}

/// covers: N-01
#[test]
fn every_majority_of_five_goes_on() {
    every_split(5);
}

/// covers: N-01
#[test]
fn every_majority_of_seven_goes_on() {
    every_split(7);
}

/// Each member sees a majority, and each another one.
///
/// covers: N-05
#[test]
fn bridges_and_rings_are_safe() {
    let bridge_of_three = |a: u64, b: u64| a == b || a == 2 || b == 2;
    let bridge_of_five = |a: u64, b: u64| (a <= 3 && b <= 3) || (a >= 3 && b >= 3);
    let ring_of_five = |a: u64, b: u64| matches!((a + 5 - b) % 5, 0 | 1 | 4);
    for seed in 0..4 {
        for (members, reaches) in [
            (3, &bridge_of_three as &dyn Fn(u64, u64) -> bool),
            (5, &bridge_of_five),
            (5, &ring_of_five),
        ] {
            let mut cluster = Cluster::of(members, seed);
            cluster.settle();
            part(&mut cluster, reaches);
            let mut written = Vec::new();
            for _ in 0..20 {
                for id in 1..=members {
                    written.push(cluster.propose(MemberId(id)));
                }
                cluster.run_for(Duration::from_millis(500));
                cluster.assert_agreement();
            }
            heal(&mut cluster);
            let state = cluster.sites[&MemberId(1)].payloads();
            let times = |payload| state.iter().filter(|applied| *applied == payload).count();
            assert!(written.iter().all(|payload| times(payload) <= 1));
            assert!(written.iter().any(|payload| times(payload) == 1));
        }
    }
}
