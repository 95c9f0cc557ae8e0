//! The steps of members, and what comes of them.

use std::time::Duration;

use ferrod_env::Clock;
use ferrod_env::sim::Loss;
use ferrod_lease::LeaseId;
use ferrod_mvcc::Wake;
use ferrod_node::{LogIndex, Next, PeerMessage, Proposal, ProposalId, Role, Term, Work};
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::etcdserverpb::{LeaseCheckpoint, LeaseCheckpointRequest, LeaseRevokeRequest};

use super::{Event, Judged, World};
use crate::check::Violation;
use crate::check::lease::LeaseEvent;
use crate::sim::host::Damage;
use crate::sim::planted;
use crate::sim::process::{Process, Waiter};
use crate::sim::truth::Hashed;
use crate::sim::workload::encode;

/// The leader looks so often for leases that have run out.
const LEASE_TICK: Duration = Duration::from_millis(500);

/// The wait of the member itself for a read index, among those of calls.
pub(super) const LESSOR_READ: u64 = 0;

impl World {
    pub(super) fn running(&mut self, id: u64) -> Option<&mut Process> {
        self.hosts.get_mut(&id)?.running.as_mut()
    }

    /// A message from a peer has come.
    pub(super) fn hear(&mut self, id: u64, message: PeerMessage) {
        let now = self.now;
        if let Some(process) = self.running(id) {
            process.executor.handle().receive(message);
            self.wake_node(id, now);
        }
    }

    pub(super) fn leader_gone(&mut self, id: u64, peer: u64) {
        let now = self.now;
        if let Some(process) = self.running(id) {
            let handle = process.executor.handle();
            handle.leader_gone(ferrod_node::MemberId(peer));
            self.wake_node(id, now);
        }
    }

    /// Plans the node's next step no later than `at`.
    pub(super) fn wake_node(&mut self, id: u64, at: Duration) {
        let Some(process) = self.running(id) else {
            return;
        };
        if process.node_at.is_none_or(|planned| at < planned) {
            process.node_at = Some(at);
            self.plan_for(id, at, Event::Node(id));
        }
    }

    pub(super) fn step_node(&mut self, id: u64) -> Judged {
        let now = self.now;
        let Some(process) = self.running(id) else {
            return Ok(());
        };
        if process.node_at.is_none_or(|at| at > now) {
            // It was done earlier.
            return Ok(());
        }
        process.node_at = None;
        let next = process.executor.step_node();
        let deadline = match next {
            Ok(Next::Again) => Some(now),
            Ok(Next::Wait(deadline)) => Some(self.hosts[&id].clock.world_time(deadline)),
            Ok(Next::Stopped) | Err(_) => None,
        };
        self.trace.note(now, [2, id, 0], || format!("{id} node"));
        self.listen(id)?;
        if let Some(deadline) = deadline {
            let soon = now + Duration::from_micros(1);
            self.wake_node(id, deadline.max(soon));
        }
        self.plan_writer(id);
        self.plan_applier(id);
        Ok(())
    }

