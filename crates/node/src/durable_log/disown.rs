//! Leaving all others behind: an operator's last resort when a majority is lost for good.
//!
//! The log is ended with changes of membership that nobody agreed to, and all of it is marked as committed. From then on it
//! says that this member is alone, and a start goes on from it as from any other log.
//!
//! etcd drops what lies behind the commit index. Here it is kept: a commit index alone is not worth a sync, so on disk it
//! may lag behind what clients were told, and the last acknowledged writes would be lost. What was never committed is
//! committed now, which contradicts nobody, for all who could know better are left behind.

use super::DurableLog;
use crate::{
    Batch, ConfChange, ConfChangeKind, ConfState, Entry, EntryKind, Error, HardState, LogIndex,
    MemberId, ReadyNumber, Recovered, StartingPoint,
};

/// What was done to a log by [`DurableLog::disown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disowned {
    /// The last index that was known to be committed before.
    pub commit: LogIndex,
    /// Entries behind it, which count as committed now.
    pub kept: usize,
    /// Changes of membership behind those.
    pub changes: usize,
}

impl DurableLog {
    /// Ends the log with the changes that `decide` finds necessary in the configuration as of the last entry, and brings
    /// `recovered` in line. Without a change nothing is written: who is alone commits the rest by itself.
    ///
    /// Only to be called between opening the log and starting a core from it, when an operator demands it.
    ///
    /// # Errors
    /// Those of [`DurableLog::write`], and of a log that contradicts itself.
    pub fn disown(
        &mut self,
        recovered: &mut Recovered,
        from: &StartingPoint,
        decide: impl FnOnce(&ConfState) -> Vec<ConfChange>,
    ) -> Result<Disowned, Error> {
        let state = recovered.hard_state();
        let commit = state.commit.max(from.applied);
        let kept = recovered.entries().iter().filter(|e| e.index > commit);
        let last = recovered.last().max(commit);
        let changes = decide(&configuration(recovered, from, last));
        let done = Disowned {
            commit,
            kept: kept.count(),
            changes: changes.len(),
        };
        if changes.is_empty() {
            return Ok(done);
        }
        let entry = |(index, change): (u64, &ConfChange)| Entry {
            index: LogIndex(index),
            term: state.term,
            kind: EntryKind::ConfChange,
            payload: change.encode(),
        };
        let entries: Vec<_> = (last.0 + 1..).zip(&changes).map(entry).collect();
        let hard_state = HardState {
            commit: LogIndex(last.0 + changes.len() as u64),
            ..state
        };
        for entry in &entries {
            recovered.push_entry(entry.clone())?;
        }
        recovered.push_hard_state(hard_state);
        self.write(&[Batch {
            number: ReadyNumber(0),
            state: None,
            entries,
            hard_state: Some(hard_state),
            sync: true,
        }])?;
        Ok(done)
    }
}

