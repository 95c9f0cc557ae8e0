//! The state machine as the node drives it: decode, apply, publish, then answer.
//!
//! All of a batch becomes visible at once, before anyone hears of it: whoever has an answer in hand finds its effect.

mod install;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrod_env::Clock;
use ferrod_mvcc::Changes;
use ferrod_mvcc::backend::Backend;
use ferrod_node::{
    AppliedChange, BoxError, CommittedChange, Entry, LogIndex, MemberId, Role, SoftState,
    StateMachine, StateMeta,
};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::AlarmMember;
use ferrod_store::{Answer, Applied, ConfState, Effect, MemberChange, Store};
use ferrod_watch::EventBatch;

use super::changes::{self, Ending, PendingChanges, notes};
use super::{Lessor, ReadRounds, Waiters};
use crate::config::GoDuration;
use crate::grpc::status;
use crate::ids::ClusterId;
use crate::mailbox::{Delivery, Mailbox};
use crate::watch_events;

/// The store with everyone who must hear of what it does.
pub(crate) struct Machine {
    pub(crate) store: Store,
    /// Rings when the members of the cluster have changed.
    pub(crate) members_changed: Arc<tokio::sync::Notify>,
    pub(crate) cluster_id: ClusterId,
    pub(crate) member: MemberId,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) changes: Arc<PendingChanges>,
    /// Whether this member is a learner.
    pub(crate) learner: Arc<AtomicBool>,
    pub(crate) read_rounds: Arc<ReadRounds>,
    pub(crate) lessor: Arc<Lessor>,
    /// One for each runtime.
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) meters: Arc<ferrod_metrics::Metrics>,
    pub(crate) quota: Quota,
    /// Applying that takes longer is worth a line in the log.
    pub(crate) slow_apply: Duration,
}

impl StateMachine for Machine {
    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), BoxError> {
        let (began, count) = (self.clock.now(), entries.len());
        let mut entries = entries.into_iter();
        while let Some(last) = entries.as_slice().iter().take(STEP_ENTRIES).last() {
            let last = (last.index.0, last.term.0);
            self.apply_step(last, entries.by_ref().take(STEP_ENTRIES))?;
        }
        self.judge_speed(self.clock.now().saturating_sub(began), count);
        Ok(())
    }

    fn judge_change(&mut self, change: &CommittedChange) -> bool {
        self.judge(change).is_ok()
    }

    fn apply_change(&mut self, change: AppliedChange) -> Result<(), BoxError> {
        let AppliedChange {
            committed,
            conf_state,
        } = change;
        let verdict = match (self.judge(&committed), conf_state) {
            (Ok(wanted), Some(conf_state)) => {
                let ids = |members: &[MemberId]| members.iter().map(|m| m.0).collect();
                let conf_state = ConfState::new(ids(&conf_state.voters), ids(&conf_state.learners));
                self.store.apply_member_change(wanted, &conf_state)?;
                Ok(())
            }
            // Raft finds it impossible: the last voter would go.
            (Ok(_), None) => Err(ApiError::NotEnoughStarted),
            (Err(refusal), _) => Err(refusal),
        };
        self.publish((committed.index.0, committed.term.0), Done::default());
        self.members_changed.notify_one();
        self.note_change(&committed, verdict);
        // Last: whoever has this answer in hand finds everything else in place.
        self.changes
            .end(committed.change.id, Ending::Applied(verdict));
        Ok(())
    }

    fn install(&mut self, state: &StateMeta) -> Result<(), BoxError> {
        self.install_state(state)?;
        self.learn_standing();
        Ok(())
    }

    fn idle(&mut self) -> bool {
        self.store.keyspace().maintain()
    }

    fn role_changed(&mut self, state: SoftState) {
        self.meters
            .server
            .is_leader
            .set(i64::from(state.role == Role::Leader));
        self.meters
            .server
            .has_leader
            .set(i64::from(state.leader.known().is_some()));
        if state.leader.known().is_some() {
            self.meters.server.leader_changes_seen_total.inc();
        }
        self.lessor.role_changed(&state);
    }
}

/// Entries that are published together: who waits for the first of them waits for the last. Each step costs a wake-up for
/// each runtime.
const STEP_ENTRIES: usize = 256;

