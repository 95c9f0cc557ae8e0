//! Election timeouts without a clock or a generator.
//!
//! raft-rs draws a new timeout from a thread-local generator at each change of role or term, so
//! runs would not repeat. The core overwrites it after every call with this function of what is
//! known anyway.

/// Ticks until an election, in `[election_ticks, 2 * election_ticks)`.
pub(super) fn election_timeout(
    seed: u64,
    member: u64,
    term: u64,
    campaigns: u64,
    election_ticks: u32,
) -> usize {
    let ticks = u64::from(election_ticks);
    let timeout = ticks + hash(seed, [member, term, campaigns]) % ticks;
    usize::try_from(timeout).expect("twice a u32 fits")
}

/// How long to wait before the try number `tries` to replace a leader that is gone, in thousandths:
/// `[0, 1000)` at first, `[500, 1500)` later, when an answer may be on its way.
pub(super) fn campaign_delay(seed: u64, member: u64, term: u64, tries: u32) -> u32 {
    let earliest = if tries == 0 { 0 } else { 500 };
    // Another draw than the timeouts of the same term.
    let draw = hash(!seed, [member, term, u64::from(tries)]) % 1000;
    earliest + u32::try_from(draw).expect("below 1000")
}

fn hash(seed: u64, words: [u64; 3]) -> u64 {
    words.into_iter().fold(seed, |hash, word| mix(hash ^ word))
}

/// The finalizer of SplitMix64: every input bit changes about half of the output.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn covers_the_range_and_repeats() {
        let draw = |member, campaigns| election_timeout(7, member, 5, campaigns, 10);
        let seen: BTreeSet<_> = (0..1000).map(|campaigns| draw(1, campaigns)).collect();
        assert_eq!(seen, (10..20).collect());
        assert_eq!(draw(1, 3), draw(1, 3));
        assert!((0..20).any(|campaigns| draw(1, campaigns) != draw(2, campaigns)));
    }
}
