//! What a log does when nobody writes.

use ferrod_env::sim::Op;

use super::cluster::{ALL, Cluster};
use crate::{MemberId, Pace};

fn syncs(cluster: &Cluster, member: MemberId) -> u64 {
    cluster.sites[&member].disk.calls_of(Op::SyncData)
}

fn put(cluster: &mut Cluster, leader: MemberId) {
    let payload = cluster.propose(leader);
    cluster.run_until(|cluster| ALL.iter().all(|member| cluster.has(*member, &payload)));
}

/// Whoever comes while the end of the log is being proven waits for that: for one sync and not for two, and once.
///
/// covers: D-04
#[test]
fn a_quiet_log_is_synced_once() {
    let idle_after = Pace::default().idle_after;
    let mut cluster = Cluster::new(3, 64 << 20);
    let leader = cluster.elect();
    cluster.run_for(2 * idle_after);
    let before = syncs(&cluster, leader);
    put(&mut cluster, leader);
    assert_eq!(syncs(&cluster, leader), before + 1);
    cluster.run_for(2 * idle_after);
    assert_eq!(syncs(&cluster, leader), before + 2);
    cluster.run_for(10 * idle_after);
    assert_eq!(syncs(&cluster, leader), before + 2);
}

#[test]
fn a_caller_with_short_pauses_never_meets_the_sync_of_a_quiet_log() {
    let idle_after = Pace::default().idle_after;
    let mut cluster = Cluster::new(3, 64 << 20);
    let leader = cluster.elect();
    cluster.run_for(2 * idle_after);
    let before = syncs(&cluster, leader);
    // More would need another segment, which is synced too.
    for count in 1..=2 {
        put(&mut cluster, leader);
        cluster.run_for(idle_after * 3 / 4);
        assert_eq!(syncs(&cluster, leader), before + count);
    }
}

/// While the disk takes its time nobody writes, and that is no quiet: a proof right behind the write would hold up the next.
#[test]
fn quiet_begins_when_what_was_written_is_durable() {
    let idle_after = Pace::default().idle_after;
    let mut cluster = Cluster::new(3, 64 << 20);
    let leader = cluster.elect();
    cluster.run_for(2 * idle_after);
    let before = syncs(&cluster, leader);
    cluster.site(leader).hangs = true;
    cluster.propose(leader);
    cluster.run_for(2 * idle_after);
    cluster.site(leader).hangs = false;
    cluster.run_for(idle_after / 2);
    assert_eq!(syncs(&cluster, leader), before + 1);
    cluster.run_for(idle_after);
    assert_eq!(syncs(&cluster, leader), before + 2);
}
