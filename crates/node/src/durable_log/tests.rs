//! A member that is alone, without threads, on a disk that dies at every call in turn.

use ferrod_env::sim::{Effect, Loss, SimDisk, When};

use super::*;
use crate::{Action, Config, Core, Input, Proposal, ProposalId, StartingPoint};

const IDENTITY: Identity = Identity {
    cluster: 3,
    member: 5,
};
const SELF: MemberId = MemberId(5);

fn options() -> Options {
    Options {
        segment_bytes: 8 << 10,
        ..Options::default()
    }
}

fn voter() -> ConfChange {
    ConfChange {
        id: 0,
        kind: crate::ConfChangeKind::AddVoter,
        member: SELF,
        context: bytes::Bytes::new(),
    }
}

/// A core over a log, with a state machine that loses everything in a crash but what `flushed`
/// says.
struct Alone {
    core: Core,
    log: DurableLog,
    applied: Vec<Entry>,
    from: StartingPoint,
}

impl Alone {
    fn start(disk: &Arc<SimDisk>, from: StartingPoint) -> Result<Alone, Error> {
        let disk: Arc<dyn Disk> = disk.clone();
        let dir = Path::new("/wal");
        let created = DurableLog::create(disk.clone(), dir, options(), IDENTITY, &[voter()]);
        match created {
            Ok(_) | Err(Error::Wal(ferrod_wal::Error::Exists { .. })) => {}
            Err(error) => return Err(error),
        }
        let (log, opened) = DurableLog::open(disk, dir, options(), Some(IDENTITY))?;
        let core = Core::new(Config::new(SELF, 1, 1), opened.recovered, &from)?;
        let mut alone = Alone {
            core,
            log,
            applied: Vec::new(),
            from,
        };
        alone.input(Input::Campaign)?;
        Ok(alone)
    }

    fn input(&mut self, input: Input) -> Result<(), Error> {
        let mut actions = Vec::new();
        self.core.handle(input, &mut actions);
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            let Some(answer) = self.carry_out(action)? else {
                continue;
            };
            let mut more = Vec::new();
            self.core.handle(answer, &mut more);
            actions.extend(more);
        }
        Ok(())
    }

    fn carry_out(&mut self, action: Action) -> Result<Option<Input>, Error> {
        let answer = match action {
            Action::Persist(batch) => {
                self.log.write(std::slice::from_ref(&batch))?;
                return Ok(batch.sync.then_some(Input::Persisted(batch.number)));
            }
            Action::Apply(entries) => {
                let last = entries.last().unwrap().clone();
                self.applied.extend(entries);
                self.from.applied_term = last.term;
                self.from.applied = last.index;
                Input::Applied(last.index)
            }
            Action::JudgeChange(change) => Input::ChangeJudged {
                index: change.index,
                accepted: true,
            },
            Action::ApplyChange(change) => {
                self.from.conf_state = change.conf_state.unwrap();
                self.from.applied = change.committed.index;
                self.from.applied_term = change.committed.term;
                Input::Applied(change.committed.index)
            }
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }

    fn propose(&mut self, number: u64) -> Result<(), Error> {
        let payload = vec![u8::try_from(number).unwrap(); 700].into();
        self.input(Input::Propose(vec![Proposal::normal(
            ProposalId(number + 1),
            payload,
        )]))
    }

    fn numbers(&self) -> Vec<u64> {
        let payloads = self
            .applied
            .iter()
            .filter_map(|entry| entry.payload.first());
        payloads.map(|first| u64::from(*first)).collect()
    }
}

/// A run over a few segments; returns what was acknowledged, and what the state machine had
/// flushed.
fn scripted(disk: &Arc<SimDisk>) -> (Vec<u64>, StartingPoint) {
    let (mut acked, mut flushed) = (Vec::new(), StartingPoint::default());
    let mut run = || -> Result<(), Error> {
        let mut alone = Alone::start(disk, StartingPoint::default())?;
        for number in 0..30 {
            alone.propose(number)?;
            acked = alone.numbers();
            match number % 10 {
                4 => {
                    alone.input(Input::Idle)?;
                    alone.log.sync_idle()?;
                }
                9 => {
                    flushed = alone.from.clone();
                    alone.log.release(flushed.applied, flushed.applied, 0)?;
                }
                _ => {}
            }
        }
        Ok(())
    };
    // A disk that dies ends the run early; what counts is what was acknowledged until then.
    let _ = run();
    (acked, flushed)
}

/// covers: P-KV-03, Q-06
#[test]
fn what_was_acknowledged_survives_a_crash_at_any_call() {
    let calls = {
        let disk = SimDisk::new(1);
        assert_eq!(scripted(&disk).0.len(), 30);
        disk.calls()
    };
    for call in 1..=calls {
        for (n, loss) in [
            Loss::Process,
            Loss::Drop,
            Loss::Keep,
            Loss::Subset,
            Loss::Torn,
        ]
        .into_iter()
        .enumerate()
        {
            let disk = SimDisk::new(call * 10 + n as u64);
            disk.script(When::Call(call), Effect::Death);
            let (acked, flushed) = scripted(&disk);
            disk.restart(loss);
            let context = format!("death at call {call} of {calls}, {loss:?}");
            let mut alone = Alone::start(&disk, flushed.clone())
                .unwrap_or_else(|error| panic!("{context}: {error:?}"));
            alone.propose(99).unwrap();
            // The state machine starts from what it flushed, the log brings the rest: nothing is
            // missing, nothing comes twice.
            let mut numbers: Vec<u64> = acked.iter().copied().take(count_up_to(&flushed)).collect();
            numbers.extend(alone.numbers());
            let new = numbers.iter().position(|number| *number == 99).unwrap();
            assert_eq!(new, numbers.len() - 1, "{context}");
            assert!(
                new >= acked.len(),
                "{context}: {acked:?} became {numbers:?}"
            );
            assert!(
                (0..).zip(&numbers[..new]).all(|(n, number)| n == *number),
                "{context}: {numbers:?}"
            );
        }
    }
}

/// How many proposals of the script are applied at a flush: all indexes but the voter's and the
/// leader's own entry.
fn count_up_to(flushed: &StartingPoint) -> usize {
    usize::try_from(flushed.applied.0.saturating_sub(2)).unwrap()
}

#[test]
fn a_dump_shows_entries_and_the_last_hard_state() {
    let disk = SimDisk::new(1);
    let mut alone = Alone::start(&disk, StartingPoint::default()).unwrap();
    alone.propose(1).unwrap();
    alone.input(Input::Idle).unwrap();
    let dump = crate::dump(&*disk, Path::new("/wal"));
    assert!(dump.damage.is_none(), "{:?}", dump.damage);
    assert_eq!(dump.identity, Some(IDENTITY));
    let kinds: Vec<_> = dump
        .log
        .entries()
        .iter()
        .map(|entry| (entry.index.0, entry.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            (1, EntryKind::ConfChange),
            (2, EntryKind::Normal),
            (3, EntryKind::Normal)
        ]
    );
    assert_eq!(
        dump.log.hard_state(),
        HardState {
            term: Term(2),
            vote: SELF,
            commit: LogIndex(3)
        }
    );
}
