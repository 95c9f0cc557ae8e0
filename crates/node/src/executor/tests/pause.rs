//! Processes that stand still.

use std::time::Duration;

use super::cluster::{ALL, Cluster};
use crate::{MemberId, Role, SoftState};

fn soft(cluster: &Cluster, member: MemberId) -> SoftState {
    let running = cluster.sites[&member].running.as_ref().unwrap();
    running.handle().status().soft
}

/// A machine on which all members run may stand still.
///
/// covers: P-09
#[test]
fn time_that_nobody_saw_starts_no_election() {
    for seed in 0..5 {
        let mut cluster = Cluster::new(seed, 64 << 20);
        let leader = cluster.elect();
        let before = soft(&cluster, leader);
        for pause in [1, 60, 3600] {
            cluster.clock.advance(Duration::from_secs(pause));
            cluster.run_for(Duration::from_secs(3));
            for member in ALL {
                assert_eq!(soft(&cluster, member).term, before.term, "{member}");
            }
            assert_eq!(soft(&cluster, leader), before);
        }
        cluster.settle();
    }
}

/// Time that passed unseen counts as one tick: were it made up for, the member would campaign before its leader can be heard.
///
/// covers: Q-21, P-09
#[test]
fn a_follower_that_stood_still_disturbs_nobody() {
    for seed in 0..5 {
        let mut cluster = Cluster::new(seed, 64 << 20);
        let leader = cluster.elect();
        let before = soft(&cluster, leader);
        let still = ALL.into_iter().find(|member| *member != leader).unwrap();
        cluster.site(still).frozen = true;
        cluster.cut_off = vec![still];
        cluster.run_for(Duration::from_secs(10));
        cluster.site(still).frozen = false;
        cluster.cut_off.clear();
        for _ in 0..3000 {
            cluster.step();
            let now = soft(&cluster, still);
            assert_eq!((now.role, now.leader), (Role::Follower, leader));
        }
        assert_eq!(soft(&cluster, leader), before);
        cluster.settle();
    }
}

/// covers: P-09, R-024
#[test]
fn a_leader_that_stood_still_promises_nothing_before_it_has_asked() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(seed, 64 << 20);
        let old = cluster.elect();
        cluster.settle();
        cluster.site(old).frozen = true;
        let others: Vec<MemberId> = ALL.into_iter().filter(|member| *member != old).collect();
        let leads =
            |cluster: &Cluster, member: MemberId| soft(cluster, member).role == Role::Leader;
        cluster.run_until(|cluster| others.iter().any(|other| leads(cluster, *other)));
        let newer = cluster.propose(others[0]);
        cluster.run_until(|cluster| others.iter().all(|other| cluster.has(*other, &newer)));
        let written = cluster.sites[&others[0]]
            .kept
            .lock()
            .unwrap()
            .state
            .from
            .applied;

        // It wakes up and thinks that it leads; a read and a write are the first that it hears of.
        assert!(leads(&cluster, old));
        let read = cluster.read(old);
        let late = cluster.propose(old);
        cluster.site(old).frozen = false;
        cluster.run_until(|_| read.lock().unwrap().is_some());
        if let Some(Ok(index)) = *read.lock().unwrap() {
            assert!(index >= written, "{index} is older than {written}");
        }
        cluster.settle();
        cluster.assert_agreement();
        let state = cluster.sites[&old].payloads();
        let place = |payload| state.iter().position(|applied| applied == payload);
        assert!(place(&newer).is_some());
        assert!(place(&late).is_none_or(|late| late > place(&newer).unwrap()));
    }
}
