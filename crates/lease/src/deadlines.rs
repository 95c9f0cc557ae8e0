//! When each lease runs out: the leader's own, volatile part.
//!
//! A [`Deadlines`] lives exactly as long as a leadership. It is built by [`Deadlines::promote`], filled in
//! bounded slices by [`Deadlines::load`], follows what is applied (`grant`, `revoke`) and
//! is dropped when the member leads no more: a deposed leader has nothing left to expire.
//!
//! Guarantees: a lease is never named by [`Deadlines::expired`] before its time to live has passed since
//! its grant, its last renewal or (plus the extension) the promotion; a renewal costs one hash lookup; a
//! lease that is named and not revoked is named again after [`Pace::retry`].

mod alarms;
mod spread;
#[cfg(test)]
mod tests;

use crate::{Grant, LeaseId, Ttl};
use alarms::{Alarm, Alarms};
use spread::Spread;
use std::collections::HashMap;
use std::time::Duration;

/// How fast a leader goes about expiring leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long after being named an expired lease is named again, if it was not revoked meanwhile.
    pub retry: Duration,
    /// With fewer leases than this at promotion, deadlines are not spread.
    pub spread_from: usize,
    /// The most leases whose deadline a promotion puts into one second.
    pub per_second_max: u32,
    /// How often what is left of a longer lease is recorded; `None`: never.
    pub checkpoint_interval: Option<Duration>,
}

impl Default for Pace {
    /// etcd's values: 7 s, 1000 leases, 750 per second, no checkpoints.
    fn default() -> Pace {
        Pace {
            retry: Duration::from_secs(7),
            spread_from: 1000,
            per_second_max: 750,
            checkpoint_interval: None,
        }
    }
}

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lives for its whole time to live from now on.
    Renewed {
        /// The time to live.
        ttl: Ttl,
        /// A checkpoint of the lease is in the log or on its way there. It must be cleared through the
        /// log before anyone hears of the renewal, or the next leader would cut the lease short. Then
        /// [`Deadlines::cleared`] wants this value.
        recording: Option<Recording>,
    },
    /// The lease has run out and its revocation is still to come: wait for the revocation.
    Expired,
    /// No such lease here. While slices are still being loaded it may yet exist: load it by itself.
    Unknown,
}

/// One checkpoint among all that a leader has recorded or found recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording(u64);

/// What is left of a lease, to be recorded through the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The lease.
    pub id: LeaseId,
    /// What is left, rounded up to whole seconds.
    pub remaining: Ttl,
}

/// The deadlines of all leases, on the leader.
///
/// All instants are durations since one fixed start on one monotonic clock.
#[derive(Debug)]
pub struct Deadlines {
    pace: Pace,
    /// From when the time of a lease counts that is loaded: promotion plus extension.
    loaded_from: Duration,
    spread: Option<Spread>,
    leases: HashMap<LeaseId, Deadline>,
    expiries: Alarms,
    checkpoints: Alarms,
    /// How many there have been.
    recordings: u64,
}

#[derive(Debug)]
struct Deadline {
    ttl: Ttl,
    at: Duration,
    /// The newest checkpoint that may be in the log and was not cleared after it.
    recording: Option<Recording>,
    /// Rings at the deadline, and after that at each retry.
    expiry: Alarm,
    checkpoint: Alarm,
}

impl Deadlines {
    /// How many alarms one call looks at, so that a call after a long pause stays bounded. Alarms of
    /// renewed leases are looked at once per time to live.
    const ALARMS_PER_CALL: usize = 100_000;

    /// Starts a leadership at `now`: every lease gets its remaining time again, plus `extension` (one
    /// election timeout). `leases` is how many there are, for the decision whether to spread them.
    pub fn promote(leases: usize, now: Duration, extension: Duration, pace: Pace) -> Deadlines {
        Deadlines {
            pace,
            loaded_from: now + extension,
            spread: (leases >= pace.spread_from).then(|| Spread::new(pace.per_second_max)),
            leases: HashMap::with_capacity(leases),
            expiries: Alarms::default(),
            checkpoints: Alarms::default(),
            recordings: 0,
        }
    }

    /// Takes over leases that exist; those already known keep their deadline. Call it with slices of a
    /// few thousand until all are loaded.
    pub fn load(&mut self, grants: impl IntoIterator<Item = Grant>) {
        for Grant {
            id,
            ttl,
            checkpoint,
        } in grants
        {
            if self.leases.contains_key(&id) {
                continue;
            }
            let mut remaining = checkpoint.unwrap_or(ttl).duration();
            if let Some(spread) = &mut self.spread {
                remaining = Duration::from_secs(spread.place(remaining.as_secs()));
            }
            let at = self.loaded_from + remaining;
            let recording = checkpoint.map(|_| following(&mut self.recordings));
            self.set(id, ttl, self.loaded_from, at).recording = recording;
        }
    }

    /// A grant has been applied.
    pub fn grant(&mut self, id: LeaseId, ttl: Ttl, now: Duration) {
        self.set(id, ttl, now, now + ttl.duration());
    }

