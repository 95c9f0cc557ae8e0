//! Spreads deadlines that bunch up at a promotion.
//!
//! A new leader gives every lease its time again from one moment on, so that all leases of one time to
//! live would end together. Each second takes a limited number; what does not fit goes to the next second
//! that has room. Later is always allowed, earlier never.

use std::collections::HashMap;

/// Places deadlines into seconds, each with limited room.
#[derive(Debug)]
pub(super) struct Spread {
    per_second_max: u32,
    used: HashMap<u64, u32>,
    /// For a full second, a later one before which none has room.
    skip: HashMap<u64, u64>,
}

impl Spread {
    /// At most `per_second_max` in a second, at least one.
    pub(super) fn new(per_second_max: u32) -> Spread {
        let per_second_max = per_second_max.max(1);
        Spread {
            per_second_max,
            used: HashMap::new(),
            skip: HashMap::new(),
        }
    }

    /// The first second not before `wanted` that has room; the room is taken.
    pub(super) fn place(&mut self, wanted: u64) -> u64 {
        let second = self.first_with_room(wanted);
        let used = self.used.entry(second).or_default();
        *used += 1;
        if *used == self.per_second_max {
            self.used.remove(&second);
            self.skip.insert(second, second + 1);
        }
        second
    }

    /// Follows the skips, then shortens those on the way, so that placing stays cheap when thousands of
    /// seconds in a row are full.
    fn first_with_room(&mut self, wanted: u64) -> u64 {
        let mut second = wanted;
        while let Some(next) = self.skip.get(&second) {
            second = *next;
        }
        let mut walked = wanted;
        while walked != second {
            walked = self.skip.insert(walked, second).expect("walked above");
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_seconds_from_the_wanted_one_on() {
        let mut spread = Spread::new(2);
        let placed: Vec<u64> = [5, 5, 5, 4, 5, 4, 4, 9]
            .map(|second| spread.place(second))
            .into();
        assert_eq!(placed, [5, 5, 6, 4, 6, 4, 7, 9]);
    }

    #[test]
    fn many_in_one_second() {
        let mut spread = Spread::new(750);
        let mut count = HashMap::<u64, u32>::new();
        for _ in 0..200_000 {
            *count.entry(spread.place(60)).or_default() += 1;
        }
        assert!(count.values().all(|n| *n <= 750));
        assert_eq!(count.keys().max(), Some(&(60 + 200_000 / 750)));
    }
}
