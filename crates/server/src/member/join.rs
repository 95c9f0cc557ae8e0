//! Who a member without data is: one of a new cluster's first members, or one that was added to a cluster that runs.
//!
//! A member that joins asks the others who is in the cluster. What it is told must be what its flags say, and its own id
//! is the one that the cluster gave to its URLs.

use std::collections::BTreeSet;
use std::time::Duration;

use ferrod_node::MemberId;
use ferrod_store::Member;

use super::Error;
use super::places::{self, Compared, PATIENCE, RETRY_PAUSE};
use crate::config::{ClusterState, Config, InitialCluster, InitialMember, MemberUrl};
use crate::ids::ClusterId;
use crate::logging::error_chain;
use crate::peer::{fetch, has_lived};

/// How long one member may take to say who is in its cluster.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one member of a new cluster may take to say whether it knows this one already.
const NEW_TIMEOUT: Duration = Duration::from_secs(1);
/// Versions of a cluster that this one can work in: major and minor.
const VERSIONS: ((u64, u64), (u64, u64)) = ((3, 0), (3, 7));

/// Who a member without data is.
pub(super) struct NewMember {
    pub(super) cluster: ClusterId,
    pub(super) local: MemberId,
    /// Who begins the log; nobody if this member joins, for its log comes from the leader.
    pub(super) first: Vec<InitialMember>,
}

/// Finds out who a member without data is.
///
/// # Errors
/// If flags and cluster do not agree, or if nobody of the cluster answers.
pub(super) async fn identify(config: &Config) -> Result<NewMember, Error> {
    let initial = config
        .initial_cluster()
        .map_err(|error| Error::Start(error.to_string()))?;
    match config.cluster.state {
        ClusterState::New => begin(config, initial).await,
        ClusterState::Existing => join(config, initial).await,
    }
}

/// What a running cluster says of itself.
pub(super) struct Running {
    pub(super) cluster: ClusterId,
    pub(super) members: Vec<Member>,
}

/// A new cluster. A member that the others have already seen has lost its data, and with it what it has promised. If nobody
/// answers now, it is found out later: see `peer/newcomer.rs`.
async fn begin(config: &Config, initial: InitialCluster) -> Result<NewMember, Error> {
    if let Err(mismatch) = config.check_advertised(&initial)
        && !places::same(&config.advertise_peer_urls, initial.local_urls()).await
    {
        return Err(Error::Start(mismatch.to_string()));
    }
    let local = initial.local;
    let others = others(&initial);
    let running = answers(&others, NEW_TIMEOUT).await;
    if running.iter().any(|running| has_started(running, local)) {
        return Err(Error::Start(format!(
            "member {local} has already been bootstrapped"
        )));
    }
    Ok(NewMember {
        cluster: initial.id,
        local,
        first: initial.members,
    })
}

/// Whether a cluster says that this member has once been up.
fn has_started(running: &Running, local: MemberId) -> bool {
    let known = running.members.iter().find(|member| member.id == local.0);
    known.is_some_and(|member| !member.client_urls.is_empty())
}

async fn join(config: &Config, initial: InitialCluster) -> Result<NewMember, Error> {
    let others = others(&initial);
    let running = answer_in_time(&others).await.ok_or_else(|| {
        Error::Start(
            "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs"
                .to_owned(),
        )
    })?;
    let local = match_in_time(&initial, &running).await.map_err(|why| {
        let urls = running.members.iter().flat_map(|member| &member.peer_urls);
        let urls: Vec<&str> = urls.map(String::as_str).collect();
        Error::Start(format!(
            "error validating peerURLs {}: {why}",
            urls.join(",")
        ))
    })?;
    // etcd lets it in. But a voter that has forgotten what it promised can undo what was acknowledged.
    if has_started(&running, local) {
        return Err(Error::Start(has_lived(local)));
    }
    let learners = running.members.iter().filter(|m| m.is_learner).count();
    if learners > config.cluster.learners_max {
        return Err(Error::Start(
            "membership: too many learner members in cluster".to_owned(),
        ));
    }
    check_versions(&others, config.request_timeout()).await?;
    Ok(NewMember {
        cluster: running.cluster,
        local,
        first: Vec::new(),
    })
}

/// Peer URLs of the other members, sorted.
fn others(initial: &InitialCluster) -> Vec<MemberUrl> {
    let others = initial.members.iter().filter(|m| m.id != initial.local);
    let urls: BTreeSet<_> = others.flat_map(|m| m.peer_urls.iter().cloned()).collect();
    urls.into_iter().collect()
}

