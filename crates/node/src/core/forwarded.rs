//! Forwarded proposals at the leader: one that arrives twice is proposed once.
//!
//! Transports repeat and reorder. The sender numbers its batches under a nonce of its boot and
//! never sends one twice, so a number seen before is a repetition. What is too old to be remembered
//! counts as seen: its sender will call the outcome unknown, which is true.

use std::collections::{BTreeMap, VecDeque};

use crate::MemberId;

/// How many numbers below the highest are remembered one by one.
const WINDOW: u64 = 1024;
/// How many earlier boots of a sender are remembered, so that their late messages do not look new.
const BOOTS: usize = 16;

/// What arrived from each member.
#[derive(Default)]
pub(super) struct Forwarded {
    senders: BTreeMap<MemberId, Sender>,
}

#[derive(Default)]
struct Sender {
    /// The current boot comes last.
    boots: VecDeque<u64>,
    highest: u64,
    /// Bit `n % WINDOW` tells whether number `n` within the window was seen.
    seen: [u64; (WINDOW / 64) as usize],
}

impl Forwarded {
    /// Whether a batch arrives for the first time.
    pub(super) fn is_new(&mut self, from: MemberId, nonce: u64, number: u64) -> bool {
        self.senders.entry(from).or_default().is_new(nonce, number)
    }
}

impl Sender {
    fn is_new(&mut self, nonce: u64, number: u64) -> bool {
        if self.boots.back() != Some(&nonce) {
            if self.boots.contains(&nonce) {
                return false;
            }
            self.begin(nonce);
        }
        if number.saturating_add(WINDOW) <= self.highest {
            return false;
        }
        self.slide_to(number);
        let (word, bit) = slot(number);
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }

    fn begin(&mut self, nonce: u64) {
        if self.boots.len() == BOOTS {
            self.boots.pop_front();
        }
        self.boots.push_back(nonce);
        self.highest = 0;
        self.seen = Default::default();
    }

    fn slide_to(&mut self, number: u64) {
        let skipped = number.saturating_sub(self.highest).min(WINDOW);
        for n in 0..skipped {
            let (word, bit) = slot(number - n);
            self.seen[word] &= !bit;
        }
        self.highest = self.highest.max(number);
    }
}

fn slot(number: u64) -> (usize, u64) {
    let bit = number % WINDOW;
    let word = usize::try_from(bit / 64).expect("below the window's length");
    (word, 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: MemberId = MemberId(2);

    #[test]
    fn each_number_is_new_once_in_any_order() {
        let mut forwarded = Forwarded::default();
        for number in [3, 1, 2, 900, 1500, 1499] {
            assert!(forwarded.is_new(PEER, 7, number), "{number}");
        }
        for number in [3, 900, 1500, 1499, 4] {
            assert!(!forwarded.is_new(PEER, 7, number), "{number}");
        }
        assert!(forwarded.is_new(PEER, 7, 901));
        assert!(forwarded.is_new(MemberId(3), 7, 3));
    }

    #[test]
    fn an_earlier_boot_stays_old() {
        let mut forwarded = Forwarded::default();
        assert!(forwarded.is_new(PEER, 7, 5));
        assert!(forwarded.is_new(PEER, 8, 5));
        assert!(!forwarded.is_new(PEER, 7, 6));
        assert!(!forwarded.is_new(PEER, 8, 5));
    }

    #[test]
    fn extreme_numbers_do_not_overflow() {
        let mut forwarded = Forwarded::default();
        assert!(forwarded.is_new(PEER, 7, (1 << 62) - 1));
        assert!(!forwarded.is_new(PEER, 7, 0));
        assert!(forwarded.is_new(PEER, 7, u64::MAX));
        assert!(!forwarded.is_new(PEER, 7, u64::MAX));
    }
}
