//! Records in the order in which they were made, on their way into the order of their keys.
//!
//! One buffer holds all, so that sorting allocates nothing and a record is found with one look into memory:
//!
//! ```text
//! varints: main, main - create, version, sub, length of the key  |  the key
//! ```
//!
//! Sorted are numbers of 16 bytes: eight bytes of the key, how many more there are, and the place in the buffer. Only keys
//! that agree in these bytes are looked at again, from where they differ.

use std::ops::Range;

use super::Record;
use super::packed_keys::common;
use crate::row::{put_varint, read_varint};

/// Records of many keys.
#[derive(Debug, Default)]
pub(crate) struct Run {
    bytes: Vec<u8>,
    /// Where the records are, in the lowest bits; above are the digits by which they are sorted.
    places: Vec<u128>,
}

/// Bytes of a key that are compared at once.
const DIGIT: usize = 8;
/// The longest rest of a key, as far as a place tells: a whole digit, and more behind it.
const LONG: usize = DIGIT + 1;
/// Places that are sorted by whole keys.
const FEW: usize = 24;

impl Run {
    /// Bytes after which nothing should be added: places have 32 bits.
    pub(crate) const BYTES_MAX: usize = 1 << 30;

    /// Adds a record that is newer than all of its key.
    pub(crate) fn add(&mut self, key: &[u8], record: Record) {
        let place = u32::try_from(self.bytes.len()).expect("the owner heeds BYTES_MAX");
        self.places.push(u128::from(place));
        let Record {
            main,
            create,
            version,
            sub,
        } = record;
        for number in [main, main.wrapping_sub(create), version] {
            put_varint(&mut self.bytes, number.cast_unsigned());
        }
        put_varint(&mut self.bytes, u64::from(sub));
        put_varint(&mut self.bytes, key.len() as u64);
        self.bytes.extend_from_slice(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Brings the records in the order of their keys; those of one key stay in the order in which they came.
    pub(crate) fn sort(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        // No recursion: keys that are prefixes of each other would make it as deep as they are long.
        let mut groups = vec![(0..places.len(), 0)];
        while let Some((group, from)) = groups.pop() {
            let start = group.start;
            let group = &mut places[group];
            if group.len() <= FEW {
                group.sort_unstable_by_key(|&place| (&self.key(place)[from..], place as u32));
            } else {
                let from = from + self.shared(group, from);
                self.sort_by_digit(group, from);
                groups.extend(unsorted(group, start).map(|group| (group, from + DIGIT)));
            }
        }
        self.places = places;
    }

    /// How many bytes all keys of the group share from `from` on.
    fn shared(&self, group: &[u128], from: usize) -> usize {
        let first = &self.key(group[0])[from..];
        let shared = |longest, place: &u128| common(&first[..longest], &self.key(*place)[from..]);
        group.iter().fold(first.len(), shared)
    }

    fn sort_by_digit(&self, group: &mut [u128], from: usize) {
        for place in group.iter_mut() {
            let rest = &self.key(*place)[from..];
            let mut digit = [0; DIGIT];
            let len = rest.len().min(DIGIT);
            digit[..len].copy_from_slice(&rest[..len]);
            let digit = u128::from(u64::from_be_bytes(digit));
            // A key that ends comes before those that go on with zeros.
            let len = rest.len().min(LONG) as u128;
            *place = digit << 64 | len << 32 | u128::from(*place as u32);
        }
        group.sort_unstable();
    }

    fn key(&self, place: u128) -> &[u8] {
        self.item(place).0
    }

    fn item(&self, place: u128) -> (&[u8], Record) {
        let mut rest = &self.bytes[place as u32 as usize..];
        let mut number = || read_varint(&mut rest).expect("written by add");
        let main = number().cast_signed();
        let record = Record {
            main,
            create: main.wrapping_sub(number().cast_signed()),
            version: number().cast_signed(),
            sub: number() as u32,
        };
        let len = number() as usize;
        (&rest[..len], record)
    }

    /// The records in the order of [`Run::sort`], from the first whose key is not below `low`.
    pub(crate) fn cursor(&self, low: &[u8]) -> Cursor<'_> {
        let next = self.places.partition_point(|&place| self.key(place) < low);
        let mut cursor = Cursor {
            run: self,
            next,
            item: None,
        };
        cursor.advance();
        cursor
    }

    /// The key in the middle of the sorted records.
    pub(crate) fn middle(&self) -> Option<&[u8]> {
        let place = self.places.get(self.places.len() / 2)?;
        Some(self.key(*place))
    }
}

/// The parts of a group that its digits do not tell apart, as ranges behind `start`.
fn unsorted(group: &[u128], start: usize) -> impl Iterator<Item = Range<usize>> {
    let mut end = start;
    group
        .chunk_by(|a, b| a >> 32 == b >> 32)
        .filter_map(move |same| {
            end += same.len();
            let is_long = (same[0] >> 32) as u32 as usize == LONG;
            (is_long && same.len() > 1).then_some(end - same.len()..end)
        })
}

/// A place in a sorted run.
#[derive(Debug)]
pub(crate) struct Cursor<'r> {
    run: &'r Run,
    next: usize,
    item: Option<(&'r [u8], Record)>,
}

impl<'r> Cursor<'r> {
    pub(crate) fn item(&self) -> Option<(&'r [u8], Record)> {
        self.item
    }

