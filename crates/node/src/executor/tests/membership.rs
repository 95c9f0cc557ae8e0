//! Members come, get a vote, and go; and what restarts and copies of the state make of that.

use std::time::Duration;

use ferrod_env::sim::Loss;

use super::cluster::{ALL, Cluster};
use super::transfer::fill_and_flush;
use crate::{ConfChangeKind, ConfState, MemberId};

const NEW: MemberId = MemberId(4);

fn conf(voters: &[MemberId], learners: &[MemberId]) -> ConfState {
    ConfState::new(voters.to_vec(), learners.to_vec())
}

fn all_have(cluster: &mut Cluster, conf: &ConfState) {
    cluster.settle();
    for member in cluster.sites.keys() {
        assert_eq!(cluster.conf(*member), *conf, "{member}");
    }
}

/// One of the old members misses more than the others remember, and gets a copy of the state.
fn copy_to(cluster: &mut Cluster, behind: MemberId) {
    // Whoever must get the copy does not lead.
    while cluster.elect() == behind {
        cluster.cut_off = vec![behind];
        cluster.run_for(Duration::from_secs(4));
        cluster.cut_off.clear();
        cluster.run_for(Duration::from_secs(1));
    }
    let leader = cluster.elect();
    cluster.cut_off = vec![behind];
    fill_and_flush(cluster, leader);
    cluster.cut_off.clear();
    cluster.settle();
    assert_eq!(cluster.site(behind).told.lock().unwrap().installed, 1);
}

/// Whether a write is applied at its leader while these are down.
fn commits_without(cluster: &mut Cluster, down: &[MemberId]) -> bool {
    for member in down {
        cluster.kill(*member, Loss::Process);
    }
    cluster.run_for(Duration::from_secs(6));
    let up = ALL
        .into_iter()
        .find(|member| !down.contains(member))
        .unwrap();
    let payload = cluster.propose(up);
    cluster.run_for(Duration::from_secs(2));
    let done = cluster.has(up, &payload);
    for member in down {
        cluster.start(*member).unwrap();
    }
    cluster.settle();
    done
}

/// covers: R-049, M-07, Q-10
#[test]
fn who_was_given_a_vote_keeps_it() {
    let mut cluster = Cluster::new(1, 4 << 10);
    cluster.elect();
    cluster.join(NEW);
    cluster.change(ConfChangeKind::AddLearner, NEW);
    all_have(&mut cluster, &conf(&ALL, &[NEW]));
    // Two of three voters are enough, whatever the learner does.
    assert!(commits_without(&mut cluster, &[MemberId(3), NEW]));
    cluster.change(ConfChangeKind::AddVoter, NEW);
    let four = conf(&[ALL[0], ALL[1], ALL[2], NEW], &[]);
    all_have(&mut cluster, &four);
    for behind in [NEW, MemberId(2)] {
        cluster.restart_all();
        all_have(&mut cluster, &four);
        copy_to(&mut cluster, behind);
        cluster.restart_all();
        all_have(&mut cluster, &four);
    }
    // In raft too: of four voters three are needed, and the new one is as good as any.
    assert!(commits_without(&mut cluster, &[MemberId(3)]));
    assert!(!commits_without(&mut cluster, &[MemberId(3), NEW]));
}

/// covers: R-051, M-05
#[test]
fn who_is_updated_keeps_its_part() {
    let mut cluster = Cluster::new(2, 64 << 20);
    cluster.elect();
    cluster.join(NEW);
    cluster.change(ConfChangeKind::AddLearner, NEW);
    cluster.change(ConfChangeKind::Update, NEW);
    cluster.change(ConfChangeKind::Update, MemberId(2));
    all_have(&mut cluster, &conf(&ALL, &[NEW]));
    cluster.restart_all();
    all_have(&mut cluster, &conf(&ALL, &[NEW]));
    assert!(commits_without(&mut cluster, &[MemberId(3), NEW]));
    assert!(!commits_without(&mut cluster, &[MemberId(2), MemberId(3)]));
    cluster.change(ConfChangeKind::AddVoter, NEW);
    all_have(&mut cluster, &conf(&[ALL[0], ALL[1], ALL[2], NEW], &[]));
    assert!(!commits_without(&mut cluster, &[MemberId(3), NEW]));
}

/// Who does not know of its removal goes on asking for votes, and says what it likes.
///
/// covers: R-050, S-03
#[test]
fn who_was_removed_stays_away_and_disturbs_nobody() {
    for seed in 0..5 {
        let mut cluster = Cluster::new(seed, 4 << 10);
        cluster.join(NEW);
        cluster.change(ConfChangeKind::AddVoter, NEW);
        cluster.settle();
        let leader = cluster.elect();
        let gone = [NEW, MemberId(3)]
            .into_iter()
            .find(|member| *member != leader);
        let gone = gone.unwrap();
        cluster.cut_off = vec![gone];
        cluster.change(ConfChangeKind::Remove, gone);
        let left: Vec<_> = cluster
            .sites
            .keys()
            .copied()
            .filter(|member| *member != gone)
            .collect();
        cluster.run_for(Duration::from_secs(5));
        let soft = |cluster: &Cluster| {
            let running = cluster.sites[&leader].running.as_ref().unwrap();
            running.handle().status().soft
        };
        let before = soft(&cluster);
        cluster.cut_off.clear();
        cluster.run_for(Duration::from_secs(10));
        assert_eq!(soft(&cluster), before);
        cluster.kill(gone, Loss::Drop);
        cluster.start(gone).unwrap();
        cluster.run_for(Duration::from_secs(10));
        assert_eq!(soft(&cluster), before);
        cluster.kill(gone, Loss::Process);
        cluster.sites.remove(&gone);

        // Neither a restart nor a copy of the state brings it back.
        let three = conf(&left, &[]);
        all_have(&mut cluster, &three);
        cluster.restart_all();
        all_have(&mut cluster, &three);
        copy_to(&mut cluster, left[1]);
        cluster.restart_all();
        all_have(&mut cluster, &three);
        assert!(commits_without(&mut cluster, &[left[1]]));
    }
}