/// One step of a compaction drops about twice as many records from the index.
const CHANGES_PER_TRIM: usize = 64;

/// An entry that could not be applied.
#[derive(Debug, thiserror::Error)]
#[error("entry {index}")]
struct ApplyError {
    index: LogIndex,
    #[source]
    error: ferrod_store::Error,
}

/// What a batch has done and nobody has heard of.
#[derive(Default)]
struct Done {
    answers: Vec<(u64, Result<Answer, ApiError>)>,
    changes: Vec<Changes>,
    /// Bytes of the backend before the batch; nothing more may be stored from the quota on.
    stored_bytes: u64,
}

/// How much may be stored, and who must hear when it is more.
pub(crate) struct Quota {
    /// `None` is no bound.
    pub(crate) bytes: Option<u64>,
    pub(crate) backend: Arc<dyn Backend>,
    /// Set when something was stored beyond the quota: somebody must raise the alarm.
    pub(crate) exceeded: Arc<AtomicBool>,
}

impl Quota {
    /// A request that came through the log is carried out, or members would differ; but who waits for it is told.
    fn judge(
        &self,
        cost: u64,
        stored: u64,
        answer: Result<Answer, ApiError>,
    ) -> Result<Answer, ApiError> {
        let over = self.bytes.is_some_and(|quota| stored + cost >= quota);
        if cost == 0 || !over || answer.is_err() {
            return answer;
        }
        self.exceeded.store(true, Ordering::Relaxed);
        Err(ApiError::NoSpace)
    }
}

impl Machine {
    /// What a change of membership means, if it may take effect. An entry that cannot be read means nothing on any
    /// member.
    fn judge(&self, change: &CommittedChange) -> Result<MemberChange, ApiError> {
        let wanted = changes::of_entry(&change.change).ok_or(ApiError::MemberNotFound)?;
        self.store.judge_member_change(&wanted)?;
        Ok(wanted)
    }

    /// Says what became of a change, and learns what that makes of this member.
    fn note_change(&self, committed: &CommittedChange, verdict: Result<(), ApiError>) {
        let cluster = self.store.cluster().load();
        let change = &committed.change;
        notes::applied(
            self.cluster_id,
            self.member,
            change,
            &cluster.members,
            verdict,
        );
        self.learn_standing();
    }

    /// Learns what this member is now.
    fn learn_standing(&self) {
        let cluster = self.store.cluster().load();
        let local = cluster.members.present.get(&self.member.0);
        let learner = local.is_some_and(|member| member.is_learner);
        self.learner.store(learner, Ordering::Relaxed);
    }

    /// Applies entries up to `last`, and lets everyone see them.
    fn apply_step(
        &mut self,
        last: (u64, u64),
        entries: impl Iterator<Item = Entry>,
    ) -> Result<(), BoxError> {
        self.read_rounds.begins(last.0);
        // What fills the overlay was published with the steps before.
        self.store.keyspace().wait_for_room()?;
        let stored_bytes = self.quota.backend.sizes()?.allocated_bytes
            + self.store.keyspace().unflushed_bytes() as u64;
        let mut batch = Done {
            stored_bytes,
            answers: Vec::with_capacity(entries.size_hint().0),
            ..Done::default()
        };
        for entry in entries {
            if entry.payload.is_empty() {
                self.lessor.term_began(entry.term, self.clock.now());
                self.changes.term_began(entry.term);
                continue;
            }
            self.apply_entry(entry, &mut batch)?;
        }
        self.publish(last, batch);
        Ok(())
    }

    fn apply_entry(&mut self, entry: Entry, batch: &mut Done) -> Result<(), BoxError> {
        fail::fail_point!("beforeApplyOneEntryNormal");
        let index = entry.index;
        let (id, applied) = self
            .store
            .apply_payload(entry.payload)
            .map_err(|error| ApplyError { index, error })?;
        self.count(&applied);
        if let Some(effect) = &applied.effect {
            self.lessor.heard(effect, self.clock.now());
        }
        let answer = self
            .quota
            .judge(applied.cost, batch.stored_bytes, applied.answer);
        fail::fail_point!("afterApplyOneEntryNormal");
        batch.answers.push((id, answer));
        batch.changes.extend(applied.changes);
        Ok(())
    }