    /// A revocation has been applied. Unknown ids are ignored.
    pub fn revoke(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(&id) else {
            return;
        };
        self.expiries.discard(&lease.expiry);
        self.checkpoints.discard(&lease.checkpoint);
        self.expiries.sweep(&self.leases, |lease| &lease.expiry);
        self.checkpoints
            .sweep(&self.leases, |lease| &lease.checkpoint);
        if self.leases.capacity() > 1024 + 8 * self.leases.len() {
            self.leases.shrink_to(2 * self.leases.len());
        }
    }

    /// A clearing of this checkpoint has been applied. One that was recorded since stays, and so does
    /// everything if the lease is unknown.
    pub fn cleared(&mut self, id: LeaseId, recording: Recording) {
        if let Some(lease) = self.leases.get_mut(&id)
            && lease.recording == Some(recording)
        {
            lease.recording = None;
        }
    }

    /// Gives a lease its whole time to live from `now`, if its time has not run out. The caller has
    /// confirmed with a quorum, after the request came in, that this member leads.
    pub fn renew(&mut self, id: LeaseId, now: Duration) -> Renewal {
        let Some(lease) = self.leases.get(&id) else {
            return Renewal::Unknown;
        };
        if lease.at <= now {
            return Renewal::Expired;
        }
        let (ttl, recording) = (lease.ttl, lease.recording);
        self.set(id, ttl, now, now + ttl.duration());
        Renewal::Renewed { ttl, recording }
    }

    /// Whole seconds left, truncated toward zero; negative once the lease has run out and still waits
    /// for its revocation.
    pub fn remaining(&self, id: LeaseId, now: Duration) -> Option<i64> {
        let lease = self.leases.get(&id)?;
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Some(match lease.at.checked_sub(now) {
            Some(left) => seconds(left),
            None => -seconds(now - lease.at),
        })
    }

    /// Whether the time of this lease has run out and its revocation is still to come.
    pub fn is_expired(&self, id: LeaseId, now: Duration) -> bool {
        self.leases.get(&id).is_some_and(|lease| lease.at <= now)
    }

    /// The leases to revoke now, at most `max`, in the order of their deadlines. Each is named once, and
    /// again after [`Pace::retry`] if it is still here.
    pub fn expired(&mut self, now: Duration, max: usize) -> Vec<LeaseId> {
        let mut expired = Vec::new();
        let mut budget = Self::ALARMS_PER_CALL;
        while expired.len() < max {
            let next = self
                .expiries
                .next(now, &mut budget, &mut self.leases, |l| &mut l.expiry);
            let Some((id, lease)) = next else { break };
            let again = now + self.pace.retry.max(Duration::from_millis(1));
            self.expiries.set(&mut lease.expiry, id, again);
            expired.push(id);
        }
        expired
    }

    /// What to record now, at most `max`: leases that have more than a checkpoint interval left and were
    /// not recorded or renewed for one. Nothing if checkpoints are off.
    ///
    /// Offer them to the log before anything else is asked of this value: from now on renewals want them
    /// cleared, and the clearing must come after them in the log.
    pub fn checkpoints_due(&mut self, now: Duration, max: usize) -> Vec<Checkpoint> {
        let mut due = Vec::new();
        let Some(interval) = self.pace.checkpoint_interval else {
            return due;
        };
        let mut budget = Self::ALARMS_PER_CALL;
        while due.len() < max {
            let next = self
                .checkpoints
                .next(now, &mut budget, &mut self.leases, |l| &mut l.checkpoint);
            let Some((id, lease)) = next else { break };
            let left = lease.at.saturating_sub(now);
            if left > interval {
                self.checkpoints
                    .set(&mut lease.checkpoint, id, now + interval);
            }
            let left_seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            if left_seconds > 0 && left_seconds < lease.ttl.duration().as_secs() {
                let seconds = i64::try_from(left_seconds).expect("below a time to live");
                let remaining = Ttl::new(seconds, 0).expect("below a time to live");
                lease.recording = Some(following(&mut self.recordings));
                due.push(Checkpoint { id, remaining });
            }
        }
        due
    }

    /// A time before which [`Deadlines::expired`] names nothing; `None` if there is nothing to name. If
    /// it is not after `now` right after a call, that call was bounded: call again.
    pub fn next_expiry(&self) -> Option<Duration> {
        self.expiries.first()
    }

    /// All leases, soonest deadline first. Sorts them all.
    pub fn by_deadline(&self) -> Vec<LeaseId> {
        let mut leases: Vec<_> = self
            .leases
            .iter()
            .map(|(id, lease)| (lease.at, *id))
            .collect();
        leases.sort_unstable();
        leases.into_iter().map(|(_, id)| id).collect()
    }

    /// How many leases are known.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether no lease is known.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    fn set(&mut self, id: LeaseId, ttl: Ttl, now: Duration, at: Duration) -> &mut Deadline {
        let lease = self.leases.entry(id).or_insert_with(|| Deadline {
            ttl,
            at,
            recording: None,
            expiry: Alarm::default(),
            checkpoint: Alarm::default(),
        });
        lease.ttl = ttl;
        lease.at = at;
        self.expiries.set(&mut lease.expiry, id, at);
        let interval = self.pace.checkpoint_interval;
        if let Some(interval) = interval.filter(|interval| at - now > *interval) {
            self.checkpoints
                .set(&mut lease.checkpoint, id, now + interval);
        }
        lease
    }
}

fn following(recordings: &mut u64) -> Recording {
    *recordings += 1;
    Recording(*recordings)
}
