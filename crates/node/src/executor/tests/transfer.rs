//! Copies of the state over simulated disks.

use std::time::Duration;

use ferrod_env::sim::{Effect, Loss, When};

use super::cluster::{ALL, Cluster};
use crate::MemberId;

/// A cluster in which one member has missed more than the others remember.
fn with_a_lagging_member(seed: u64) -> (Cluster, MemberId) {
    lagging(Cluster::new(seed, 4 << 10))
}

fn lagging(mut cluster: Cluster) -> (Cluster, MemberId) {
    let leader = cluster.elect();
    let behind = ALL.into_iter().find(|member| *member != leader).unwrap();
    cluster.cut_off = vec![behind];
    fill_and_flush(&mut cluster, leader);
    cluster.cut_off.clear();
    (cluster, behind)
}

/// More than the logs keep for nothing.
pub(super) fn fill_and_flush(cluster: &mut Cluster, leader: MemberId) {
    let mut last = cluster.propose(leader);
    for _ in 0..40 {
        last = cluster.propose(leader);
        cluster.run_for(Duration::from_millis(5));
    }
    cluster.run_until(|cluster| cluster.has(leader, &last));
    for site in cluster.sites.values() {
        let applied = site.kept.lock().unwrap().state.from.applied;
        site.running.as_ref().unwrap().handle().flushed(applied);
    }
    cluster.run_for(Duration::from_millis(200));
}

/// covers: N-09, Q-14, Q-15, Q-16
#[test]
fn a_member_that_lags_gets_a_copy() {
    let (mut cluster, behind) = with_a_lagging_member(1);
    cluster.settle();
    assert_eq!(cluster.site(behind).told.lock().unwrap().installed, 1);
    for member in ALL {
        cluster.kill(member, Loss::Drop);
        cluster.start(member).unwrap();
    }
    cluster.settle();
}

/// covers: N-09
#[test]
fn a_member_that_lags_less_gets_entries_from_the_log_on_disk() {
    for seed in 0..5 {
        let (mut cluster, behind) = lagging(Cluster::with_log(seed, 4 << 10, 1 << 20));
        cluster.settle();
        assert_eq!(cluster.site(behind).told.lock().unwrap().installed, 0);
    }
}

/// Otherwise a copy that takes long would end in another one, for ever.
///
/// covers: N-09, Q-14
#[test]
fn what_follows_a_copy_is_kept_while_it_is_on_its_way() {
    let (mut cluster, behind) = with_a_lagging_member(5);
    cluster.copies_wait = true;
    cluster.run_until(|cluster| cluster.has_copy_under_way());
    let leader = cluster.elect();
    fill_and_flush(&mut cluster, leader);
    cluster.copies_wait = false;
    cluster.settle();
    assert_eq!(cluster.site(behind).told.lock().unwrap().installed, 1);
}

/// covers: N-09, Q-14
#[test]
fn a_link_that_breaks_again_and_again_ends_well() {
    let (mut cluster, behind) = with_a_lagging_member(2);
    for _ in 0..20 {
        cluster.cut_off = vec![behind];
        cluster.run_for(Duration::from_millis(40));
        cluster.cut_off.clear();
        cluster.run_for(Duration::from_millis(7));
    }
    cluster.settle();
}

/// The receiver dies at every call that its disk takes from the arrival of the copy until it follows
/// again.
///
/// covers: P-03, P-05, P-06, D-21, Q-04, Q-14, Q-16
#[test]
fn a_receiver_may_die_at_any_call_of_its_disk() {
    let calls = {
        let (mut cluster, behind) = with_a_lagging_member(3);
        let before = cluster.site(behind).disk.calls();
        cluster.settle();
        cluster.run_for(Duration::from_millis(100));
        cluster.settle();
        cluster.site(behind).disk.calls() - before
    };
    assert!(calls >= 4, "{calls}");
    for call in 1..=calls {
        for loss in [
            Loss::Process,
            Loss::Drop,
            Loss::Keep,
            Loss::Subset,
            Loss::Torn,
        ] {
            let (mut cluster, behind) = with_a_lagging_member(3);
            let disk = cluster.site(behind).disk.clone();
            disk.script(When::Call(disk.calls() + call), Effect::Death);
            let mut left = 5_000;
            while cluster.sites[&behind].running.is_some() && left > 0 {
                cluster.step();
                left -= 1;
            }
            cluster.kill(behind, loss);
            cluster.start(behind).unwrap();
            cluster.settle();
        }
    }
}

/// covers: P-01, N-09
#[test]
fn a_sender_may_die_at_any_time() {
    for delay in 0..60 {
        let (mut cluster, _) = with_a_lagging_member(4);
        cluster.run_for(Duration::from_millis(delay * 4));
        if let Some(leader) = cluster.leader() {
            cluster.kill(leader, Loss::Drop);
            cluster.run_for(Duration::from_millis(delay));
            cluster.start(leader).unwrap();
        }
        cluster.settle();
    }
}
