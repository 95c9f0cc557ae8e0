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
    let mut hash = seed;
    for word in [member, term, campaigns] {
        hash = mix(hash ^ word);
    }
    let ticks = u64::from(election_ticks);
    let timeout = ticks + hash % ticks;
    usize::try_from(timeout).expect("twice a u32 fits")
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