    pub(crate) fn advance(&mut self) {
        /// How many records ahead memory is asked for what will be read.
        const AHEAD: usize = 12;
        let run = self.run;
        if let Some(place) = run.places.get(self.next + AHEAD) {
            std::hint::black_box(run.bytes[*place as u32 as usize]);
        }
        self.item = run.places.get(self.next).map(|place| run.item(*place));
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn sorted(keys: &[Vec<u8>]) -> Vec<(Vec<u8>, i64)> {
        let mut run = Run::default();
        for (main, key) in (1..).zip(keys) {
            let record = Record {
                main,
                create: 1,
                version: main,
                sub: 3,
            };
            run.add(key, record);
        }
        run.sort();
        let mut cursor = run.cursor(b"");
        let mut found = Vec::new();
        while let Some((key, record)) = cursor.item() {
            assert_eq!(
                (record.create, record.version, record.sub),
                (1, record.main, 3)
            );
            found.push((key.to_vec(), record.main));
            cursor.advance();
        }
        found
    }

    fn check(keys: &[Vec<u8>]) {
        let mut expected: Vec<_> = keys.iter().cloned().zip(1..).collect();
        expected.sort();
        assert_eq!(sorted(keys), expected);
    }

    #[test]
    fn any_keys_come_out_in_order() {
        let mut rng = SmallRng::seed_from_u64(5);
        for alphabet in [&b"\0"[..], b"\0a", b"\0\xff", b"abcdefgh"] {
            for len_max in [1, 9, 40] {
                let mut key = || -> Vec<u8> {
                    let len = rng.random_range(0..=len_max);
                    let mut letter = || alphabet[rng.random_range(0..alphabet.len())];
                    (0..len).map(|_| letter()).collect()
                };
                let keys: Vec<_> = (0..1500).map(|_| key()).collect();
                check(&keys);
            }
        }
    }

    #[test]
    fn prefixes_of_each_other_are_no_deep_recursion() {
        let keys: Vec<_> = (0..3000).rev().map(|n| vec![0; n]).collect();
        check(&keys);
        check(&vec![b"one and the same key".to_vec(); 500]);
    }

    #[test]
    fn numbers_survive_at_their_bounds() {
        let mut run = Run::default();
        let records = [
            Record::tombstone(crate::Revision {
                main: i64::MAX,
                sub: u32::MAX,
            }),
            Record {
                main: 1,
                create: i64::MIN,
                version: -1,
                sub: 0,
            },
        ];
        records.iter().for_each(|record| run.add(b"", *record));
        let mut cursor = run.cursor(b"");
        for record in records {
            assert_eq!(cursor.item(), Some((&b""[..], record)));
            cursor.advance();
        }
        assert_eq!(cursor.item(), None);
    }
}
