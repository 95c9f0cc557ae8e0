//! Disks that do not answer.

use std::time::Duration;

use super::cluster::{ALL, Cluster};
use crate::{MemberId, Role};

const ELECTION: Duration = Duration::from_secs(1);

fn leads(cluster: &Cluster, member: MemberId) -> bool {
    let running = cluster.sites[&member].running.as_ref().unwrap();
    running.handle().status().soft.role == Role::Leader
}

/// covers: D-14, D-15
#[test]
fn a_leader_whose_disk_hangs_hands_over() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(seed, 64 << 20);
        let leader = cluster.elect();
        cluster.site(leader).hangs = true;
        let payload = cluster.propose(leader);
        // Reads and heartbeats need no disk, and the others commit without it.
        let read = cluster.read(leader);
        cluster.run_until(|_| read.lock().unwrap().is_some());
        assert!(read.lock().unwrap().unwrap().is_ok());
        let took = cluster.run_until(|cluster| !leads(cluster, leader));
        assert!(took >= ELECTION / 2 && took <= 2 * ELECTION, "{took:?}");
        let others = ALL.into_iter().filter(|member| *member != leader);
        let others: Vec<_> = others.collect();
        cluster.run_until(|cluster| others.iter().any(|other| leads(cluster, *other)));
        cluster.run_until(|cluster| others.iter().all(|other| cluster.has(*other, &payload)));
        cluster.site(leader).hangs = false;
        cluster.settle();
        assert!(cluster.has(leader, &payload));
    }
}

/// covers: D-15
#[test]
fn a_leader_that_cannot_hand_over_gives_up() {
    let mut cluster = Cluster::new(1, 64 << 20);
    let leader = cluster.elect();
    for member in ALL {
        cluster.site(member).hangs = true;
    }
    cluster.propose(leader);
    let took = cluster.run_until(|cluster| !leads(cluster, leader));
    assert!(took <= 2 * ELECTION, "{took:?}");
    for member in ALL {
        cluster.site(member).hangs = false;
    }
    cluster.settle();
}

/// covers: D-14, Q-01
#[test]
fn a_follower_whose_disk_hangs_holds_up_nobody() {
    let mut cluster = Cluster::new(2, 64 << 20);
    let leader = cluster.elect();
    let slow = ALL.into_iter().find(|member| *member != leader).unwrap();
    cluster.site(slow).hangs = true;
    for _ in 0..30 {
        let payload = cluster.propose(leader);
        let took = cluster.run_until(|cluster| cluster.has(leader, &payload));
        assert!(took <= Duration::from_millis(20), "{took:?}");
        cluster.run_for(Duration::from_millis(100));
        // A read at the slow one needs no disk either, as long as its term and vote are on it.
        let read = cluster.read(slow);
        cluster.run_until(|_| read.lock().unwrap().is_some());
        assert!(read.lock().unwrap().unwrap().is_ok());
    }
    assert!(leads(&cluster, leader));
    cluster.site(slow).hangs = false;
    cluster.settle();
}
