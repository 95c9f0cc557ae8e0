//! When members are compared, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use ferrod_node::{MemberId, Role};
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, alarm_request::AlarmAction,
};
use ferrod_proto::peer::{Comparison, question};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tonic::Status;

use super::Point;
use super::question::Kind;
use super::verdict::{Told, Verdict, judge};
use crate::config::Checks;
use crate::engine::Engine;
use crate::mailbox::Mailbox;

/// How often a comparison of the newest state is tried: a compaction may come between.
const TRIES: usize = 4;
/// Before the next try: a member that could not tell its hash may be about to.
const TRY_PAUSE: Duration = Duration::from_secs(5);

/// How often a member that has started asks to be compared, and how long it waits between.
const ASK_TRIES: usize = 120;
const ASK_PAUSE: Duration = Duration::from_secs(1);

/// Compares the members for ever, as long as this one leads.
pub(crate) async fn compare(engine: Arc<Engine>, checks: Checks) {
    let mut compactions = every(checks.compactions).await;
    let mut newest = every(checks.newest).await;
    let mut comparer = Comparer {
        engine: engine.clone(),
        mailbox: Arc::default(),
        checked: -1,
    };
    loop {
        tokio::select! {
            () = tick(&mut compactions) => comparer.compare_compactions().await,
            () = tick(&mut newest) => comparer.compare_newest().await,
            () = engine.comparisons.wanted.notified() => comparer.compare_newest().await,
        }
    }
}

/// Ticks with this period, the first time when one has passed.
async fn every(period: Option<Duration>) -> Option<Interval> {
    let mut ticks = interval(period?.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    Some(ticks)
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Asks the leader to compare all members, once this one has caught up.
///
/// A member that cannot make itself heard for so long is compared when the next compaction is.
pub(crate) async fn ask_for_comparison(engine: Arc<Engine>) {
    for _ in 0..ASK_TRIES {
        match ask(&engine).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "nobody compares the members yet"),
        }
        tokio::time::sleep(ASK_PAUSE).await;
    }
}

async fn ask(engine: &Engine) -> Result<(), Status> {
    engine.barrier(None).await?;
    let leader = engine.node.status().soft.leader.known();
    let leader = leader.ok_or_else(|| Status::unavailable("no leader"))?;
    if leader == engine.member {
        return engine.answer_comparison().map(drop);
    }
    let question = question::Content::Compare(Comparison {});
    engine.leader_line.ask(leader, question).await.map(drop)
}

/// Compares this member with all others that can be reached. A member that differs from any of them is not to serve.
///
/// Source: etcd's initial corruption check.
///
/// # Errors
/// The sentence with which the start ends.
pub(crate) async fn check_before_serving(engine: &Engine) -> Result<(), String> {
    let local = engine.member;
    tracing::info!("local-member-id" = %local, "starting initial corruption check");
    let point = newest(engine);
    let told = engine.hashes_of(point, Kind::Now).await;
    let own = told.iter().find(|(member, _)| *member == local);
    let own = own.and_then(|(_, hash)| *hash);
    let differs = |hash: Option<u32>| own.is_some() && hash.is_some() && hash != own;
    if told.iter().any(|(_, hash)| differs(*hash)) {
        say_diverged(point, &told, &judge(&told));
        return Err(format!("{local} found data inconsistency with peers"));
    }
    tracing::info!(
        "local-member-id" = %local,
        "initial corruption checking passed; no corruption"
    );
    Ok(())
}

fn newest(engine: &Engine) -> Point {
    let view = engine.views.load();
    Point {
        revision: view.revision(),
        compacted: view.compacted(),
    }
}

struct Comparer {
    engine: Arc<Engine>,
    /// Nobody waits for answers to what goes through the log here.
    mailbox: Arc<Mailbox>,
    /// All members have the same hash of the compaction at this revision.
    checked: i64,
}

impl Comparer {
    /// Whether this member compares others.
    fn is_called(&self) -> bool {
        let leads = self.engine.node.status().soft.role == Role::Leader;
        leads && self.engine.cluster.load().members.present.len() > 1
    }

