//! Asking the others how this member can heal.

use std::collections::BTreeSet;
use std::time::Duration;

use ferrod_node::MemberId;
use ferrod_proto::peer::{Standing, Suspect, answer, question};
use ferrod_store::Member;
use ferrod_wal::Identity;

use super::ANSWER_TIMEOUT;
use super::aside::free_number;
use super::known::Known;
use crate::config::Config;
use crate::ids::ClusterId;
use crate::member::Error;
use crate::member::data_dir::DataDir;
use crate::member::join;
use crate::peer::ask;
use crate::suspect::{Plan, VOTERS_MIN};

/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds in a row that fail for one reason, after which it is logged again.
const ROUNDS_PER_LINE: u32 = 30;
/// How long one member may take to say who is in its cluster.
const MEMBERS_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks until the peers have said how this member can heal.
///
/// # Errors
/// If nobody knows any more whose log it was.
pub(super) async fn until_told(config: &Config, dir: &DataDir) -> Result<Plan, Error> {
    let known = Known::gather(config, dir, true);
    let identity = known.identity.ok_or_else(|| {
        Error::Start(format!(
            "nothing in {} says whose log it was, so nobody can heal it: remove this member from its cluster and add it \
             again with an empty directory",
            dir.wal.display()
        ))
    })?;
    let mut said = (String::new(), 0);
    loop {
        let reason = match consult(&known, identity).await {
            Ok((term, until)) => {
                return Ok(Plan {
                    cluster: identity.cluster,
                    member: identity.member,
                    term: term.max(known.term.0),
                    until,
                    number: free_number(dir),
                    aside: false,
                });
            }
            Err(reason) => reason,
        };
        if said.0 != reason || said.1 >= ROUNDS_PER_LINE {
            tracing::warn!(reason, "cannot heal yet; nothing was changed so far");
            said = (reason, 0);
        }
        said.1 += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// One round of questions. Returns a term above which this member has promised nothing, and an index above which it has
/// acknowledged nothing that is committed.
async fn consult(known: &Known, identity: Identity) -> Result<(u64, u64), String> {
    let cluster = ClusterId(identity.cluster);
    let asked = known.urls.iter().map(|url| join::ask(url, MEMBERS_TIMEOUT));
    let told = futures_util::future::join_all(asked).await;
    let mut told = told.into_iter().flatten();
    let running = told
        .find(|running| running.cluster == cluster)
        .ok_or("no other member of the cluster answers")?;
    let local = identity.member;
    if !running.members.iter().any(|member| member.id == local) {
        return Err(format!("member {local:x} is not in the cluster any more"));
    }
    let others = running.members.iter().filter(|m| m.id != local);
    let asked = others.map(|member| standing(cluster, member, local));
    let answers = futures_util::future::join_all(asked).await;
    judge(
        MemberId(local),
        &answers.into_iter().flatten().collect::<Vec<_>>(),
    )
}

/// What one member says of itself; nothing if it does not answer.
async fn standing(cluster: ClusterId, of: &Member, local: u64) -> Option<(MemberId, Standing)> {
    let content = question::Content::Suspect(Suspect {
        member: local,
        last: 0,
    });
    let id = MemberId(of.id);
    match ask::ask(cluster, id, &of.peer_urls, content, ANSWER_TIMEOUT).await {
        Ok(answer) => match answer.content {
            Some(answer::Content::Standing(standing)) => Some((id, standing)),
            _ => None,
        },
        Err(error) => {
            tracing::info!("remote-peer-id" = %id, %error, "a member does not say how to heal");
            None
        }
    }
}

/// What the answers of other members mean.
fn judge(local: MemberId, answers: &[(MemberId, Standing)]) -> Result<(u64, u64), String> {
    let confirmed = answers
        .iter()
        .filter_map(|(_, standing)| Some((standing.term, standing.confirmed.as_ref()?)));
    let (_, leader) = confirmed
        .max_by_key(|(term, _)| *term)
        .ok_or("there is no leader that a majority confirms")?;
    let voters: BTreeSet<_> = leader.voters.iter().copied().map(MemberId).collect();
    if voters.contains(&local) && voters.len() < VOTERS_MIN {
        return Err(format!(
            "of {} voters none can be missing, and this one is",
            voters.len()
        ));
    }
    let answered: BTreeSet<_> = answers.iter().map(|(id, _)| *id).collect();
    let silent = voters
        .iter()
        .filter(|id| **id != local && !answered.contains(id));
    let silent: Vec<_> = silent.map(MemberId::to_string).collect();
    if !silent.is_empty() {
        // A candidate with a forgotten vote may be among them.
        return Err(format!("voters do not answer: {}", silent.join(", ")));
    }
    let terms = answers.iter().map(|(_, standing)| standing.term);
    Ok((terms.max().unwrap_or_default(), leader.last))
}

#[cfg(test)]
mod tests {
    use ferrod_proto::peer::Confirmed;

    use super::*;

    fn follower(id: u64, term: u64) -> (MemberId, Standing) {
        let confirmed = None;
        (MemberId(id), Standing { term, confirmed })
    }

    fn leader(id: u64, term: u64, last: u64, voters: &[u64]) -> (MemberId, Standing) {
        let confirmed = Some(Confirmed {
            last,
            voters: voters.to_vec(),
        });
        (MemberId(id), Standing { term, confirmed })
    }

    /// covers: D-02, P-M-02
    #[test]
    fn a_leader_and_all_other_voters_are_needed() {
        let judge = |answers: &[_]| judge(MemberId(1), answers);
        let voters = [1, 2, 3, 4, 5];
        let all = [
            leader(2, 7, 40, &voters),
            follower(3, 7),
            follower(4, 7),
            follower(5, 7),
        ];
        assert_eq!(judge(&all), Ok((7, 40)));
        // A majority without this member is not enough: the other one may have its vote.
        assert!(judge(&all[..3]).unwrap_err().contains("5"));
        assert!(judge(&all[1..]).unwrap_err().contains("leader"));
        assert!(judge(&[]).unwrap_err().contains("leader"));
        // A learner's silence does not matter, and neither does a learner's damage.
        assert_eq!(
            judge(&[leader(2, 7, 40, &[2, 3]), follower(3, 7)]),
            Ok((7, 40))
        );
    }

    /// covers: D-02, Q-20
    #[test]
    fn the_highest_term_counts_and_the_latest_leader() {
        let voters = [1, 2, 3];
        let answers = [leader(2, 7, 40, &voters), follower(3, 9)];
        assert_eq!(judge(MemberId(1), &answers), Ok((9, 40)));
        let answers = [leader(2, 7, 99, &voters), leader(3, 8, 41, &voters)];
        assert_eq!(judge(MemberId(1), &answers), Ok((8, 41)));
    }

    /// covers: D-02
    #[test]
    fn two_voters_cannot_heal_each_other() {
        let answers = [leader(2, 7, 40, &[1, 2])];
        assert!(judge(MemberId(1), &answers).is_err());
    }
}