/// The configuration as of `last`: that of the state machine, and the changes it lacks.
pub(crate) fn configuration(
    recovered: &Recovered,
    from: &StartingPoint,
    last: LogIndex,
) -> ConfState {
    let ConfState {
        mut voters,
        mut learners,
    } = from.conf_state.clone();
    let lacking =
        |e: &&Entry| e.kind == EntryKind::ConfChange && e.index > from.applied && e.index <= last;
    for entry in recovered.entries().iter().filter(lacking) {
        let Some(change) = ConfChange::decode(entry.payload.clone()) else {
            continue;
        };
        if change.kind == ConfChangeKind::Update {
            continue;
        }
        let other = |member: &MemberId| *member != change.member;
        voters.retain(other);
        learners.retain(other);
        match change.kind {
            ConfChangeKind::AddVoter => voters.push(change.member),
            ConfChangeKind::AddLearner => learners.push(change.member),
            ConfChangeKind::Remove | ConfChangeKind::Update => {}
        }
    }
    ConfState::new(voters, learners)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use bytes::Bytes;
    use ferrod_env::Disk;
    use ferrod_env::sim::SimDisk;
    use ferrod_wal::{Identity, Options};

    use super::*;
    use crate::Term;

    const IDENTITY: Identity = Identity {
        cluster: 3,
        member: 2,
    };

    fn change(kind: ConfChangeKind, member: u64) -> ConfChange {
        ConfChange {
            id: 0,
            kind,
            member: MemberId(member),
            context: Bytes::new(),
        }
    }

    fn open(disk: &Arc<dyn Disk>) -> (DurableLog, Recovered) {
        let dir = Path::new("/wal");
        let opened = DurableLog::open(disk.clone(), dir, Options::default(), Some(IDENTITY));
        let (log, opened) = opened.unwrap();
        (log, opened.recovered)
    }

    /// covers: M-08
    #[test]
    fn what_may_have_been_acknowledged_is_kept_and_the_others_go() {
        let disk: Arc<dyn Disk> = SimDisk::new(1);
        let initial: Vec<_> = (1..=3)
            .map(|member| change(ConfChangeKind::AddVoter, member))
            .collect();
        let dir = Path::new("/wal");
        let options = Options::default();
        drop(DurableLog::create(disk.clone(), dir, options, IDENTITY, &initial).unwrap());
        let (mut log, _) = open(&disk);
        let entry = |index, kind, payload: Bytes| Entry {
            index: LogIndex(index),
            term: Term(4),
            kind,
            payload,
        };
        let learner = change(ConfChangeKind::AddLearner, 9).encode();
        let entries = vec![
            entry(4, EntryKind::ConfChange, learner),
            entry(5, EntryKind::Normal, Bytes::from_static(b"applied")),
            entry(
                6,
                EntryKind::Normal,
                Bytes::from_static(b"perhaps acknowledged"),
            ),
            entry(7, EntryKind::Normal, Bytes::from_static(b"perhaps not")),
        ];
        let hard_state = HardState {
            term: Term(5),
            vote: MemberId(2),
            commit: LogIndex(4),
        };
        log.write(&[Batch {
            number: ReadyNumber(1),
            state: None,
            entries,
            hard_state: Some(hard_state),
            sync: true,
        }])
        .unwrap();
        drop(log);

        let (mut log, mut recovered) = open(&disk);
        // The state machine is ahead of the commit index on disk.
        let from = StartingPoint {
            applied: LogIndex(5),
            applied_term: Term(4),
            conf_state: ConfState::new(
                vec![MemberId(1), MemberId(2), MemberId(3)],
                vec![MemberId(9)],
            ),
        };
        let mut seen = None;
        let done = log.disown(&mut recovered, &from, |conf| {
            seen = Some(conf.clone());
            vec![
                change(ConfChangeKind::Remove, 1),
                change(ConfChangeKind::Remove, 3),
                change(ConfChangeKind::Remove, 9),
            ]
        });
        let wanted = Disowned {
            commit: LogIndex(5),
            kept: 2,
            changes: 3,
        };
        assert_eq!(done.unwrap(), wanted);
        assert_eq!(seen.as_ref(), Some(&from.conf_state));
        drop(log);

        let (_, again) = open(&disk);
        assert_eq!(again, recovered);
        assert_eq!(again.last(), LogIndex(10));
        assert_eq!(again.entries()[6].payload, b"perhaps not"[..]);
        let state = HardState {
            commit: LogIndex(10),
            ..hard_state
        };
        assert_eq!(again.hard_state(), state);
    }

    #[test]
    fn the_configuration_is_that_of_the_last_entry() {
        let mut recovered = Recovered::default();
        let changes = [
            (ConfChangeKind::AddVoter, 1),
            (ConfChangeKind::AddVoter, 2),
            (ConfChangeKind::AddLearner, 3),
            (ConfChangeKind::AddVoter, 3),
            (ConfChangeKind::Update, 2),
            (ConfChangeKind::Remove, 1),
            (ConfChangeKind::Remove, 2),
        ];
        for (index, (kind, member)) in (1..).zip(changes) {
            let entry = Entry {
                index: LogIndex(index),
                term: Term(1),
                kind: EntryKind::ConfChange,
                payload: change(kind, member).encode(),
            };
            recovered.push_entry(entry).unwrap();
        }
        let from = StartingPoint::default();
        let at = |commit| configuration(&recovered, &from, LogIndex(commit));
        let conf = |voters: &[u64], learners: &[u64]| {
            let ids = |ids: &[u64]| ids.iter().map(|id| MemberId(*id)).collect();
            ConfState::new(ids(voters), ids(learners))
        };
        assert_eq!(at(3), conf(&[1, 2], &[3]));
        assert_eq!(at(5), conf(&[1, 2, 3], &[]));
        assert_eq!(at(6), conf(&[2, 3], &[]));
    }
}