    /// Compares the hashes of compactions, newest first, back to one that all members have told of.
    async fn compare_compactions(&mut self) {
        if !self.is_called() {
            return;
        }
        let hashes = self.engine.views.compaction_hashes();
        let unchecked = hashes
            .into_iter()
            .filter(|hash| hash.hash_revision > self.checked);
        for own in unchecked {
            let point = Point {
                revision: own.hash_revision,
                compacted: own.compact_revision,
            };
            let told = self.engine.hashes_of(point, Kind::OfCompaction).await;
            match judge(&told) {
                Verdict::Equal => {
                    self.checked = point.revision;
                    say_equal(point, &told);
                    return;
                }
                Verdict::Unfinished { silent } => say_unfinished(point, &silent),
                // A mismatch is looked at again in the next round: if somebody has ended the alarm, it is raised again.
                verdict => return self.act(point, Kind::OfCompaction, &told, verdict).await,
            }
        }
    }

    /// Compares what all members hold now. That they differ must be found twice; and if that names nobody, the members that
    /// say nothing are waited for, as they might.
    async fn compare_newest(&mut self) {
        let mut differed = false;
        for attempt in 1..=TRIES {
            if !self.is_called() {
                return;
            }
            let point = newest(&self.engine);
            let told = self.engine.hashes_of(point, Kind::Now).await;
            let verdict = judge(&told);
            let is_certain = match &verdict {
                Verdict::Equal => return say_equal(point, &told),
                Verdict::Unfinished { silent } => {
                    say_unfinished(point, silent);
                    if attempt > 1 && !differed {
                        return;
                    }
                    false
                }
                Verdict::Minority { .. } => differed,
                Verdict::Undecided { silent } => {
                    differed && (silent.is_empty() || attempt == TRIES)
                }
            };
            if is_certain {
                return self.act(point, Kind::Now, &told, verdict).await;
            }
            differed |= matches!(
                verdict,
                Verdict::Minority { .. } | Verdict::Undecided { .. }
            );
            tokio::time::sleep(TRY_PAUSE).await;
        }
    }

    /// Names the members that have diverged, and tells them.
    async fn act(&self, point: Point, kind: Kind, told: &[Told], verdict: Verdict) {
        say_diverged(point, told, &verdict);
        match verdict {
            Verdict::Minority { hash, diverged } => {
                self.raise_alarms(&diverged).await;
                self.engine
                    .tell_diverged(&diverged, point, kind, hash)
                    .await;
            }
            // The whole cluster.
            _ => self.raise_alarms(&[MemberId::NONE]).await,
        }
    }

    /// Raises an alarm for each of these members, that all members keep and that stops writes.
    async fn raise_alarms(&self, named: &[MemberId]) {
        for member in named {
            let alarm = AlarmMember {
                member_id: member.0,
                alarm: AlarmType::Corrupt as i32,
            };
            if self.engine.cluster.load().alarms.contains(&alarm) {
                continue;
            }
            let request = Request::Alarm(AlarmRequest {
                action: AlarmAction::Activate as i32,
                member_id: alarm.member_id,
                alarm: alarm.alarm,
            });
            match self.engine.propose(request, &self.mailbox, None).await {
                Ok(_) => tracing::warn!(alarm = "CORRUPT", "member-id" = %member, "alarm raised"),
                // The next comparison raises it.
                Err(error) => tracing::warn!(%error, "failed to raise alarm"),
            }
        }
    }
}

fn say_equal(point: Point, told: &[Told]) {
    tracing::info!(
        "number-of-peers-checked" = told.len() - 1,
        revision = point.revision,
        "compact-revision" = point.compacted,
        "successfully checked hash on whole cluster"
    );
}

fn say_unfinished(point: Point, silent: &[MemberId]) {
    tracing::debug!(
        revision = point.revision,
        "compact-revision" = point.compacted,
        "not-compared" = %list(silent),
        "some members could not be compared"
    );
}

fn say_diverged(point: Point, told: &[Told], verdict: &Verdict) {
    let hashes: Vec<String> = told
        .iter()
        .map(|(member, hash)| match hash {
            Some(hash) => format!("{member}: {hash}"),
            None => format!("{member}: unknown"),
        })
        .collect();
    let (revision, compact_revision) = (point.revision, point.compacted);
    let hashes = hashes.join(", ");
    match verdict {
        Verdict::Minority { diverged, .. } => tracing::error!(
            revision,
            "compact-revision" = compact_revision,
            hashes,
            "corrupted-members" = %list(diverged),
            "found data inconsistency: members differ from the majority"
        ),
        _ => tracing::error!(
            revision,
            "compact-revision" = compact_revision,
            hashes,
            "found data inconsistency, and no majority that would tell which members are wrong"
        ),
    }
}

fn list(members: &[MemberId]) -> String {
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    members.join(", ")
}
