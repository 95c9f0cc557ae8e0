//! Alarms that are moved far more often than they ring.
//!
//! A renewal moves an alarm to a later time, and most leases are renewed many times before they end. So
//! moving one later only notes the new time in the alarm; the entry in the heap stays where it is, and
//! is put back with the new time when it comes up. That makes a renewal O(1) without a structure of
//! slots, and each entry comes up once per time to live.

use super::Deadline;
use crate::LeaseId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

/// The alarm of one lease.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// When it rings.
    due: Duration,
    /// The time of its entry in the heap; any other entry of this lease is stale.
    /// Invariant: not after `due`.
    queued: Option<Duration>,
}

/// All alarms of one kind, soonest first.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    heap: BinaryHeap<Reverse<(Duration, LeaseId)>>,
    /// About how many entries belong to no alarm any more.
    stale: usize,
}

impl Alarms {
    /// Sets or moves the alarm of `id`.
    pub(super) fn set(&mut self, alarm: &mut Alarm, id: LeaseId, due: Duration) {
        alarm.due = due;
        if alarm.queued.is_some_and(|queued| queued <= due) {
            return;
        }
        self.discard(alarm);
        alarm.queued = Some(due);
        self.heap.push(Reverse((due, id)));
    }

    /// The lease of an alarm goes away; its entry stays in the heap as a stale one.
    pub(super) fn discard(&mut self, alarm: &Alarm) {
        self.stale += usize::from(alarm.queued.is_some());
    }

    /// The next alarm that rings at `now`; it is then unset. Each entry looked at costs one of `budget`.
    pub(super) fn next<'a>(
        &mut self,
        now: Duration,
        budget: &mut usize,
        leases: &'a mut HashMap<LeaseId, Deadline>,
        alarm_of: fn(&mut Deadline) -> &mut Alarm,
    ) -> Option<(LeaseId, &'a mut Deadline)> {
        while *budget > 0 && self.first()? <= now {
            *budget -= 1;
            let Reverse((when, id)) = self.heap.pop()?;
            let alarm = leases.get_mut(&id).map(alarm_of);
            let Some(alarm) = alarm.filter(|alarm| alarm.queued == Some(when)) else {
                self.stale = self.stale.saturating_sub(1);
                continue;
            };
            if alarm.due > now {
                alarm.queued = Some(alarm.due);
                self.heap.push(Reverse((alarm.due, id)));
                continue;
            }
            alarm.queued = None;
            return leases.get_mut(&id).map(|lease| (id, lease));
        }
        None
    }

    /// The time of the first entry; no alarm rings before it.
    pub(super) fn first(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((when, _))| *when)
    }

    /// Frees stale entries once they outnumber the others: leases granted for years and revoked at once
    /// must not pile up until their deadline.
    pub(super) fn sweep(
        &mut self,
        leases: &HashMap<LeaseId, Deadline>,
        alarm_of: fn(&Deadline) -> &Alarm,
    ) {
        if self.stale <= 1024 + leases.len() {
            return;
        }
        let is_live = |when, id| {
            leases
                .get(&id)
                .is_some_and(|l| alarm_of(l).queued == Some(when))
        };
        self.heap.retain(|Reverse((when, id))| is_live(*when, *id));
        self.heap.shrink_to(2 * self.heap.len());
        self.stale = 0;
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.heap.len()
    }
}