    fn plan_writer(&mut self, id: u64) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        let Some(process) = host.running.as_mut() else {
            return;
        };
        if !process.writer_due && process.executor.has_writes() {
            process.writer_due = true;
            let done = host.pace.done_at(now, &mut self.rng);
            self.plan_for(id, done, Event::Writer(id));
        }
    }

    fn plan_applier(&mut self, id: u64) {
        let due = self.draw_in(Duration::from_micros(5)..Duration::from_micros(400));
        let Some(process) = self.running(id) else {
            return;
        };
        if !process.applier_due && process.executor.has_applies() {
            process.applier_due = true;
            self.plan_for(id, due, Event::Applier(id));
        }
    }

    pub(super) fn step_writer(&mut self, id: u64) -> Judged {
        let now = self.now;
        let Some(process) = self.running(id) else {
            return Ok(());
        };
        process.writer_due = false;
        let work = process.executor.step_writer();
        self.trace.note(now, [3, id, work as u64], || {
            format!("{id} writer {work:?}")
        });
        if self.hosts[&id].disk.is_dead() {
            return self.doomed(id);
        }
        self.listen(id)?;
        if work != Work::Nothing {
            self.wake_node(id, now);
        }
        self.plan_writer(id);
        Ok(())
    }

    pub(super) fn step_applier(&mut self, id: u64) -> Judged {
        let now = self.now;
        let Some(process) = self.running(id) else {
            return Ok(());
        };
        process.applier_due = false;
        let work = process.executor.step_applier();
        self.trace.note(now, [4, id, work as u64], || {
            format!("{id} applier {work:?}")
        });
        self.listen(id)?;
        if work != Work::Nothing {
            self.wake_node(id, now);
        }
        self.plan_applier(id);
        Ok(())
    }

    pub(super) fn step_flusher(&mut self, id: u64) -> Judged {
        let (now, every) = (self.now, self.plan.flush_every);
        let Some(process) = self.running(id) else {
            return Ok(());
        };
        let due = match process.flusher.wait(Duration::ZERO) {
            Wake::FlushDue | Wake::DeletesDue => true,
            Wake::Timeout => now > process.flushed_at + every * 5,
            Wake::Closed => false,
        };
        if due {
            process.flushed_at = now;
            match process.flusher.flush() {
                Ok(progress) => {
                    let handle = process.executor.handle();
                    handle.flushed(LogIndex(progress.applied_index));
                    self.counts.flushes += 1;
                }
                Err(error) => return self.failed(id, &error.to_string()),
            }
            self.trace.note(now, [5, id, 0], || format!("{id} flush"));
            self.wake_node(id, now);
        }
        self.hash_compaction(id)?;
        // What can wait, between two jobs.
        if let Some(process) = self.running(id)
            && !process.applier_due
        {
            process.applier_due = true;
            self.plan_for(id, now, Event::Applier(id));
        }
        let next = self.draw_around(every / if due { 4 } else { 1 });
        self.plan_for(id, next, Event::Flusher(id));
        Ok(())
    }

    /// Hashes the compaction that came last, on most members; the others do not wait with their deletes.
    fn hash_compaction(&mut self, id: u64) -> Judged {
        let Some(process) = self.running(id) else {
            return Ok(());
        };
        if (process.views.load().compacted() + id.cast_signed()) % 3 == 0 {
            process.hasher.rest(Duration::ZERO);
        }
        match process.hasher.hash_newest() {
            Ok(Some(hash)) => {
                self.counts.hashes += 1;
                self.truth.hash(id, Hashed::Compaction, hash)
            }
            Ok(None) => Ok(()),
            Err(error) => self.failed(id, &error.to_string()),
        }
    }

    /// A leader makes sure that it leads before it ends anything.
    pub(super) fn step_lessor(&mut self, id: u64) -> Judged {
        let now = self.now;
        let next = self.hosts[&id].clock.now() + LEASE_TICK;
        let next = self.hosts[&id]
            .clock
            .world_time(next)
            .max(now + LEASE_TICK / 2);
        self.look_after_suspect(id)?;
        if let Some(process) = self.running(id) {
            let handle = process.executor.handle();
            if ferrod_env::planted(planted::DEPOSED) {
                self.expire_leases(id);
            } else if handle.status().soft.role == Role::Leader {
                self.ask_index(id, LESSOR_READ);
            }
        }
        self.plan_for(id, next.min(now + LEASE_TICK * 4), Event::Lessor(id));
        self.listen(id)
    }

    /// Asks how far a read must see; the answer comes as a note under this number.
    pub(super) fn ask_index(&mut self, id: u64, number: u64) {
        let now = self.now;
        if let Some(process) = self.running(id) {
            let notes = process.notes.clone();
            process.executor.handle().read_index(Box::new(move |index| {
                notes.lock().reads.push((number, index));
            }));
            self.wake_node(id, now);
        }
    }

    pub(super) fn expire_leases(&mut self, id: u64) {
        let now = self.now;
        let local = self.hosts[&id].clock.now();
        let Some(process) = self.running(id) else {
            return;
        };
        let Some((term, expired)) = process.lessor.expired(local) else {
            return;
        };
        for lease in expired {
            let request = process.new_request();
            let revoke = Request::LeaseRevoke(LeaseRevokeRequest { id: lease.0 });
            let proposal = Proposal::in_term(ProposalId(request), encode(request, revoke), term);
            process.waiters.insert(request, Waiter::Nobody);
            // A member that has stopped answers nobody.
            let _stopped = process.executor.handle().propose_as(proposal);
        }
        self.wake_node(id, now);
    }

    /// Records what is left of leases.
    pub(super) fn record_leases(&mut self, id: u64) {
        let (now, local) = (self.now, self.hosts[&id].clock.now());
        let Some(process) = self.running(id) else {
            return;
        };
        let Some((term, due)) = process.lessor.checkpoints(local) else {
            return;
        };
        let due = due.into_iter().map(|due| (due.id, due.remaining.seconds()));
        self.offer_records(id, term, due, Waiter::Nobody);
        self.wake_node(id, now);
    }

    pub(super) fn offer_records(
        &mut self,
        id: u64,
        term: Term,
        seconds: impl IntoIterator<Item = (LeaseId, i64)>,
        waiter: Waiter,
    ) {
        let checkpoint = |(id, remaining_ttl): (LeaseId, i64)| LeaseCheckpoint {
            id: id.0,
            remaining_ttl,
        };
        let record = Request::LeaseCheckpoint(LeaseCheckpointRequest {
            checkpoints: seconds.into_iter().map(checkpoint).collect(),
        });
        if let Some(process) = self.running(id) {
            let request = process.new_request();
            let proposal = Proposal::in_term(ProposalId(request), encode(request, record), term);
            process.waiters.insert(request, waiter);
            // A member that has stopped answers nobody.
            let _stopped = process.executor.handle().propose_as(proposal);
        }
    }

    /// Takes in what a member has told, and judges it.
    pub(super) fn listen(&mut self, id: u64) -> Judged {
        let now = self.now;
        let Some(process) = self.running(id) else {
            return Ok(());
        };
        let told = process.notes.take();
        let suspect = process.executor.handle().status().suspect;
        for state in &told.roles {
            self.truth.role(id, state)?;
            self.trace.note(now, [6, id, state.term.0], || {
                format!(
                    "{id} is {:?} in term {}, led by {}",
                    state.role, state.term, state.leader
                )
            });
        }
        for message in told.sent {
            self.truth.sent(&message, suspect)?;
            self.network
                .send(now, message.from.0, message.to.0, message);
        }
        for entry in told.applied {
            self.truth.applied(id, entry)?;
            self.trace.note(now, [7, entry.index, entry.effect], || {
                format!(
                    "{id} applied {} of term {} ({:x})",
                    entry.index, entry.term, entry.request
                )
            });
            if let Some(process) = self.running(id) {
                process.applied = entry.index;
            }
        }
        for (index, members) in told.members {
            self.members_changed(index, members);
        }
        for changes in &told.changes {
            self.truth.changes(changes)?;
        }
        for lease in told.revoked {
            if self.ended_leases.insert(lease) {
                let at = now.as_nanos() as u64;
                self.leases.note(lease, LeaseEvent::Ended { at });
            }
        }
        if let (Some(state), Some(process)) = (told.installed, self.running(id)) {
            process.applied = state.index;
            process.watching.installed(state.revision, state.compacted);
        }
        for to in told.withdrawn {
            if let Some(process) = self.running(id) {
                process.exports.remove(&to);
            }
        }
        told.offers
            .into_iter()
            .for_each(|to| self.plan_offer(id, to));
        for message in told.states_sent {
            self.send_state(id, message);
        }
        for state in &told.states_refused {
            self.state_refused(id, state);
        }
        for state in &told.states {
            self.truth.state(id, *state)?;
        }
        if let (Some(state), Some(process)) = (told.states.last(), self.running(id)) {
            process.watching.heard(&told.changes, state.compacted);
        }
        for (request, answer) in told.answers {
            self.answered(id, request, answer);
        }
        for (request, reason) in told.dropped {
            self.dropped(id, request, reason)?;
        }
        self.read_indexes(id, told.reads);
        match told.failed {
            Some(text) => self.failed(id, &text),
            None => Ok(()),
        }
    }

    /// A process has stopped by itself.
    pub(super) fn failed(&mut self, id: u64, text: &str) -> Judged {
        let host = &self.hosts[&id];
        self.trace
            .note(self.now, [8, id, 0], || format!("{id} stops: {text}"));
        if host.disk.is_dead() {
            return self.doomed(id);
        }
        if !host.may_fail {
            let text = format!("{id} stopped by itself: {text}");
            return Err(Violation::new("P-12", text));
        }
        self.stop(id, Loss::Process);
        Ok(())
    }

    /// Power was lost in the middle of a call.
    fn doomed(&mut self, id: u64) -> Judged {
        let loss = self.hosts[&id].doom.unwrap_or(Loss::Torn);
        self.stop(id, loss);
        Ok(())
    }

    /// Ends a process; it starts again after a while.
    pub(super) fn stop(&mut self, id: u64, loss: Loss) {
        let now = self.now;
        self.trace
            .note(now, [9, id, loss as u64], || format!("{id} dies, {loss:?}"));
        self.counts.crashes += 1;
        self.hang_up(id);
        if let Some(host) = self.hosts.get_mut(&id) {
            host.stop(loss);
        }
        self.network.lose_inbound(id);
        if loss == Loss::Process {
            self.tell_leader_gone(id);
        }
        let longest = if self.rng.u8(0..5) == 0 { 8_000 } else { 1_000 };
        let at = self.draw(10, if self.troubled { longest } else { 500 });
        self.plan_for(id, at, Event::Restart(id));
    }

    /// The connections of a process that is gone close.
    pub(super) fn tell_leader_gone(&mut self, id: u64) {
        let hosts = self.hosts.keys().copied();
        let peers: Vec<u64> = hosts.filter(|peer| *peer != id).collect();
        for peer in peers {
            let at = self.draw(0, 5);
            self.plan_for(peer, at, Event::LeaderGone(peer, id));
        }
    }

    pub(super) fn restart(&mut self, id: u64) -> Judged {
        let now = self.now;
        let troubled = self.troubled;
        let Some(host) = self.hosts.get_mut(&id) else {
            return Ok(());
        };
        if host.is_up() {
            return Ok(());
        }
        if host.damage == Some(Damage::Found) {
            return self.consult(id);
        }
        host.life += 1;
        host.may_fail = false;
        host.backend = std::sync::Arc::new(host.backend.restarted());
        if troubled && self.rng.u8(0..20) == 0 {
            // It dies once more while it recovers.
            let call = host.disk.calls() + self.rng.u64(1..40);
            host.disk.script(
                ferrod_env::sim::When::Call(call),
                ferrod_env::sim::Effect::Death,
            );
            host.doom = Some(Loss::Torn);
        }
        match Process::boot(host, &self.plan) {
            Ok(process) => {
                self.trace.note(now, [10, id, process.began.index], || {
                    format!("{id} starts at {:?}", process.began)
                });
                let (began, vote) = (process.began, process.vote);
                let term = process.executor.handle().status().soft.term;
                host.running = Some(process);
                if host.damage.take() == Some(Damage::Certain) {
                    let text = format!("{id} starts from a damaged disk");
                    return Err(Violation::new("D-02", text));
                }
                if self.hosts[&id].healing.is_some() {
                    // Connections that have brought nothing yet to a core of this process. What is said of members that wait
                    // for each other relies on that.
                    self.network.lose_inbound(id);
                }
                self.truth.started(id, term, vote)?;
                self.truth.state(id, began)?;
            }
            Err(_) if host.disk.is_dead() => return self.doomed(id),
            Err(text) if host.damage.is_some() => {
                host.damage = Some(Damage::Found);
                self.trace
                    .note(now, [20, id, 0], || format!("{id} finds damage: {text}"));
                let at = self.draw(1, 300);
                self.plan_for(id, at, Event::Restart(id));
                return Ok(());
            }
            Err(text) => {
                let text = format!("{id} does not start: {text}");
                return Err(Violation::new("D-01", text));
            }
        }
        self.wake_node(id, now);
        let at = self.draw_around(self.plan.flush_every);
        self.plan_for(id, at, Event::Flusher(id));
        self.plan_for(id, now + LEASE_TICK, Event::Lessor(id));
        self.look_after_suspect(id)
    }
}
