//! What the client knows: what was acknowledged, what was asked without an answer, what is in the history.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ferrod_proto::etcdserverpb::CompactionRequest;

use crate::wire::Wire;

/// What a write does to keys: the new value, or none for a removal. In the order of the keys.
pub(super) type Effects = BTreeMap<Bytes, Option<Bytes>>;

/// One write that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attempt {
    pub(super) effects: Effects,
    /// Revision of the acknowledgement, if one came.
    pub(super) revision: Option<i64>,
}

/// What happened to leases in one life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseFate {
    Granted,
    /// The revocation was sent; nobody knows.
    Unknown,
    Revoked,
}

/// What one life brought.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    pub(super) attempts: Vec<Attempt>,
    pub(super) leases: BTreeMap<i64, LeaseFate>,
}

/// Everything since the first start.
///
/// covers: C-04
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Acknowledged in the last life.
    acknowledged: BTreeMap<i64, Effects>,
    /// Sent in the last life without an answer.
    open: Vec<Effects>,
    /// Events that a watcher got in the last life.
    delivered: BTreeMap<i64, Effects>,
    pub(super) leases: BTreeMap<i64, LeaseFate>,
    /// The keys as they are at the verified revision.
    pub(super) state: Effects,
    verified: i64,
    pub(super) compacted: i64,
    total: usize,
    unanswered_but_done: usize,
}

impl Ledger {
    /// The revision up to which history was compared.
    pub(super) fn verified(&self) -> i64 {
        self.verified.max(1)
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.total
    }

    /// Takes over what a life brought.
    pub(super) fn add(&mut self, deeds: Deeds) -> Result<()> {
        for attempt in deeds.attempts {
            let Some(revision) = attempt.revision else {
                self.open.push(attempt.effects);
                continue;
            };
            ensure!(
                revision > self.verified,
                "revision {revision} was acknowledged again, {} is history",
                self.verified
            );
            self.total += 1;
            if let Some(other) = self.acknowledged.insert(revision, attempt.effects) {
                bail!("revision {revision} was acknowledged twice, once for {other:?}");
            }
        }
        self.leases.extend(deeds.leases);
        Ok(())
    }

    /// Takes over what a watcher was told before the crash.
    pub(super) fn delivered(&mut self, events: BTreeMap<i64, Effects>) {
        self.delivered = events;
    }

    /// Compares the history since the last time with what is known. `revisions` has no holes.
    pub(super) fn verify(&mut self, current: i64, history: BTreeMap<i64, Effects>) -> Result<()> {
        let last = self.acknowledged.keys().next_back().copied().unwrap_or(0);
        ensure!(
            last <= current,
            "revision {last} was acknowledged, the store is at {current}"
        );
        for revision in self.verified() + 1..=current {
            let found = history
                .get(&revision)
                .with_context(|| format!("nothing happened at revision {revision} of {current}"))?;
            self.verify_one(revision, found)?;
            for (key, value) in found {
                match value {
                    Some(_) => self.state.insert(key.clone(), value.clone()),
                    None => self.state.remove(key),
                };
            }
        }
        if let Some((revision, lost)) = self.acknowledged.first_key_value() {
            bail!("revision {revision} was acknowledged and is lost: {lost:?}");
        }
        // The last revision may have been cut by the crash on its way to the watcher, but not changed.
        for (revision, told) in std::mem::take(&mut self.delivered) {
            let kept = history.get(&revision);
            ensure!(
                kept == Some(&told),
                "a watcher was told {told:?} at {revision}, now {kept:?}"
            );
        }
        // What was not in the log at the start will never be.
        self.open.clear();
        self.verified = current;
        Ok(())
    }

    fn verify_one(&mut self, revision: i64, found: &Effects) -> Result<()> {
        if let Some(effects) = self.acknowledged.remove(&revision) {
            ensure!(
                effects == *found,
                "revision {revision} was acknowledged for {effects:?} and holds {found:?}"
            );
            return Ok(());
        }
        let at = self.open.iter().position(|effects| effects == found);
        let at =
            at.with_context(|| format!("nobody asked for {found:?} at revision {revision}"))?;
        self.open.swap_remove(at);
        self.unanswered_but_done += 1;
        Ok(())
    }

    /// Forgets what is verified.
    pub(super) async fn compact(&mut self, wire: &Wire) -> Result<()> {
        let revision = self.verified();
        if revision > self.compacted {
            wire.kv()
                .compact(CompactionRequest {
                    revision,
                    physical: false,
                })
                .await?;
            self.compacted = revision;
        }
        Ok(())
    }

    pub(super) fn summary(&self, rounds: u32) -> String {
        format!(
            "{rounds} kills, {} acknowledged writes, {} unanswered ones that took effect, revision {}, {} leases",
            self.total,
            self.unanswered_but_done,
            self.verified,
            self.leases.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(key: &str, value: &str) -> Effects {
        [(key.to_owned().into(), Some(value.to_owned().into()))].into()
    }

    fn attempt(effects: Effects, revision: Option<i64>) -> Deeds {
        Deeds {
            attempts: vec![Attempt { effects, revision }],
            ..Default::default()
        }
    }

    #[test]
    fn a_lost_write_is_noticed() {
        let mut ledger = Ledger::default();
        ledger.add(attempt(effects("a", "1"), Some(2))).unwrap();
        assert!(ledger.verify(1, BTreeMap::new()).is_err());
    }

    #[test]
    fn an_unanswered_write_may_appear_once() {
        let mut ledger = Ledger::default();
        ledger.add(attempt(effects("a", "1"), None)).unwrap();
        let once = BTreeMap::from([(2, effects("a", "1"))]);
        ledger.verify(2, once).unwrap();
        let again = BTreeMap::from([(3, effects("a", "1"))]);
        assert!(ledger.verify(3, again).is_err());
    }

    #[test]
    fn a_revision_is_not_used_again() {
        let mut ledger = Ledger::default();
        ledger.add(attempt(effects("a", "1"), Some(2))).unwrap();
        assert!(ledger.add(attempt(effects("a", "2"), Some(2))).is_err());
    }

    #[test]
    fn a_delivered_event_must_stay_true() {
        let mut ledger = Ledger::default();
        ledger.add(attempt(effects("a", "1"), None)).unwrap();
        ledger.delivered(BTreeMap::from([(2, effects("a", "1"))]));
        assert!(ledger.verify(1, BTreeMap::new()).is_err());
    }
}
