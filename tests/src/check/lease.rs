//! When leases may end, and when they must.

use std::collections::BTreeMap;

use super::Violation;

/// Something that happened to a lease, in true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEvent {
    /// A client sent a grant or a keep-alive at this time, and was told that it succeeded.
    Renewed {
        /// When the client sent it.
        sent: u64,
        /// When it heard of the success.
        heard: u64,
        /// Nanoseconds that the lease was said to live.
        ttl: u64,
    },
    /// A client asked for its end.
    Revoking {
        /// When the client sent it.
        sent: u64,
    },
    /// It ended: by the entry of a member that counts time, or by that of a client.
    Ended {
        /// When a member was first seen to have applied it.
        at: u64,
    },
}

/// What is known of all leases.
#[derive(Debug, Default)]
pub struct LeaseLog {
    events: BTreeMap<i64, Vec<LeaseEvent>>,
}

impl LeaseLog {
    /// Notes an event.
    pub fn note(&mut self, lease: i64, event: LeaseEvent) {
        self.events.entry(lease).or_default().push(event);
    }

    /// Judges: no lease that nobody revoked has ended before its time; returns how many ended by themselves.
    ///
    /// `rate` bounds how much faster than true time a member's clock may run, such as 0.1.
    ///
    /// # Errors
    /// P-L-01.
    pub fn check(&self, rate: f64) -> Result<usize, Violation> {
        let mut expired = 0;
        for (lease, events) in &self.events {
            let Some(ended) = ended(events) else { continue };
            let revoked = events
                .iter()
                .any(|event| matches!(event, LeaseEvent::Revoking { sent } if *sent <= ended));
            if revoked {
                continue;
            }
            expired += 1;
            judge(*lease, events, ended, rate)?;
        }
        Ok(expired)
    }

    /// When the last lease is due that has not ended; 0 if there is none.
    pub fn latest_due(&self) -> u64 {
        let open = self
            .events
            .values()
            .filter(|events| ended(events).is_none());
        open.filter_map(|events| due(events)).max().unwrap_or(0)
    }

    /// Judges: no lease that was last renewed long before `now` is still there; `slack` is how late an end may come.
    ///
    /// # Errors
    /// P-L-03.
    pub fn check_ends(&self, now: u64, slack: u64) -> Result<(), Violation> {
        for (lease, events) in &self.events {
            let Some(due) = due(events) else { continue };
            if due + slack < now && ended(events).is_none() {
                let text = format!("lease {lease} was due at {due} and lives at {now}: {events:?}");
                return Err(Violation::new("P-L-03", text));
            }
        }
        Ok(())
    }
}

fn due(events: &[LeaseEvent]) -> Option<u64> {
    let dues = events.iter().filter_map(|event| match event {
        LeaseEvent::Renewed { heard, ttl, .. } => Some(heard + ttl),
        _ => None,
    });
    dues.max()
}

fn ended(events: &[LeaseEvent]) -> Option<u64> {
    let ends = events.iter().filter_map(|event| match event {
        LeaseEvent::Ended { at } => Some(*at),
        _ => None,
    });
    ends.min()
}

fn judge(lease: i64, events: &[LeaseEvent], ended: u64, rate: f64) -> Result<(), Violation> {
    for event in events {
        let LeaseEvent::Renewed { sent, ttl, .. } = event else {
            continue;
        };
        let least = (*ttl as f64 / (1.0 + rate)) as u64;
        if ended < sent + least {
            let text = format!(
                "lease {lease} ended at {ended}, {} ns after a renewal was sent that gave it {ttl}: {events:?}",
                ended.saturating_sub(*sent)
            );
            return Err(Violation::new("P-L-01", text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn log(events: &[LeaseEvent]) -> LeaseLog {
        let mut log = LeaseLog::default();
        events.iter().for_each(|event| log.note(7, *event));
        log
    }

    fn renewed(sent: u64) -> LeaseEvent {
        LeaseEvent::Renewed {
            sent: sent * SECOND,
            heard: (sent + 1) * SECOND,
            ttl: 10 * SECOND,
        }
    }

    /// covers: P-L-01
    #[test]
    fn an_early_end_is_found_and_a_late_one_is_not() {
        let ended = |at| LeaseEvent::Ended { at: at * SECOND };
        let check = |events: &[LeaseEvent]| log(events).check(0.0);
        assert!(check(&[renewed(0), renewed(5), ended(14)]).is_err());
        assert_eq!(check(&[renewed(0), renewed(5), ended(15)]), Ok(1));
        let asked = LeaseEvent::Revoking { sent: 3 * SECOND };
        assert_eq!(check(&[renewed(0), asked, ended(4)]), Ok(0));
        assert!(
            log(&[renewed(0)])
                .check_ends(30 * SECOND, 15 * SECOND)
                .is_err()
        );
        assert!(
            log(&[renewed(0)])
                .check_ends(20 * SECOND, 15 * SECOND)
                .is_ok()
        );
    }
}
