//! A start that finds damage, or the mark of damage that was found before.
//!
//! The member marks itself as suspect before it does anything else. Then it asks the other members how it can heal, for as
//! long as it takes: until a leader has answered, nothing that was found is touched. With the answer, the damaged log and
//! the backend are put aside under another name, an empty log is begun under the same identity, and the member starts, as one
//! that takes no part in elections and serves nobody until it has caught up. Each step is recorded in the mark before the
//! next, so a crash at any point goes on from there. Why this is safe is told in `core/suspect.rs` of `ferrod-node`.
//!
//! Without two other voters nobody can tell what was lost: such a member refuses to start, and touches nothing.

mod consult;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferrod_env::{Disk, RealDisk};
use ferrod_mvcc::backend::{Lmdb, LmdbOptions};
use ferrod_node::{ConfChangeKind, Dump, DurableLog, LogIndex, Term};
use ferrod_proto::peer::{answer, question};
use ferrod_store::Member;
use ferrod_wal::Identity;

use super::Error;
use super::data_dir::DataDir;
use super::join::NewMember;
use super::listeners::Listeners;
use super::open::{self, Opened, log_options};
use crate::config::{Config, MemberUrl};
use crate::engine::Engine;
use crate::ids::ClusterId;
use crate::peer::ask;
use crate::suspect::{Mark, Plan, VOTERS_MIN, mark_path, sync_dir};

/// Damage that is found again in what was just made new is more than a member can heal from.
const ATTEMPTS_MAX: u32 = 3;
/// Between two looks at whether the member is healed.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Looks after which the leader hears again how far this member's log goes.
const LOOKS_PER_QUESTION: u32 = 20;
/// A leader's answer takes a round among a majority.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

/// Something durable that is not what was written.
#[derive(Debug)]
pub(super) struct Damage {
    /// What was being done.
    pub(super) doing: &'static str,
    pub(super) source: Box<dyn std::error::Error + Send + Sync>,
    /// Whether the backend may still be asked who the members are.
    pub(super) backend_is_whole: bool,
}

/// Why a member did not open.
#[derive(Debug)]
pub(super) enum OpenError {
    Damage(Damage),
    Other(Error),
}

impl From<Error> for OpenError {
    fn from(error: Error) -> OpenError {
        OpenError::Other(error)
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Error {
        Error::System {
            doing: damage.doing.to_owned(),
            source: damage.source,
        }
    }
}

/// What went wrong with the log.
pub(super) fn of_node(doing: &'static str, error: ferrod_node::Error) -> OpenError {
    judge(doing, log_is_damaged(&error), true, error)
}

/// What went wrong with the state machine.
pub(super) fn of_store(doing: &'static str, error: ferrod_store::Error) -> OpenError {
    let damaged = match &error {
        ferrod_store::Error::Storage(error) => Lmdb::is_damage(error),
        ferrod_store::Error::Malformed { .. } => true,
        ferrod_store::Error::Refused(_) => false,
    };
    judge(doing, damaged, false, error)
}

/// What went wrong with the backend.
pub(super) fn of_backend(doing: &'static str, error: ferrod_mvcc::Error) -> OpenError {
    judge(doing, Lmdb::is_damage(&error), false, error)
}

fn judge(
    doing: &'static str,
    is_damaged: bool,
    backend_is_whole: bool,
    error: impl std::error::Error + Send + Sync + 'static,
) -> OpenError {
    if is_damaged {
        OpenError::Damage(Damage {
            doing,
            source: Box::new(error),
            backend_is_whole,
        })
    } else {
        OpenError::Other(Error::system(doing, error))
    }
}

/// Whether the log is not what was written, or does not belong to the state machine.
fn log_is_damaged(error: &ferrod_node::Error) -> bool {
    use ferrod_node::Error as E;
    match error {
        E::Wal(error) => wal_is_damaged(error),
        E::Membership(_)
        | E::Record { .. }
        | E::Gap { .. }
        | E::CommittedReplaced { .. }
        | E::TermOrder { .. }
        | E::CommitBeyondLog { .. }
        | E::AppliedOutsideLog { .. }
        | E::AppliedTerm { .. } => true,
        // Of these the first comes from a running member, whose log is whole: `core/suspect.rs` of `ferrod-node` tells why
        // such a member must not heal.
        E::Contradiction(_)
        | E::Config(_)
        | E::Log(_)
        | E::StateMachine(_)
        | E::Thread { .. }
        | E::Stopped => false,
    }
}

fn wal_is_damaged(error: &ferrod_wal::Error) -> bool {
    use ferrod_wal::Error as E;
    match error {
        E::Corrupt { .. }
        | E::Foreign { .. }
        | E::Missing { .. }
        | E::Misplaced { .. }
        | E::BrokenChain { .. } => true,
        // A sector that the disk cannot read.
        E::Io { source, .. } => source.raw_os_error() == Some(libc::EIO),
        E::NoSpace { .. }
        | E::Version { .. }
        | E::NotFound { .. }
        | E::Exists { .. }
        | E::TooLarge { .. }
        | E::Poisoned => false,
    }
}

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
                consult::until_told(config, dir).await?
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

/// The lowest number under which nothing is kept yet.
fn free_number(dir: &DataDir) -> u32 {
    let is_free = |number: &u32| {
        let all = [&dir.wal, &dir.backend];
        let mut kept = all.iter().flat_map(|path| kept_at(path, *number));
        !kept.any(|path| path.exists())
    };
    (1..).find(is_free).unwrap_or(u32::MAX)
}

/// Where the damaged version of a directory is kept: beside it or, if it is a mount point, within.
fn kept_at(path: &Path, number: u32) -> [PathBuf; 2] {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!("{name}.damaged-{number}"));
    [beside, path.join(format!("damaged-{number}"))]
}

