//! Sorted keys in one shared buffer: nothing to copy when only what belongs to them changes, and few cache lines to search.
//!
//! ```text
//! what all keys begin with  |  for each key: head, 4 bytes; end, 4 bytes  |  the keys, one after the other
//! ```
//!
//! The common prefix comes first because a search begins with it. A head is what follows it in its key, as a big endian number padded with zeros, so
//! heads sort as keys do, and a search looks at whole keys only where heads are equal. An end is the place in the last
//! part at which the key ends. Numbers are little endian.

use std::cmp::Ordering;
use std::iter::once;
use std::sync::Arc;

/// Sorted keys. Never changes; changed copies are made instead.
#[derive(Debug, Clone, Default)]
pub(crate) struct PackedKeys {
    data: Arc<[u8]>,
    len: u32,
    /// How many bytes all keys have in common at their beginning; of a single key, all.
    prefix_len: u32,
}

const HEAD: usize = 4;
const SLOT: usize = HEAD + 4;

impl PackedKeys {
    /// Packs sorted keys.
    pub(crate) fn of<'k>(keys: impl Iterator<Item = &'k [u8]> + Clone) -> Self {
        let (mut len, mut bytes) = (0, 0);
        let (mut first, mut last): (&[u8], &[u8]) = (&[], &[]);
        for key in keys.clone() {
            first = if len == 0 { key } else { first };
            last = key;
            len += 1;
            bytes += key.len();
        }
        let prefix_len = common(first, last);
        let mut data = Vec::with_capacity(prefix_len + len * SLOT + bytes);
        data.extend_from_slice(&first[..prefix_len]);
        let mut end = 0;
        for key in keys.clone() {
            end += key.len();
            put_slot(&mut data, head(&key[prefix_len..]), end);
        }
        keys.for_each(|key| data.extend_from_slice(key));
        Self {
            data: data.into(),
            len: len as u32,
            prefix_len: prefix_len as u32,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes of all keys together.
    pub(crate) fn byte_len(&self) -> usize {
        self.data.len() - self.base()
    }

    pub(crate) fn get(&self, i: usize) -> &[u8] {
        let base = self.base();
        &self.data[base + self.start(i)..base + self.end(i)]
    }

    /// Where the key is, or where it would be inserted.
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let prefix = &self.data[..self.prefix_len as usize];
        let begin = &key[..key.len().min(prefix.len())];
        match begin.cmp(prefix) {
            Ordering::Less => return Err(0),
            Ordering::Greater => return Err(self.len()),
            Ordering::Equal => {}
        }
        let rest = &key[prefix.len()..];
        let rest_head = head(rest);
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let whole = || self.get(middle)[prefix.len()..].cmp(rest);
            match self.head(middle).cmp(&rest_head).then_with(whole) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The keys and one more, at its place.
    pub(crate) fn inserted(&self, i: usize, key: &[u8]) -> Self {
        let prefix_len = self.prefix_len as usize;
        if self.len == 0 || common(self.get(0), key) < prefix_len {
            return Self::of(
                self.iter(0..i)
                    .chain(once(key))
                    .chain(self.iter(i..self.len())),
            );
        }
        let (prefix_and_slots, bytes) = self.data.split_at(self.base());
        let start = self.start(i);
        let mut data = Vec::with_capacity(self.data.len() + SLOT + key.len());
        data.extend_from_slice(&prefix_and_slots[..prefix_len + i * SLOT]);
        put_slot(&mut data, head(&key[prefix_len..]), start + key.len());
        for later in i..self.len() {
            put_slot(&mut data, self.head(later), self.end(later) + key.len());
        }
        data.extend_from_slice(&bytes[..start]);
        data.extend_from_slice(key);
        data.extend_from_slice(&bytes[start..]);
        Self {
            data: data.into(),
            len: self.len + 1,
            prefix_len: self.prefix_len,
        }
    }

    /// The keys without one.
    pub(crate) fn removed(&self, i: usize) -> Self {
        Self::of(self.iter(0..i).chain(self.iter(i + 1..self.len())))
    }

    /// Some of the keys.
    pub(crate) fn sliced(&self, range: std::ops::Range<usize>) -> Self {
        Self::of(self.iter(range))
    }

    /// These keys, then `between`, then those of `right`.
    pub(crate) fn joined(&self, between: Option<&[u8]>, right: &Self) -> Self {
        let (left, right) = (self.iter(0..self.len()), right.iter(0..right.len()));
        Self::of(left.chain(between).chain(right))
    }

    pub(crate) fn memory(&self) -> usize {
        self.data.len() + 2 * size_of::<usize>()
    }

    fn iter(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = &[u8]> + Clone {
        range.map(|i| self.get(i))
    }

    fn head(&self, i: usize) -> u32 {
        self.number(i * SLOT)
    }

    fn end(&self, i: usize) -> usize {
        self.number(i * SLOT + HEAD) as usize
    }

    fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.end(i - 1) }
    }

    /// Where the keys begin in `data`.
    fn base(&self) -> usize {
        self.prefix_len as usize + self.len() * SLOT
    }

    fn number(&self, at: usize) -> u32 {
        let at = self.prefix_len as usize + at;
        let bytes = self.data[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes)
    }
}

