//! Whether everything that clients were told is true of what the members hold.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{
    RangeRequest, WatchCreateRequest, WatchRequest, watch_request::RequestUnion,
};
use ferrod_proto::mvccpb::event::EventType;
use tokio_stream::wrappers::ReceiverStream;

use super::team::Team;
use super::{far_behind, foreign};
use crate::check::history::{self, Operation};
use crate::check::watch::{self, Subscription};
use crate::check::{Change, Timeline};

/// How long a member may take to tell its history.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found true.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    revision: i64,
    answered: usize,
    unknown: usize,
    found: usize,
    events: usize,
    pub(super) longest_gap: Duration,
}

impl Summary {
    pub(super) fn add(&mut self, other: &Summary) {
        self.revision += other.revision;
        self.answered += other.answered;
        self.unknown += other.unknown;
        self.found += other.found;
        self.events += other.events;
        self.longest_gap = self.longest_gap.max(other.longest_gap);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} revisions, {} answers, {} calls without one of which {} took effect, {} events; longest time without a write {:.2} s",
            self.revision,
            self.answered,
            self.unknown,
            self.found,
            self.events,
            self.longest_gap.as_secs_f64()
        )
    }
}

/// Holds all operations against the history of one member, and that against the other members. What clients were told is
/// written to `report` before it is judged, if somebody wants it.
///
/// covers: C-01, C-04, C-05
pub(super) async fn judge(
    team: &Team,
    operations: &[Operation],
    subscriptions: &[Subscription],
    report: Option<&Path>,
) -> Result<Summary> {
    let wire = team.wire(0).await?;
    let request = RangeRequest {
        key: "k".into(),
        ..Default::default()
    };
    let answer = wire.kv().range(request).await?.into_inner();
    let revision = answer.header.context("an answer has a header")?.revision;
    let mut told = Vec::new();
    for member in team.members() {
        told.push(tokio::time::timeout(PATIENCE, changes(team, member, revision)).await??);
    }
    for (member, other) in told.iter().enumerate() {
        ensure!(
            *other == told[0],
            "member {member} tells another history than member 0"
        );
    }
    let mut timeline = Timeline::default();
    let mut all = operations.to_vec();
    for (revision, changes) in told.swap_remove(0) {
        all.extend(far_behind::operation(&changes));
        timeline.push(revision, changes)?;
    }
    if let Some(folder) = report {
        foreign::write(folder, operations, subscriptions, &timeline)?;
    }
    let hashes = team.hashes(revision).await?;
    ensure!(
        hashes.iter().all(|hash| *hash == hashes[0]),
        "the members' hashes at revision {revision} differ: {hashes:?}"
    );
    let judged = history::check(&timeline, &all)?;
    let mut events = 0;
    for subscription in subscriptions {
        events += watch::check(&timeline, subscription, false)?;
    }
    ensure!(events > 0, "no subscriber heard of anything");
    Ok(Summary {
        events,
        revision,
        answered: judged.answered,
        unknown: judged.unknown,
        found: judged.found,
        longest_gap: Duration::ZERO,
    })
}

/// All changes up to a revision, as a watch on this member tells them.
async fn changes(team: &Team, member: usize, last: i64) -> Result<BTreeMap<i64, Vec<Change>>> {
    let wire = team.wire(member).await?;
    let (requests, queue) = tokio::sync::mpsc::channel(1);
    let create = WatchCreateRequest {
        key: "\0".into(),
        range_end: "\0".into(),
        start_revision: 1,
        ..Default::default()
    };
    let request_union = Some(RequestUnion::CreateRequest(create));
    requests.send(WatchRequest { request_union }).await?;
    let mut stream = wire
        .watch()
        .watch(ReceiverStream::new(queue))
        .await?
        .into_inner();
    let mut all: BTreeMap<i64, Vec<Change>> = BTreeMap::new();
    while all.keys().next_back().is_none_or(|newest| *newest < last) {
        let response = stream.message().await?.context("the watch ended")?;
        ensure!(!response.canceled, "the watch was cancelled: {response:?}");
        for event in response.events {
            let put = event.r#type() == EventType::Put;
            let row = event.kv.context("an event has a key")?;
            let change = Change {
                key: row.key.clone(),
                row: put.then(|| row.clone()),
            };
            all.entry(row.mod_revision).or_default().push(change);
        }
    }
    Ok(all)
}
