//! Whatever a peer says, the member goes on.

use bytes::Bytes;

use super::random::Dice;
use super::rig::Rig;
use crate::{
    ConfState, Entry, EntryKind, Forward, Input, LogIndex, MemberId, PeerBody, PeerMessage,
    StateMeta, Term,
};

/// Numbers that are near what the member holds, and numbers that are absurd.
fn number(dice: &mut Dice) -> u64 {
    match dice.below(10) {
        0 => u64::MAX,
        1 => (1 << 62) - dice.below(2),
        2 => dice.next(),
        _ => dice.below(9),
    }
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

fn entries(dice: &mut Dice, prev: u64) -> Vec<Entry> {
    let contiguous = dice.below(3) > 0;
    let entry = |n: u64| Entry {
        index: LogIndex(if contiguous {
            prev.wrapping_add(n + 1)
        } else {
            number(dice)
        }),
        term: Term(number(dice)),
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
    (0..3).map(entry).collect()
}

fn message(dice: &mut Dice) -> PeerMessage {
    let mut n = || number(dice);
    let (a, b, c, d) = (n(), n(), n(), n());
    let [ia, ib] = [a, b].map(LogIndex);
    let [tc, td] = [c, d].map(Term);
    let (yes, no) = (dice.below(2) == 0, dice.below(2) == 0);
    let body = match dice.below(12) {
        0 | 1 => PeerBody::Append {
            prev_index: ia,
            prev_term: tc,
            commit: ib,
            entries: entries(dice, a),
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
            context: payload(dice),
        },
        5 => PeerBody::HeartbeatAnswer {
            commit: ia,
            context: payload(dice),
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
            context: payload(dice),
        },
        9 => PeerBody::ReadIndexAnswer {
            index: ia,
            context: payload(dice),
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
        term: Term(number(dice)),
        body,
    }
}

///
#[test]
fn garbage_from_peers_stops_nobody() {
    for seed in 0..120 {
        let mut dice = Dice::new(seed);
        let mut rig = Rig::default();
        let voters: &[u64] = if seed % 3 == 0 { &[1] } else { &[1, 2, 3] };
        rig.bootstrap(&[1], voters);
        for _ in 0..300 {
            match dice.below(12) {
                0 => drop(rig.persist(1)),
                1 => drop(rig.apply(1)),
                2 => drop(rig.input(1, Input::Tick)),
                3 => drop(rig.input(1, Input::Campaign)),
                _ => drop(rig.input(1, Input::Peer(message(&mut dice)))),
            }
            rig.network.clear();
        }
    }
}
