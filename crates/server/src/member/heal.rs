//! A start that finds damage, or the mark of damage that was found before.
//!
//! The member marks itself as suspect before it does anything else. Then it asks the other members how it can heal, for as
//! long as it takes: until a leader has answered, nothing that was found is touched. Whoever asks it meanwhile hears that it
//! waits too. With the answer, the damaged log and the backend are put aside under another name, an empty log is begun under the same identity, and the member starts, as one
//! that takes no part in elections and serves nobody until it has caught up. Each step is recorded in the mark before the
//! next, so a crash at any point goes on from there. Why this is safe is told in `core/suspect.rs` of `ferrod-node`.
//!
//! Without two other voters nobody can tell what was lost: such a member refuses to start, and touches nothing.

mod aside;
mod consult;
mod damage;
mod known;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrod_env::{Disk, RealDisk};
use ferrod_node::{DurableLog, LogIndex, Term};
use ferrod_proto::peer::{answer, question};
use ferrod_wal::Identity;

use super::Error;
use super::data_dir::DataDir;
use super::join::NewMember;
use super::listeners::Listeners;
use super::open::{self, Opened, log_options};
use crate::config::Config;
use crate::engine::Engine;
use crate::ids::ClusterId;
use crate::peer::ask;
use crate::suspect::{Mark, Plan, mark_path};
use aside::set_aside;
pub(super) use damage::{OpenError, of_backend, of_node, of_store};
use known::has_peers;

/// Damage that is found again in what was just made new is more than a member can heal from.
const ATTEMPTS_MAX: u32 = 3;
/// Between two looks at whether the member is healed.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Looks after which the leader hears again how far this member's log goes.
const LOOKS_PER_QUESTION: u32 = 20;
/// A leader's answer takes a round among a majority.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// How a suspect member starts.
#[derive(Debug, Clone)]
pub(super) struct Healing {
    /// What was found, for a person.
    pub(super) reason: String,
    /// Once this is applied, the member may be trusted.
    pub(super) until: LogIndex,
}

/// The mark of a suspect member, if there is one.
///
/// # Errors
/// If the system does not tell.
pub(super) fn mark(config: &Config) -> Result<Option<Mark>, Error> {
    let dir = config.member_dir();
    Mark::read(&dir).map_err(|source| system("read", &mark_path(&dir), source))
}

/// What a member is opened from.
pub(super) struct Start<'a> {
    pub(super) config: &'a Config,
    pub(super) runtimes: usize,
    /// For a directory without data.
    pub(super) new: Option<NewMember>,
    pub(super) dir: &'a DataDir,
    /// Where a suspect member says why it serves nobody.
    pub(super) listeners: &'a Listeners,
}

impl Start<'_> {
    /// Opens a member, healed or not: one with damage asks its peers first, for as long as it takes.
    ///
    /// # Errors
    /// [`Error`]; of damage, if there are no peers to heal from.
    pub(super) async fn open(&self, mark: Option<Mark>) -> Result<Opened, Error> {
        let (config, dir) = (self.config, self.dir);
        let mut healing = match mark {
            Some(mark) => Some(self.resume(mark).await?),
            None => None,
        };
        let mut attempts = 0;
        loop {
            let opened = open::open(
                config,
                self.runtimes,
                self.new.as_ref(),
                dir,
                healing.as_ref(),
            );
            let damage = match opened {
                Ok(opened) => return Ok(opened),
                Err(OpenError::Other(error)) => return Err(error),
                Err(OpenError::Damage(damage)) => damage,
            };
            attempts += 1;
            if attempts >= ATTEMPTS_MAX || !has_peers(config, dir, damage.backend_is_whole) {
                return Err(damage.into());
            }
            let reason = crate::logging::error_chain(&Error::from(damage));
            let mark = Mark { reason, plan: None };
            write(config, &mark)?;
            healing = Some(self.resume(mark).await?);
        }
    }

    /// Goes on where an earlier start of this suspect member has stopped.
    async fn resume(&self, mut mark: Mark) -> Result<Healing, Error> {
        let (config, dir) = (self.config, self.dir);
        if config.cluster.force_new {
            return Err(Error::Start(format!(
                "--force-new-cluster cannot be used with a member whose data are damaged: {}",
                mark.reason
            )));
        }
        tracing::error!(
            reason = mark.reason,
            "this member is suspect: it found damage below what it may have acknowledged, and heals from its peers"
        );
        let mut plan = match mark.plan {
            Some(plan) => plan,
            None => {
                let _excuse = self.listeners.excuse(&mark.reason)?;
                consult::until_told(config, dir, self.listeners).await?
            }
        };
        mark.plan = Some(plan);
        write(config, &mark)?;
        if !plan.aside {
            set_aside(dir, plan.number)?;
            plan.aside = true;
            mark.plan = Some(plan);
            write(config, &mark)?;
        }
        begin_log(config, dir, &plan)?;
        Ok(Healing {
            reason: mark.reason,
            until: LogIndex(plan.until),
        })
    }
}

