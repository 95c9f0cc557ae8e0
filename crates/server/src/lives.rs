//! Which start of a member is the latest one: what finds out a member whose disk was put back to an older copy.
//!
//! Such a member has forgotten what it promised since the copy was made, and its disk does not show it. But the others remember
//! whom they have met. Each member counts its starts and draws a random number for each, durably, before anybody hears of it
//! (`own.rs`). It tells both to whom it calls and who calls it, with the numbers of its last starts, and whoever hears of a later
//! start remembers that, durably, before it listens (`met.rs`). Who comes with an earlier start than was met, or remembers another
//! number for the one that was met, was put back. None of its messages is heard. It is told so, and becomes suspect.
//!
//! A member that heals is refused for the same reason, for its count of starts is still the old one. It takes its place behind the
//! latest start that was met, with a number of its own, as often as somebody knows of a later one. What it was before that it does
//! not know, so it tells no numbers of earlier starts any more.
//!
//! A member that is added again has a new id, under which nobody was met. One that has lost everything begins at one: if it says
//! that it is a newcomer, it is told that it is none (`peer/newcomer.rs`).
//!
//! A copy that was put back before the member was started again cannot be told from a restart here; its leader can tell, see
//! `core/put_back.rs` of `ferrod-node`.
//!
//! Source: promises P-M-02 and P-M-05.

mod met;
mod own;

use std::fmt;

use ferrod_proto::peer;
use serde::{Deserialize, Serialize};

pub(crate) use met::{Meeting, Met};
pub(crate) use own::OwnLife;

/// Above any number of starts, and far enough below `u64::MAX` to count on.
const BOOT_MAX: u64 = 1 << 62;
/// How many starts later than one that was met another may be: one in each second for a hundred years. Without a bound one
/// lie would use up all numbers.
const BOOT_LEAP_MAX: u64 = 1 << 32;
/// So many starts of its own a member remembers.
const NONCES_MAX: usize = 32;

/// A start of a member, as it tells others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Life {
    /// Starts so far, with this one.
    boot: u64,
    /// The random numbers of this start and of those before it, the latest first.
    nonces: Vec<u64>,
}

/// One start of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Start {
    boot: u64,
    nonce: u64,
}

/// A member that has forgotten a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PutBack {
    /// The start that it tells.
    pub(crate) told: u64,
    /// The latest one that was met.
    pub(crate) met: u64,
}

impl Life {
    /// `boot` starts, of which this one has drawn `nonce` and nothing is known of the others.
    fn at(boot: u64, nonce: u64) -> Life {
        Life {
            boot,
            nonces: vec![nonce],
        }
    }

    /// The start after this one.
    fn next(&self, nonce: u64) -> Life {
        let nonces = std::iter::once(nonce).chain(self.nonces.iter().copied());
        Life {
            boot: self.boot + 1,
            nonces: nonces.take(NONCES_MAX).collect(),
        }
    }

    fn is_sound(&self) -> bool {
        let starts = 1..=self.boot.min(NONCES_MAX as u64);
        self.boot < BOOT_MAX && starts.contains(&(self.nonces.len() as u64))
    }

    /// Opens what another member tells; `None` if it makes no sense.
    pub(crate) fn from_wire(life: peer::Life) -> Option<Life> {
        let peer::Life { boot, nonces } = life;
        Some(Life { boot, nonces }).filter(Life::is_sound)
    }

    pub(crate) fn to_wire(&self) -> peer::Life {
        peer::Life {
            boot: self.boot,
            nonces: self.nonces.clone(),
        }
    }

    /// The number that was drawn for a start, if it is remembered.
    fn nonce_of(&self, boot: u64) -> Option<u64> {
        let before = usize::try_from(self.boot.checked_sub(boot)?).ok()?;
        self.nonces.get(before).copied()
    }

    fn start(&self) -> Option<Start> {
        let nonce = self.nonce_of(self.boot)?;
        Some(Start {
            boot: self.boot,
            nonce,
        })
    }

    /// Whether the member that tells this life has forgotten one that was met.
    fn has_forgotten(&self, met: Start) -> bool {
        let remembered = self.nonce_of(met.boot);
        self.boot < met.boot || remembered.is_some_and(|nonce| nonce != met.nonce)
    }
}

impl fmt::Display for PutBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PutBack { told, met } = self;
        if told < met {
            write!(
                f,
                "it comes with its start {told}, and has been met with start {met}"
            )
        } else {
            write!(
                f,
                "it comes with its start {told}, and does not remember its start {met} as it has been met"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MET: Start = Start {
        boot: 7,
        nonce: 700,
    };

    fn life(boot: u64, nonces: &[u64]) -> Life {
        Life {
            boot,
            nonces: nonces.to_vec(),
        }
    }

    /// covers: D-17, P-M-02
    #[test]
    fn who_was_put_back_is_told_from_who_was_started_again() {
        for (told, forgotten) in [
            (life(7, &[700]), false),
            (life(8, &[800, 700, 600]), false),
            (life(9, &[900]), false),
            (life(6, &[600]), true),
            (life(1, &[100]), true),
            // A copy of start 6 that was started again.
            (life(7, &[777, 600]), true),
            // And again, while nobody saw it.
            (life(9, &[999, 888, 777, 600]), true),
        ] {
            assert_eq!(told.has_forgotten(MET), forgotten, "{told:?}");
        }
    }

    /// covers: D-17
    #[test]
    fn a_life_remembers_its_last_starts() {
        let mut life = Life::at(1, 1);
        for boot in 2..100 {
            life = life.next(boot);
            assert!(life.is_sound());
            assert_eq!(life.nonce_of(boot), Some(boot));
            assert_eq!(life.nonce_of(boot - 1), Some(boot - 1));
            assert_eq!(life.nonce_of(boot + 1), None);
        }
        let oldest = 99 - NONCES_MAX as u64;
        assert_eq!(life.nonce_of(oldest), None);
        assert_eq!(life.nonce_of(oldest + 1), Some(oldest + 1));
        assert_eq!(Life::from_wire(life.to_wire()), Some(life));
    }

    /// covers: D-17, S-04
    #[test]
    fn a_life_that_cannot_be_is_none() {
        let long = vec![1; NONCES_MAX + 1];
        for (boot, nonces) in [
            (0, &[][..]),
            (0, &[1]),
            (1, &[]),
            (1, &[1, 2]),
            (u64::MAX, &[1]),
            (BOOT_MAX, &[1]),
            (1000, &long),
        ] {
            let nonces = nonces.to_vec();
            let life = Life::from_wire(peer::Life { boot, nonces });
            assert_eq!(life, None);
        }
    }
}
