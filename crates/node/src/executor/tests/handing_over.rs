//! Leaders that are asked to hand over to somebody who cannot lead.

use std::time::Duration;

use ferrod_env::sim::Loss;

use super::cluster::{ALL, Cluster};
use crate::{ConfChangeKind, MemberId, SoftState};

fn soft(cluster: &Cluster, member: MemberId) -> SoftState {
    let running = cluster.sites[&member].running.as_ref().unwrap();
    running.handle().status().soft
}

/// Hands over, and writes meanwhile: how long the write takes.
fn write_during(cluster: &mut Cluster, leader: MemberId, target: MemberId) -> Duration {
    let running = cluster.sites[&leader].running.as_ref().unwrap();
    running.handle().transfer_leader(target);
    let payload = cluster.propose(leader);
    cluster.run_until(|cluster| cluster.has(leader, &payload))
}

/// covers: N-11
#[test]
fn nobody_hands_over_to_who_has_no_vote() {
    let mut cluster = Cluster::new(1, 64 << 20);
    let learner = MemberId(4);
    cluster.join(learner);
    cluster.change(ConfChangeKind::AddLearner, learner);
    let leader = cluster.elect();
    let before = soft(&cluster, leader);
    for target in [learner, MemberId(9), MemberId::NONE, leader] {
        let took = write_during(&mut cluster, leader, target);
        assert!(took <= Duration::from_millis(20), "{target}: {took:?}");
    }
    cluster.run_for(Duration::from_secs(3));
    assert_eq!(soft(&cluster, leader), before);
    cluster.settle();
}

/// The leader goes on after one election timeout, with what was proposed meanwhile.
///
/// covers: N-11
#[test]
fn who_hands_over_to_the_dead_goes_on() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(seed, 64 << 20);
        let leader = cluster.elect();
        let before = soft(&cluster, leader);
        let target = ALL.into_iter().find(|member| *member != leader).unwrap();
        cluster.kill(target, Loss::Drop);
        let took = write_during(&mut cluster, leader, target);
        assert!(took <= Duration::from_millis(1100), "{took:?}");
        assert_eq!(soft(&cluster, leader), before);
        cluster.start(target).unwrap();
        cluster.settle();
    }
}

/// A target whose disk is slow must have the log before it may lead.
///
/// covers: N-11
#[test]
fn who_hands_over_to_the_slow_goes_on() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(seed, 64 << 20);
        let leader = cluster.elect();
        cluster.settle();
        let before = soft(&cluster, leader);
        let target = ALL.into_iter().find(|member| *member != leader).unwrap();
        cluster.site(target).hangs = true;
        let first = cluster.propose(leader);
        cluster.run_until(|cluster| cluster.has(leader, &first));
        let took = write_during(&mut cluster, leader, target);
        assert!(took <= Duration::from_millis(1100), "{took:?}");
        assert_eq!(soft(&cluster, leader), before);
        cluster.site(target).hangs = false;
        cluster.settle();
    }
}

/// covers: N-11, N-13
#[test]
fn leaders_that_change_all_the_time_lose_nothing() {
    let mut cluster = Cluster::new(5, 64 << 20);
    let mut written = Vec::new();
    for turn in 0..200 {
        let leader = cluster.elect();
        let target = ALL[turn % 3];
        written.push(cluster.propose(leader));
        let running = cluster.sites[&leader].running.as_ref().unwrap();
        running.handle().transfer_leader(target);
        written.push(cluster.propose(leader));
        written.push(cluster.propose(ALL[(turn + 1) % 3]));
        cluster.run_until(|cluster| cluster.leader() == Some(target));
        cluster.run_for(Duration::from_millis(turn as u64 % 7));
        cluster.assert_agreement();
    }
    cluster.settle();
    let dropped: usize = ALL
        .iter()
        .map(|member| cluster.sites[member].told.lock().unwrap().dropped.len())
        .sum();
    let state = cluster.sites[&ALL[0]].payloads();
    for payload in &written {
        let times = state.iter().filter(|applied| *applied == payload).count();
        assert!(times <= 1);
    }
    let applied = written
        .iter()
        .filter(|payload| state.contains(payload))
        .count();
    assert_eq!((applied, dropped), (written.len(), 0));
}