fn put_slot(data: &mut Vec<u8>, head: u32, end: usize) {
    let end = u32::try_from(end).expect("a node splits long before 4 GiB of keys");
    data.extend_from_slice(&head.to_le_bytes());
    data.extend_from_slice(&end.to_le_bytes());
}

/// The first bytes as a number that sorts as they do.
fn head(bytes: &[u8]) -> u32 {
    match bytes.first_chunk() {
        Some(head) => u32::from_be_bytes(*head),
        None => (0..HEAD).fold(0, |head, i| {
            head << 8 | u32::from(*bytes.get(i).unwrap_or(&0))
        }),
    }
}

/// How many bytes two keys have in common at their beginning.
pub(crate) fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(keys: &PackedKeys) -> Vec<&[u8]> {
        keys.iter(0..keys.len()).collect()
    }

    fn of(keys: &[&[u8]]) -> PackedKeys {
        let mut packed = PackedKeys::default();
        for key in keys {
            let i = packed.search(key).unwrap_err();
            packed = packed.inserted(i, key);
        }
        packed
    }

    #[test]
    fn keys_stay_sorted_and_whole() {
        let keys = of(&[b"m", b"", b"zz", b"mm", b"a"]);
        assert_eq!(all(&keys), [&b""[..], b"a", b"m", b"mm", b"zz"]);
        assert_eq!((keys.search(b"mm"), keys.search(b"n")), (Ok(3), Err(4)));

        let (left, right) = (keys.sliced(0..2), keys.sliced(2..5));
        assert_eq!(
            (all(&left), all(&right)),
            (vec![&b""[..], b"a"], vec![&b"m"[..], b"mm", b"zz"])
        );
        let joined = left.joined(Some(b"l"), &right.removed(1));
        assert_eq!(all(&joined), [&b""[..], b"a", b"l", b"m", b"zz"]);
        assert_eq!(joined.byte_len(), 5);
    }

    #[test]
    fn keys_are_found_whatever_they_share() {
        let sets: [&[&[u8]]; 5] = [
            &[
                b"same/prefix/aaaaa1",
                b"same/prefix/aaaaa2",
                b"same/prefix/aaaaa",
            ],
            &[
                b"p",
                b"p\0",
                b"p\0\0",
                b"p\0\0\0\0",
                b"p\0\0\0\0\0",
                b"p\0\0\0\0\x01",
            ],
            &[b"abcdefg", b"abcdefh", b"abcd", b"b", b""],
            &[b"only"],
            &[b"\xff\xff\xff\xff\xff", b"\xff\xff\xff\xff", b"\xff"],
        ];
        let probes: Vec<&[u8]> = sets.concat();
        for set in sets {
            let packed = of(set);
            let mut sorted = set.to_vec();
            sorted.sort();
            assert_eq!(all(&packed), sorted);
            for probe in &probes {
                assert_eq!(
                    packed.search(probe),
                    sorted.binary_search(probe),
                    "{probe:?} in {set:?}"
                );
            }
        }
    }
}
