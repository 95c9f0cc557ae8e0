//! `--force-new-cluster`: a member whose cluster is lost goes on without the others.

use ferrod_node::{ConfState, DurableLog, MemberId, OpenedLog, StartingPoint};
use ferrod_store::{Member, MemberChange};

use super::Error;
use super::open::texts;
use crate::config::Config;
use crate::engine::change_entry;

/// Ends the log with the removal of every other member. Ids stay: what was removed never comes back under them.
///
/// # Errors
/// If the log cannot be written.
pub(super) fn leave_others(
    config: &Config,
    log: &mut DurableLog,
    opened: &mut OpenedLog,
    from: &StartingPoint,
) -> Result<(), Error> {
    let local = MemberId(opened.identity.member);
    let decide = |conf: &ConfState| {
        let changes = decide(local, conf, || texts(&config.advertise_peer_urls));
        changes
            .iter()
            .map(|change| change_entry(0, change))
            .collect()
    };
    let done = log
        .disown(&mut opened.recovered, from, decide)
        .map_err(|source| Error::system("leave the other members behind", source))?;
    if done.kept > 0 {
        // etcd discards them, and with them what was acknowledged last.
        tracing::warn!(
            "commit-index-from-wal" = done.commit.0,
            "number-of-kept-entries" = done.kept,
            "keeping WAL entries that were not known to be committed"
        );
    }
    tracing::info!(
        "cluster-id" = %format!("{:x}", opened.identity.cluster),
        "local-member-id" = %local,
        "commit-index" = opened.recovered.hard_state().commit.0,
        "forcing restart member"
    );
    Ok(())
}

/// This member gets a vote if it has none, then all others go.
fn decide(
    local: MemberId,
    conf: &ConfState,
    peer_urls: impl FnOnce() -> Vec<String>,
) -> Vec<MemberChange> {
    let mut changes = Vec::new();
    if conf.learners.contains(&local) {
        changes.push(MemberChange::Promote(local.0));
    } else if !conf.voters.contains(&local) {
        changes.push(MemberChange::Add(Member {
            id: local.0,
            peer_urls: peer_urls(),
            ..Member::default()
        }));
    }
    let all = conf.voters.iter().chain(&conf.learners);
    let others = all.filter(|member| **member != local);
    changes.extend(others.map(|member| MemberChange::Remove(member.0)));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: M-08, R-054
    #[test]
    fn one_voter_is_left_whatever_there_was() {
        let ids = |ids: &[u64]| ids.iter().map(|id| MemberId(*id)).collect::<Vec<_>>();
        let decided = |voters: &[u64], learners: &[u64]| {
            let conf = ConfState::new(ids(voters), ids(learners));
            decide(MemberId(2), &conf, || vec!["u".into()])
        };
        use MemberChange::{Promote, Remove};
        assert_eq!(decided(&[2], &[]), []);
        assert_eq!(decided(&[1, 2, 3], &[4]), [Remove(1), Remove(3), Remove(4)]);
        assert_eq!(decided(&[1, 3], &[2]), [Promote(2), Remove(1), Remove(3)]);
        let added = decided(&[1], &[]);
        assert!(matches!(&added[..], [MemberChange::Add(member), Remove(1)] if member.id == 2));
    }
}
