//! Copies of the state: asking for them as a leader, taking them as a member that is behind.
//!
//! The copy travels beside raft's messages, and is whole and durable where it arrives before the
//! core hears of it. From there its phases are: taken by raft-rs, recorded in the log, installed,
//! applied; a crash in front of the record means that nothing has happened, one behind it that the
//! start has to finish.

use raft::SnapshotStatus;

use super::{Core, convert};
use crate::{Action, Entry, Fetch, LogIndex, MemberId, PeerMessage, Severity, StateMeta, Term};

impl Core {
    // The side that is behind.

    /// Takes a copy if nothing here is newer; otherwise whoever received it must know.
    ///
    /// While one is being installed no other is taken: the log's record of it must come true first.
    pub(super) fn take_state(
        &mut self,
        message: PeerMessage,
        state: StateMeta,
        actions: &mut Vec<Action>,
    ) {
        if self.installing.is_none() && state.index > self.committed() {
            let message = convert::raft_message(message).expect("a copy of the state has a form");
            let result = self.raft.step(message);
            self.note(result);
        }
        let taken = self.installing.is_none()
            && self
                .raft
                .raft
                .snap()
                .is_some_and(|snapshot| convert::state(snapshot) == state);
        if taken {
            self.start_over(&state);
        } else {
            actions.push(Action::RefuseState(state));
        }
    }

    /// The membership is the copy's from now on, and what waited to be applied is in it.
    fn start_over(&mut self, state: &StateMeta) {
        self.installing = Some(state.index);
        self.gate.start_over(state.index);
        self.changed = state.index;
        self.take_conf_state(state.conf.clone());
    }

    // The leader's side.

    /// Asks for entries to be read from the disk for members that lag.
    pub(super) fn look_after_fetches(&mut self, actions: &mut Vec<Action>) {
        let log = self.raft.mut_store();
        for (low, high) in log.take_fetches() {
            let runs = log.term_runs(low, high).into_iter();
            actions.push(Action::Fetch(Fetch {
                low: LogIndex(low),
                high: LogIndex(high),
                terms: runs
                    .map(|(index, term)| (LogIndex(index), Term(term)))
                    .collect(),
                bytes_max: 2 * self.config.limits.message_bytes_max,
            }));
        }
    }

    /// Entries were read, or are gone: those who asked go on.
    pub(super) fn fetched(&mut self, low: LogIndex, entries: Vec<Entry>) {
        let entries = entries.into_iter().map(convert::raft_entry).collect();
        for asker in self.raft.mut_store().fetched(low.0, entries) {
            self.raft.on_entries_fetched(asker);
        }
    }

    /// The first index that some member still lacks, as far as it is known to a leader.
    #[must_use]
    pub fn wanted_from(&self) -> Option<LogIndex> {
        let others = self.raft.raft.prs().iter();
        let others = others.filter(|(id, _)| **id != self.config.member.0);
        let lacks = others
            .map(|(_, progress)| LogIndex(progress.matched + 1))
            .min();
        let follows = self.raft.store().transfers.lowest().map(LogIndex::next);
        let lacks = lacks.filter(|_| self.leads());
        lacks.into_iter().chain(follows).min()
    }

    /// Whether a copy of the state is on its way to a member, or a member catches up from one.
    #[must_use]
    pub fn is_copying(&self) -> bool {
        self.raft.store().transfers.lowest().is_some()
    }

    /// A copy can be sent, or there is none. raft-rs would ask at the next heartbeat only.
    pub(super) fn state_offered(
        &mut self,
        to: MemberId,
        offer: Result<StateMeta, String>,
        actions: &mut Vec<Action>,
    ) {
        let offer = offer.and_then(|state| {
            let fits = self.raft.store().follows(&state) && state.index <= self.committed();
            fits.then_some(state)
                .ok_or_else(|| "the log holds nothing that follows it".to_owned())
        });
        if let Err(reason) = &offer {
            let line = format!("no state for {to}: {reason}");
            self.log(Severity::Warning, &line);
        }
        let is_asked = self.leads() && self.raft.raft.prs().get(to.0).is_some();
        if self.raft.mut_store().transfers.offered(to, offer.ok()) && is_asked {
            self.raft.raft.send_append(to.0);
        } else {
            actions.push(Action::WithdrawState { to });
        }
    }

    /// raft-rs sends a member nothing but heartbeats until it hears how its copy ended.
    pub(super) fn state_sent(&mut self, to: MemberId, index: LogIndex, arrived: bool) {
        if self.raft.mut_store().transfers.sent(to, index, arrived) {
            let status = if arrived {
                SnapshotStatus::Finish
            } else {
                SnapshotStatus::Failure
            };
            self.raft.report_snapshot(to.0, status);
        }
    }

    pub(super) fn tick_transfers(&mut self, actions: &mut Vec<Action>) {
        let ticks_max = 2 * self.config.election_ticks;
        for to in self.raft.mut_store().transfers.tick(ticks_max) {
            actions.push(Action::WithdrawState { to });
        }
    }

    /// Asks for the copies that raft-rs misses, and gives up those that nobody needs any more.
    pub(super) fn look_after_transfers(&mut self, actions: &mut Vec<Action>) {
        let starving = self.raft.mut_store().take_starving();
        if starving.is_empty() && self.raft.store().transfers.is_empty() {
            return;
        }
        let leads = self.leads();
        let in_memory = LogIndex(self.raft.store().first_in_memory());
        let matched: Vec<_> = self
            .raft
            .raft
            .prs()
            .iter()
            .map(|(id, progress)| (MemberId(*id), progress.matched))
            .collect();
        let transfers = &mut self.raft.mut_store().transfers;
        let needed = |to, following: Option<LogIndex>| {
            let progress = matched.iter().find(|(id, _)| *id == to);
            let lags = |matched: u64| following.is_none() || matched + 1 < in_memory.0;
            leads && progress.is_some_and(|(_, matched)| lags(*matched))
        };
        for to in transfers.retain(needed) {
            actions.push(Action::WithdrawState { to });
        }
        for to in starving {
            // One that was offered and does not fit any more is useless.
            if transfers.drop_offer(to) {
                actions.push(Action::WithdrawState { to });
            }
            if leads && transfers.ask(to) {
                actions.push(Action::OfferState { to });
            }
        }
    }
}