    fn publish(&mut self, (index, term): (u64, u64), batch: Done) {
        let compacted = self.store.keyspace().compacted();
        fail::fail_point!("applyBeforePublish");
        self.store.publish(index, term);
        self.meters.server.proposals_applied_total.set(index as i64);
        let batch_changes = batch.changes.iter().map(|changes| changes.list.len()).sum();
        fail::fail_point!("applyBeforeSendEvents");
        self.send_events(&batch.changes, compacted);
        fail::fail_point!("applyBeforeAnswer");
        for (slot, deliveries) in self.sort(batch.answers) {
            self.mailboxes[slot].leave(|letters| letters.deliveries.extend(deliveries));
        }
        self.read_rounds.reached(index);
        self.trim(batch_changes);
    }

    fn count(&self, applied: &Applied) {
        let mvcc = &self.meters.mvcc;
        match &applied.answer {
            Ok(Answer::Put(_)) => mvcc.put_total.inc(),
            Ok(Answer::DeleteRange(_)) => mvcc.delete_total.inc(),
            Ok(Answer::Txn(_)) => mvcc.txn_total.inc(),
            _ => {}
        }
        match &applied.effect {
            Some(Effect::Granted(_, ttl)) => {
                self.meters.lease.granted_total.inc();
                self.meters.lease.ttl_total.observe(ttl.seconds() as f64);
            }
            Some(Effect::Revoked(_)) => self.meters.lease.revoked_total.inc(),
            Some(Effect::AlarmRaised(alarm)) => self.count_alarm(alarm, 1),
            Some(Effect::AlarmCleared(alarm)) => self.count_alarm(alarm, -1),
            Some(Effect::Checkpointed(_) | Effect::Cluster) | None => {}
        }
    }

    /// As etcd does: an alarm that is raised again counts again, and none is counted that was raised before the start.
    fn count_alarm(&self, alarm: &AlarmMember, change: i64) {
        let member = MemberId(alarm.member_id).to_string();
        let server = &self.meters.server;
        server.add_alarm(&member, alarm.alarm().as_str_name(), change);
    }

    fn judge_speed(&self, took: Duration, entries: usize) {
        if took >= self.slow_apply {
            self.meters.server.slow_apply_total.inc();
            tracing::warn!(
                took = %GoDuration::from(took),
                "expected-duration" = %GoDuration::from(self.slow_apply),
                entries,
                "apply request took too long"
            );
        }
    }

    /// Lets a compaction go on, faster than the batch has made work for a later one.
    fn trim(&mut self, changes: usize) {
        for _ in 0..=changes / CHANGES_PER_TRIM {
            if !self.store.keyspace().maintain() {
                return;
            }
        }
    }

    /// Sends events to the runtimes where somebody watches, before any of them answers: nobody who has an answer in
    /// hand finds a hub that has not heard of it.
    fn send_events(&self, changes: &[Changes], compacted: i64) {
        if !self.mailboxes.iter().any(|mailbox| mailbox.wants_events()) {
            return;
        }
        let events: Vec<Arc<EventBatch>> = changes.iter().map(watch_events::batch).collect();
        for mailbox in self
            .mailboxes
            .iter()
            .filter(|mailbox| mailbox.wants_events())
        {
            mailbox.leave(|letters| {
                letters.events.extend(events.iter().cloned());
                letters.compacted = Some(compacted);
            });
        }
    }

    /// Sorts answers by the runtime that waits for them.
    fn sort(
        &self,
        answers: Vec<(u64, Result<Answer, ApiError>)>,
    ) -> BTreeMap<usize, Vec<Delivery>> {
        let mut sorted: BTreeMap<usize, Vec<Delivery>> = BTreeMap::new();
        for (id, answer) in answers {
            let Some(waiter) = self.waiters.remove(id) else {
                continue;
            };
            self.meters.server.proposals_pending.dec();
            let delivery: Delivery = (waiter.sender, answer.map_err(status::of));
            match self
                .mailboxes
                .iter()
                .position(|m| Arc::ptr_eq(m, &waiter.mailbox))
            {
                Some(slot) => sorted.entry(slot).or_default().push(delivery),
                // A waiter outside the runtimes is woken by itself.
                None => drop(delivery.0.send(delivery.1)),
            }
        }
        sorted
    }
}
