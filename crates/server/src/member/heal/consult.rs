//! Asking the others how this member can heal.

use std::time::Duration;

use ferrod_node::{Confirmed, Healing, LogIndex, MemberId, Standing, Term};
use ferrod_proto::peer::{Suspect, answer, question};
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
use crate::member::listeners::Listeners;
use crate::peer::ask;
use crate::suspect::Plan;

/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds in a row that fail for one reason, after which it is logged again.
const ROUNDS_PER_LINE: u32 = 30;
/// How long one member may take to say who is in its cluster.
const MEMBERS_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks until the peers have said how this member can heal. Those that ask this one hear that it waits.
///
/// # Errors
/// If nobody knows any more whose log it was.
pub(super) async fn until_told(
    config: &Config,
    dir: &DataDir,
    listeners: &Listeners,
) -> Result<Plan, Error> {
    let known = Known::gather(config, dir, true);
    let identity = known.identity.ok_or_else(|| {
        Error::Start(format!(
            "nothing in {} says whose log it was, so nobody can heal it: remove this member from its cluster and add it \
             again with an empty directory",
            dir.wal.display()
        ))
    })?;
    let _waiting = listeners.wait_as(identity)?;
    let mut said = (String::new(), 0);
    loop {
        let reason = match consult(&known, identity).await {
            Ok(Healing { floor, until }) => {
                return Ok(Plan {
                    cluster: identity.cluster,
                    member: identity.member,
                    term: floor.max(known.term).0,
                    until: until.0,
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

/// One round of questions.
async fn consult(known: &Known, identity: Identity) -> Result<Healing, String> {
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
    let mut told = ask_all(cluster, others.clone(), local).await;
    let waiting = told.waiting;
    if !waiting.is_empty() {
        // What the others have said may be from before the last run of one of these had ended.
        let others = others.filter(|member| !waiting.contains(&MemberId(member.id)));
        told = ask_all(cluster, others, local).await;
    }
    let healing = Healing::judge(MemberId(local), &waiting, &told.standings);
    if healing.is_ok() && !waiting.is_empty() {
        tracing::info!(?waiting, "others are damaged too and wait");
    }
    healing.map_err(|reason| reason.to_string())
}

/// What members have said of themselves.
#[derive(Default)]
struct Told {
    standings: Vec<Standing>,
    /// Those that have no log either.
    waiting: Vec<MemberId>,
}

/// Asks members at the same time. Who does not answer has said nothing.
async fn ask_all(cluster: ClusterId, members: impl Iterator<Item = &Member>, local: u64) -> Told {
    let asked =
        members.map(async |member| (MemberId(member.id), ask_one(cluster, member, local).await));
    let mut told = Told::default();
    for (member, answer) in futures_util::future::join_all(asked).await {
        match answer {
            Some(answer::Content::Standing(standing)) => told.standings.push(Standing {
                member,
                term: Term(standing.term),
                removals: standing.removals,
                confirmed: standing.confirmed.map(|confirmed| Confirmed {
                    last: LogIndex(confirmed.last),
                    voters: confirmed.voters.into_iter().map(MemberId).collect(),
                }),
            }),
            Some(answer::Content::Waiting(_)) => told.waiting.push(member),
            _ => {}
        }
    }
    told
}

async fn ask_one(cluster: ClusterId, of: &Member, local: u64) -> Option<answer::Content> {
    let content = question::Content::Suspect(Suspect {
        member: local,
        last: 0,
    });
    let id = MemberId(of.id);
    match ask::ask(cluster, id, &of.peer_urls, content, ANSWER_TIMEOUT).await {
        Ok(answer) => answer.content,
        Err(error) => {
            tracing::info!("remote-peer-id" = %id, %error, "a member does not say how to heal");
            None
        }
    }
}
