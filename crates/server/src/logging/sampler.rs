//! Thins out a message that comes too often.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Level;

/// Of one message, in each second, the first hundred pass and then every hundredth.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    second: i64,
    /// By a hash of level and message: two that collide are counted as one, which loses nothing
    /// that matters.
    counts: HashMap<u64, u64>,
}

const FIRST: u64 = 100;
const THEREAFTER: u64 = 100;

impl Sampler {
    /// Whether this event is to be written.
    pub(crate) fn admit(&mut self, second: i64, level: Level, message: &str) -> bool {
        if second != self.second {
            self.second = second;
            self.counts.clear();
        }
        let mut hasher = DefaultHasher::new();
        (level, message).hash(&mut hasher);
        let count = self.counts.entry(hasher.finish()).or_default();
        *count += 1;
        *count <= FIRST || (*count - FIRST).is_multiple_of(THEREAFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_thinned_within_its_second_and_message() {
        let mut sampler = Sampler::default();
        let mut admitted = |second, message, times| {
            (0..times)
                .filter(|_| sampler.admit(second, Level::Info, message))
                .count()
        };
        assert_eq!(admitted(1, "a", 100), 100);
        assert_eq!(admitted(1, "a", 99), 0);
        assert_eq!(admitted(1, "a", 201), 3);
        assert_eq!(admitted(1, "b", 5), 5);
        assert_eq!(admitted(2, "a", 5), 5);
    }
}