/// Asks for a while, until somebody answers: names and members may come up together with this one.
async fn answer_in_time(urls: &[MemberUrl]) -> Option<Running> {
    if urls.is_empty() {
        return None;
    }
    let asking = async {
        loop {
            let running = answers(urls, JOIN_TIMEOUT).await;
            if let Some(first) = running.into_iter().next() {
                return first;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.ok()
}

/// Asks all; returns what those say who answer, in their order.
async fn answers(urls: &[MemberUrl], timeout: Duration) -> Vec<Running> {
    let asked = urls.iter().map(|url| ask(url, timeout));
    let answers = futures_util::future::join_all(asked).await;
    let say = |error: &String| tracing::info!(error, "failed to get cluster response");
    let answers = answers.into_iter().map(|answer| answer.inspect_err(say));
    answers.flatten().collect()
}

/// Asks one member of a cluster who is in it.
///
/// # Errors
/// In words, for a person.
pub(super) async fn ask(url: &MemberUrl, timeout: Duration) -> Result<Running, String> {
    let page = fetch::page(url, "/members", timeout).await;
    let page = page.map_err(|error| error_chain(&error))?;
    let id = page.headers.get("x-etcd-cluster-id");
    let id = id.and_then(|id| u64::from_str_radix(id.to_str().ok()?, 16).ok());
    let members: Vec<Member> =
        serde_json::from_slice(&page.body).map_err(|error| error.to_string())?;
    match id {
        // A member that has just begun may not know its own cluster yet.
        Some(id) if !members.is_empty() => Ok(Running {
            cluster: ClusterId(id),
            members,
        }),
        _ => Err(format!("{url} does not say which cluster it belongs to")),
    }
}

/// Why flags and cluster do not agree.
#[derive(Debug, PartialEq, Eq)]
struct Mismatch {
    why: String,
    /// They may agree once a name is known.
    lacks_name: bool,
}

impl From<String> for Mismatch {
    fn from(why: String) -> Mismatch {
        Mismatch {
            why,
            lacks_name: false,
        }
    }
}

/// As [`match_members`]; waits a while for names that nobody knows yet.
async fn match_in_time(initial: &InitialCluster, running: &Running) -> Result<MemberId, String> {
    let mut last = "names of the cluster's members could not be looked up".to_owned();
    let matching = async {
        loop {
            match match_members(initial, running).await {
                Err(mismatch) if mismatch.lacks_name => last = mismatch.why,
                matched => return matched.map_err(|mismatch| mismatch.why),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    };
    let matched = tokio::time::timeout(PATIENCE, matching).await;
    matched.unwrap_or(Err(last))
}

/// Finds this member among those of the cluster. Each of them must be in the flags, and the other way round.
async fn match_members(initial: &InitialCluster, running: &Running) -> Result<MemberId, Mismatch> {
    if initial.members.len() != running.members.len() {
        return Err("member count is unequal".to_owned().into());
    }
    let mut local = None;
    for member in &running.members {
        let (mut found, mut lacks_name) = (None, false);
        for candidate in &initial.members {
            match compare_urls(&candidate.peer_urls, &member.peer_urls).await {
                Compared::Same => {
                    found = Some(candidate.id);
                    break;
                }
                Compared::Different => {}
                Compared::Unknown => lacks_name = true,
            }
        }
        let Some(found) = found else {
            let why = format!(
                "PeerURLs: no match found for existing member ({:x}, [{}]), last resolver error (<nil>)",
                member.id,
                member.peer_urls.join(" ")
            );
            return Err(Mismatch { why, lacks_name });
        };
        if found == initial.local {
            local = Some(MemberId(member.id));
        }
    }
    local.ok_or_else(|| {
        "this member is not among those of the cluster"
            .to_owned()
            .into()
    })
}

/// Whether a member of the flags is one that the cluster knows by these URLs.
async fn compare_urls(flags: &[MemberUrl], cluster: &[String]) -> Compared {
    let cluster: Result<Vec<_>, _> = cluster.iter().map(|url| MemberUrl::parse(url)).collect();
    match cluster {
        Ok(cluster) => places::compare(flags, &cluster).await,
        Err(_) => Compared::Different,
    }
}

#[derive(serde::Deserialize)]
struct Versions {
    etcdcluster: String,
}

/// Whether this version may join: at least one member says a version that it can work in, and none another.
async fn check_versions(urls: &[MemberUrl], timeout: Duration) -> Result<(), Error> {
    let asked = urls.iter().map(|url| async move {
        let page = fetch::page(url, "/version", timeout).await.ok()?;
        let versions: Versions = serde_json::from_slice(&page.body).ok()?;
        major_minor(&versions.etcdcluster)
    });
    let answers = futures_util::future::join_all(asked).await;
    let versions: Vec<_> = answers.into_iter().flatten().collect();
    let (low, high) = VERSIONS;
    let all_fit = versions
        .iter()
        .all(|version| (low..=high).contains(version));
    if versions.is_empty() || !all_fit {
        return Err(Error::Start(
            "incompatible with current running cluster".to_owned(),
        ));
    }
    Ok(())
}

/// `None` for what is no version, such as `not_decided`.
fn major_minor(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests;
