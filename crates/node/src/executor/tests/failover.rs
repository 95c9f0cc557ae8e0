//! Leaders that die or stop.

use std::time::Duration;

use ferrod_env::sim::Loss;

use super::cluster::{ALL, Cluster};
use crate::{DropReason, MemberId, Role};

/// With connections that close, nobody waits for an election timeout; draws of different members
/// seldom meet.
///
/// covers: P-01, N-14
#[test]
fn a_dead_leader_is_replaced_well_within_an_election_timeout() {
    let mut all: Vec<_> = (0..60)
        .map(|seed| {
            let mut cluster = Cluster::new(seed, 64 << 20);
            let leader = cluster.elect();
            let first = cluster.propose(leader);
            cluster.run_until(|cluster| ALL.iter().all(|member| cluster.has(*member, &first)));
            cluster.kill(leader, Loss::Drop);
            let other = ALL.into_iter().find(|member| *member != leader).unwrap();
            let payload = cluster.propose(other);
            let took = cluster.run_until(|cluster| cluster.has(other, &payload));
            cluster.start(leader).unwrap();
            cluster.settle();
            took
        })
        .collect();
    all.sort_unstable();
    let (median, worst) = (all[all.len() / 2], all[all.len() - 1]);
    // Simulated time: the same on every machine.
    assert!(median <= Duration::from_millis(100), "{all:?}");
    assert!(worst <= Duration::from_millis(500), "{all:?}");
}

/// covers: N-02
#[test]
fn a_lost_connection_does_not_disturb_a_leader_that_lives() {
    let mut cluster = Cluster::new(1, 64 << 20);
    let leader = cluster.elect();
    let term = |cluster: &Cluster| {
        let running = cluster.sites[&leader].running.as_ref().unwrap();
        running.handle().status().soft
    };
    let before = term(&cluster);
    let other = ALL.into_iter().find(|member| *member != leader).unwrap();
    for _ in 0..20 {
        let running = cluster.site(other).running.as_ref().unwrap();
        running.handle().leader_gone(leader);
        cluster.run_for(Duration::from_millis(250));
    }
    assert_eq!(term(&cluster), before);
    cluster.settle();
}

/// covers: N-12
#[test]
fn a_leader_that_stops_hands_over_first() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(seed, 64 << 20);
        let leader = cluster.elect();
        let running = cluster.site(leader).running.as_ref().unwrap();
        running.request_stop();
        let took = cluster.run_until(|cluster| cluster.sites[&leader].running.is_none());
        assert!(took < Duration::from_millis(100), "{took:?}");
        let took = cluster.run_until(|cluster| cluster.leader().is_some());
        assert!(took < Duration::from_millis(20), "{took:?}");
        let next = cluster.elect();
        let payload = cluster.propose(next);
        cluster.run_until(|cluster| cluster.has(next, &payload));
        cluster.start(leader).unwrap();
        cluster.settle();
    }
}

#[test]
fn a_leader_that_nobody_can_follow_stops_within_an_election_timeout() {
    let mut cluster = Cluster::new(1, 64 << 20);
    let leader = cluster.elect();
    cluster.cut_off = vec![leader];
    cluster
        .site(leader)
        .running
        .as_ref()
        .unwrap()
        .request_stop();
    let took = cluster.run_until(|cluster| cluster.sites[&leader].running.is_none());
    assert!(took <= Duration::from_millis(1100), "{took:?}");
}

/// covers: P-KV-08, Q-19
#[test]
fn proposals_wait_for_a_leader_and_are_refused_in_the_end() {
    let mut cluster = Cluster::new(1, 64 << 20);
    // Nobody leads yet.
    let early = cluster.propose(ALL[1]);
    cluster.run_until(|cluster| ALL.iter().all(|member| cluster.has(*member, &early)));
    let leader = cluster.elect();
    let alone = ALL.into_iter().find(|member| *member != leader).unwrap();
    cluster.cut_off = vec![alone];
    cluster.run_for(Duration::from_secs(3));
    let late = cluster.propose(alone);
    cluster.run_for(Duration::from_secs(8));
    let dropped = cluster.site(alone).told.lock().unwrap().dropped.clone();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].1, DropReason::NoLeader);
    cluster.cut_off.clear();
    cluster.settle();
    assert!(!cluster.has(alone, &late));
}

/// covers: N-03, N-04, R-026
#[test]
fn a_leader_that_hears_nobody_steps_down() {
    let mut cluster = Cluster::new(3, 64 << 20);
    let leader = cluster.elect();
    cluster.settle();
    cluster.cut_off = vec![leader];
    let read = cluster.read(leader);
    cluster.run_for(Duration::from_secs(4));
    let role = |cluster: &Cluster| {
        let running = cluster.sites[&leader].running.as_ref().unwrap();
        running.handle().status().soft.role
    };
    assert_ne!(role(&cluster), Role::Leader);
    assert!(matches!(*read.lock().unwrap(), Some(Err(_))));
    cluster.cut_off.clear();
    cluster.settle();
}

/// Who leads and has not committed anything in its term does not know yet how far a read must see, and says so to nobody: the
/// read waits, and is asked for again.
///
///
#[test]
fn a_read_waits_for_the_first_commit_of_a_term() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(seed, 64 << 20);
        let first = cluster.elect();
        cluster.settle();
        cluster.kill(first, Loss::Process);
        let leads = |cluster: &Cluster, member: &MemberId| {
            let running = cluster.sites[member].running.as_ref();
            running.is_some_and(|it| it.handle().status().soft.role == Role::Leader)
        };
        cluster.run_until(|cluster| ALL.iter().any(|member| leads(cluster, member)));
        let second = ALL.into_iter().find(|member| leads(&cluster, member));
        let second = second.unwrap();
        let other = ALL
            .into_iter()
            .find(|member| ![first, second].contains(member));
        let other = other.unwrap();
        // Without the disk of the other one nothing commits.
        cluster.site(other).hangs = true;
        let committed = |cluster: &Cluster| {
            let running = cluster.sites[&second].running.as_ref().unwrap();
            running.handle().status().committed
        };
        let before = committed(&cluster);
        let reads = [second, other].map(|member| cluster.read(member));
        cluster.run_for(Duration::from_millis(1500));
        assert_eq!(committed(&cluster), before);
        assert!(reads.iter().all(|read| read.lock().unwrap().is_none()));
        cluster.site(other).hangs = false;
        cluster.run_until(|cluster| committed(cluster) > before);
        let took = cluster.run_until(|_| reads.iter().all(|read| read.lock().unwrap().is_some()));
        assert!(took <= Duration::from_secs(1), "{took:?}");
        for read in &reads {
            let index = read.lock().unwrap().unwrap().unwrap();
            assert!(index > before);
        }
        cluster.start(first).unwrap();
        cluster.settle();
    }
}
