//! The index against a list of ranges.

use super::*;
use proptest::prelude::*;

fn key() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(0..4u8, 1..4).prop_map(Bytes::from)
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::Key),
        (key(), key()).prop_map(|(low, high)| KeyRange::Span { low, high }),
        key().prop_map(KeyRange::From),
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_list(
        steps in prop::collection::vec((range(), 0..6u32, any::<bool>(), key()), 0..200),
    ) {
        let mut index = RangeIndex::default();
        let mut list: Vec<(KeyRange, u32)> = Vec::new();
        for (range, item, add, probe) in steps {
            if add {
                index.insert(&range, item);
                if !list.contains(&(range.clone(), item)) {
                    list.push((range, item));
                }
            } else if let Some((range, item)) = list.pop() {
                index.remove(&range, item);
            } else {
                index.remove(&range, item);
            }
            let mut found = Vec::new();
            index.for_each(&probe, |item| found.push(item));
            found.sort_unstable();
            let mut expected: Vec<u32> =
                list.iter().filter(|(r, _)| r.contains(&probe)).map(|(_, item)| *item).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert!(index.ranges.height() <= 2 + 2 * list.len().ilog2_or_zero());
        }
    }
}

trait Log {
    fn ilog2_or_zero(self) -> u32;
}

impl Log for usize {
    fn ilog2_or_zero(self) -> u32 {
        self.checked_ilog2().unwrap_or(0)
    }
}

/// Ranges in sorted order, the worst for an unbalanced tree, then removed from the middle.
#[test]
fn sorted_insertion_stays_flat() {
    let range = |n: u32| KeyRange::Span {
        low: Bytes::from(n.to_be_bytes().to_vec()),
        high: Bytes::from((n + 10).to_be_bytes().to_vec()),
    };
    let mut index = RangeIndex::default();
    (0..100_000).for_each(|n| index.insert(&range(n), n));
    assert!(
        index.ranges.height() <= 24,
        "height {}",
        index.ranges.height()
    );
    let mut found = Vec::new();
    index.for_each(&50_000u32.to_be_bytes(), |n| found.push(n));
    found.sort_unstable();
    assert_eq!(found, (49_991..=50_000).collect::<Vec<_>>());
    (20_000..80_000).for_each(|n| index.remove(&range(n), n));
    assert!(index.ranges.height() <= 23);
    let mut found = 0;
    index.for_each(&50_000u32.to_be_bytes(), |_| found += 1);
    assert_eq!(found, 0);
    (0..100_000).for_each(|n| index.remove(&range(n), n));
    assert_eq!(index.ranges.height(), 0);
    assert!(index.keys.is_empty());
}