/// Puts log and backend aside, each as far as an earlier attempt has not done so.
fn set_aside(dir: &DataDir, number: u32) -> Result<(), Error> {
    for path in [&dir.wal, &dir.backend] {
        let [beside, within] = kept_at(path, number);
        if !path.exists() {
            continue;
        }
        let kept = match fs::rename(path, &beside) {
            Ok(()) => beside,
            Err(error) if is_mount_point(&error) => {
                move_within(path, &within).map_err(|source| system("empty", path, source))?;
                within
            }
            Err(source) => return Err(system("rename", path, source)),
        };
        tracing::warn!(
            path = %path.display(),
            kept = %kept.display(),
            "put damaged data aside; remove them when nobody wants to look at them"
        );
        let above = path.parent().unwrap_or(Path::new("/"));
        sync_dir(above).map_err(|source| system("sync", above, source))?;
    }
    Ok(())
}

fn is_mount_point(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EXDEV))
}

/// Moves what is in a directory into one within it.
fn move_within(path: &Path, within: &Path) -> std::io::Result<()> {
    fs::create_dir_all(within)?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let is_kept = entry.file_name().to_string_lossy().starts_with("damaged-");
        if !is_kept {
            fs::rename(entry.path(), within.join(entry.file_name()))?;
        }
    }
    sync_dir(within)?;
    sync_dir(path)
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

/// Whether there are so many voters, as far as anything on this disk or in the flags tells, that a quorum can do without
/// this one.
fn has_peers(config: &Config, dir: &DataDir, backend_is_whole: bool) -> bool {
    let known = Known::gather(config, dir, backend_is_whole);
    known.voters.is_some_and(|voters| voters >= VOTERS_MIN)
}

/// What this member can find out about its cluster without any help.
pub(super) struct Known {
    /// Whose log it is, if that can be told.
    pub(super) identity: Option<Identity>,
    pub(super) voters: Option<usize>,
    /// The highest term in what can be read of the log.
    pub(super) term: Term,
    /// Where other members may be reached.
    pub(super) urls: Vec<MemberUrl>,
}