fn write(config: &Config, mark: &Mark) -> Result<(), Error> {
    let dir = config.member_dir();
    let written = mark.write(&dir);
    written.map_err(|source| system("write", &mark_path(&dir), source))
}

fn system(doing: &str, path: &Path, source: std::io::Error) -> Error {
    Error::system(format!("{doing} {}", path.display()), source)
}

/// Begins the new log, unless an earlier attempt has done so.
fn begin_log(config: &Config, dir: &DataDir, plan: &Plan) -> Result<(), Error> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let identity = Identity {
        cluster: plan.cluster,
        member: plan.member,
    };
    let term = Term(plan.term);
    let begun = DurableLog::begin_again(disk, &dir.wal, log_options(config), identity, term);
    match begun {
        Ok(_) | Err(ferrod_node::Error::Wal(ferrod_wal::Error::Exists { .. })) => Ok(()),
        Err(source) => Err(Error::system("create the log", source)),
    }
}

/// Waits until a suspect member that has started is healed; then it is no longer marked. Keeps the leader informed of
/// how far this member's log goes.
///
/// # Errors
/// If the mark cannot be removed.
pub(super) async fn heal(engine: &Engine, config: &Config) -> Result<(), Error> {
    let mut looks = 0_u32;
    while engine.node.status().suspect {
        if looks.is_multiple_of(LOOKS_PER_QUESTION) {
            tell_peers(engine).await;
        }
        looks = looks.wrapping_add(1);
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    let dir = config.member_dir();
    Mark::clear(&dir).map_err(|source| system("remove", &mark_path(&dir), source))?;
    engine.suspicion.healed();
    engine.meters.server.suspect.set(0);
    tracing::info!(
        "applied-index" = engine.node.status().applied.0,
        "this member has healed from its peers and may be trusted again"
    );
    Ok(())
}

/// Says to all others how far this member's log goes: the leader may believe that it goes further. What a leader answers
/// may be reached sooner than what an earlier one said.
async fn tell_peers(engine: &Engine) {
    let (local, last) = (engine.member.0, engine.node.status().last.0);
    let asking = engine.peers.all().into_iter().map(|peer| async move {
        let content = question::Content::Suspect(ferrod_proto::peer::Suspect {
            member: local,
            last,
        });
        let cluster = ClusterId(engine.cluster_id.0);
        ask::ask(cluster, peer.id(), &peer.urls(), content, ANSWER_TIMEOUT).await
    });
    for answer in futures_util::future::join_all(asking).await {
        if let Ok(answer) = answer
            && let Some(answer::Content::Standing(standing)) = answer.content
            && let Some(confirmed) = standing.confirmed
        {
            engine.node.trust_from(LogIndex(confirmed.last));
        }
    }
}
