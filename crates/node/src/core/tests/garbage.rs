//! Whatever a peer says, the member goes on.

use bytes::Bytes;

use super::random::Dice;
use super::rig::Rig;
use crate::{
    ConfState, Core, Entry, EntryKind, Forward, Input, LogIndex, MemberId, PeerBody, PeerMessage,
    Proposal, ProposalId, ReadId, StateMeta, Term,
};

/// What the liar knows of the member: a lie that is nearly true gets furthest.
struct Known {
    numbers: [u64; 4],
    term: u64,
}

impl Known {
    fn of(core: &Core) -> Known {
        let term = core.soft_state().term.0;
        Known {
            numbers: [
                core.last_index().0,
                core.committed().0,
                core.applied().0,
                term,
            ],
            term,
        }
    }

    /// Numbers that are near what the member holds, and numbers that are absurd.
    fn number(&self, dice: &mut Dice) -> u64 {
        match dice.below(24) {
            0 => u64::MAX,
            1 => (1 << 62) - dice.below(2),
            2 => dice.next(),
            3..8 => dice.below(9),
            pick => near(self.numbers[pick as usize % 4], dice),
        }
    }

    fn term(&self, dice: &mut Dice) -> Term {
        Term(match dice.below(8) {
            0 => self.number(dice),
            1 | 2 => near(self.term, dice),
            _ => self.term,
        })
    }
}

fn near(number: u64, dice: &mut Dice) -> u64 {
    (number + dice.below(3)).saturating_sub(1)
}

fn payload(dice: &mut Dice) -> Bytes {
    let len = if dice.below(20) == 0 {
        5000
    } else {
        dice.below(30)
    };
    (0..len)
        .map(|_| dice.next().to_le_bytes()[0])
        .collect::<Vec<_>>()
        .into()
}

fn entries(dice: &mut Dice, known: &Known, prev: u64) -> Vec<Entry> {
    let contiguous = dice.below(5) > 0;
    let count = dice.below(4);
    let entry = |n: u64| Entry {
        index: LogIndex(if contiguous {
            prev.wrapping_add(n + 1)
        } else {
            known.number(dice)
        }),
        term: known.term(dice),
        kind: if dice.below(4) == 0 {
            EntryKind::ConfChange
        } else {
            EntryKind::Normal
        },
        payload: if dice.below(2) == 0 {
            super::rig::voter(dice.below(5)).encode()
        } else {
            payload(dice)
        },
    };
    (0..count).map(entry).collect()
}

/// Of a read of the liar's, of the member's, or of nobody's.
fn context(dice: &mut Dice) -> Bytes {
    match dice.below(4) {
        0 => payload(dice),
        1 => Bytes::new(),
        member => [member, 1, dice.below(9)]
            .map(u64::to_be_bytes)
            .concat()
            .into(),
    }
}

fn message(dice: &mut Dice, known: &Known) -> PeerMessage {
    let [a, b, d] = [0; 3].map(|_| known.number(dice));
    let [ia, ib] = [a, b].map(LogIndex);
    let [tc, td] = [0; 2].map(|_| known.term(dice));
    let (yes, no) = (dice.below(2) == 0, dice.below(2) == 0);
    let body = match dice.below(12) {
        0 | 1 => PeerBody::Append {
            prev_index: ia,
            prev_term: tc,
            commit: ib,
            entries: entries(dice, known, a),
        },
        2 => PeerBody::Accepted {
            index: ia,
            commit: ib,
        },
        3 => PeerBody::Rejected {
            index: ia,
            hint_index: ib,
            hint_term: tc,
            commit: LogIndex(d),
        },
        4 => PeerBody::Heartbeat {
            commit: ia,
            context: context(dice),
        },
        5 => PeerBody::HeartbeatAnswer {
            commit: ia,
            context: context(dice),
        },
        6 => PeerBody::Vote {
            pre: yes,
            last_index: ia,
            last_term: tc,
            commit: ib,
            commit_term: td,
            transfer: no,
        },
        7 => PeerBody::VoteAnswer {
            pre: yes,
            granted: no,
            commit: ia,
            commit_term: tc,
        },
        8 => PeerBody::TimeoutNow,
        10 => PeerBody::State(StateMeta {
            index: ia,
            term: tc,
            conf: ConfState::new(
                (0..dice.below(4))
                    .map(|_| MemberId(dice.below(5)))
                    .collect(),
                (0..dice.below(2))
                    .map(|_| MemberId(dice.below(5)))
                    .collect(),
            ),
        }),
        9 if yes => PeerBody::ReadIndex {
            context: context(dice),
        },
        9 => PeerBody::ReadIndexAnswer {
            index: ia,
            context: context(dice),
        },
        _ => {
            let kind = if yes {
                EntryKind::Normal
            } else {
                EntryKind::ConfChange
            };
            PeerBody::Propose(Forward {
                nonce: a,
                number: b,
                proposals: vec![(kind, payload(dice))],
            })
        }
    };
    let from = if dice.below(8) == 0 {
        dice.below(9)
    } else {
        2 + dice.below(2)
    };
    let to = if dice.below(20) == 0 {
        dice.below(9)
    } else {
        1
    };
    PeerMessage {
        from: MemberId(from),
        to: MemberId(to),
        term: if matches!(body, PeerBody::ReadIndex { .. }) && dice.below(8) > 0 {
            Term(0)
        } else {
            known.term(dice)
        },
        body,
    }
}

fn run(seed: u64, messages: u64) {
    let mut dice = Dice::new(seed);
    let mut rig = Rig::among_liars();
    let voters: &[u64] = if seed.is_multiple_of(3) {
        &[1]
    } else {
        &[1, 2, 3]
    };
    rig.bootstrap(&[1], voters);
    rig.member(1).keeps_log = seed.is_multiple_of(2);
    if seed.is_multiple_of(5) {
        rig.crash(1);
        rig.member(1).log_bytes_max = Some(300);
        rig.start(1);
    }
    for n in 0..messages {
        match dice.below(24) {
            0..3 => drop(rig.persist(1)),
            3..5 => drop(rig.apply(1)),
            5 => drop(rig.input(1, Input::Tick)),
            6 => drop(rig.input(1, Input::Campaign)),
            7 => drop(rig.fetch(1)),
            8 => drop(rig.offer(1)),
            9 => {
                let messages: Vec<_> = rig.network.drain(..).collect();
                drop(rig.report(&messages, dice.below(2) == 0));
            }
            10 => drop(rig.input(1, Input::Read(ReadId(n)))),
            11 => {
                let proposal = Proposal::normal(ProposalId(n), payload(&mut dice));
                drop(rig.input(1, Input::Propose(vec![proposal])));
            }
            12 => drop(rig.input(1, Input::LeaderGone(MemberId(2)))),
            _ => {
                let known = Known::of(rig.member(1).core());
                drop(rig.input(1, Input::Peer(message(&mut dice, &known))));
            }
        }
        // It stops when logs contradict each other, or a leader counts on more than there is, and is started again.
        if !rig.is_up(1) {
            rig.start(1);
        }
    }
}

/// covers: Q-13, N-08, P-A-09
#[test]
fn garbage_from_peers_stops_nobody() {
    (0..200).for_each(|seed| run(seed, 400));
}

#[test]
#[ignore = "more seeds: minutes"]
fn much_garbage() {
    let seeds = std::env::var("SEEDS").map_or(20_000, |seeds| seeds.parse().unwrap());
    (1000..1000 + seeds).for_each(|seed| run(seed, 2000));
}