impl Known {
    pub(super) fn gather(config: &Config, dir: &DataDir, backend_is_whole: bool) -> Known {
        let dump = ferrod_node::dump(&RealDisk, &dir.wal);
        let identity = ferrod_wal::identify(&RealDisk, &dir.wal).ok().flatten();
        let mut members = Vec::new();
        let mut voters = None;
        // LMDB believes what its file says, so the file is judged as a whole before.
        if backend_is_whole && dir.backend.exists() && Lmdb::check(&dir.backend).is_ok() {
            members = stored_members(&dir.backend);
            voters = Some(members.iter().filter(|m| !m.is_learner).count());
        }
        let initial = config.initial_cluster().ok();
        let voters = voters
            .filter(|voters| *voters > 0)
            .or_else(|| dump.configuration().map(|conf| conf.voters.len()))
            .or_else(|| initial.as_ref().map(|initial| initial.members.len()));
        members.extend(logged_members(&dump));
        let local = identity.map(|identity| identity.member);
        let others = members.iter().filter(|member| Some(member.id) != local);
        let urls = others.flat_map(|member| &member.peer_urls);
        let mut urls: Vec<_> = urls.filter_map(|url| MemberUrl::parse(url).ok()).collect();
        for member in initial.iter().flat_map(|initial| &initial.members) {
            if initial.as_ref().is_some_and(|i| i.local != member.id) {
                urls.extend(member.peer_urls.iter().cloned());
            }
        }
        urls.sort();
        urls.dedup();
        let hard_state = dump.log.hard_state();
        let last = dump.log.entries().last().map(|entry| entry.term);
        Known {
            identity,
            voters,
            term: hard_state.term.max(last.unwrap_or_default()),
            urls,
        }
    }
}

/// The members in a backend whose file is sound.
fn stored_members(path: &Path) -> Vec<Member> {
    let stored = Lmdb::open(path, LmdbOptions::for_quota(0))
        .map_err(ferrod_store::Error::Storage)
        .and_then(|lmdb| ferrod_store::stored_members(&lmdb));
    stored
        .map(|members| members.present.into_values().collect())
        .unwrap_or_default()
}

/// The members that the changes in the log name.
fn logged_members(dump: &Dump) -> Vec<Member> {
    let changes = dump.log.entries().iter().filter_map(|entry| entry.change());
    let told = changes.filter(|change| change.kind != ConfChangeKind::Remove);
    told.filter_map(|change| serde_json::from_slice(&change.context).ok())
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: D-02
    #[test]
    fn a_mount_point_is_emptied_into_itself() {
        let dir = tempfile::tempdir().unwrap();
        let [_, within] = kept_at(dir.path(), 2);
        fs::create_dir(dir.path().join("damaged-1")).unwrap();
        fs::write(dir.path().join("a"), "1").unwrap();
        move_within(dir.path(), &within).unwrap();
        // An attempt that was interrupted goes on.
        fs::write(dir.path().join("b"), "2").unwrap();
        move_within(dir.path(), &within).unwrap();
        let names = |dir: &Path| {
            let entries = fs::read_dir(dir).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(dir.path()), ["damaged-1", "damaged-2"]);
        assert_eq!(names(&within), ["a", "b"]);
    }

    /// covers: D-02, P-M-05
    #[test]
    fn only_damage_makes_a_member_suspect() {
        use ferrod_wal::SegmentSeq;
        let corrupt = ferrod_wal::Error::Corrupt {
            segment: SegmentSeq::FIRST,
            offset: 7,
        };
        assert!(log_is_damaged(&corrupt.into()));
        let lost_end = ferrod_node::Error::CommitBeyondLog {
            commit: LogIndex(2),
            last: LogIndex(1),
        };
        assert!(log_is_damaged(&lost_end));
        let contradiction = ferrod_node::Contradiction {
            leader: ferrod_node::MemberId(2),
            leader_term: Term(3),
            index: LogIndex(4),
            ours: Term(1),
            theirs: Term(2),
        };
        assert!(!log_is_damaged(&contradiction.into()));
        let io = |code| ferrod_wal::Error::Io {
            operation: "read",
            path: PathBuf::new(),
            source: std::io::Error::from_raw_os_error(code),
        };
        assert!(log_is_damaged(&io(libc::EIO).into()));
        assert!(!log_is_damaged(&io(libc::EACCES).into()));
        let newer = ferrod_wal::Error::Version {
            segment: SegmentSeq::FIRST,
            found: 9,
            supported: 1,
        };
        assert!(!log_is_damaged(&newer.into()));
    }
}
