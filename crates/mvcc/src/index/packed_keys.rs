//! Sorted keys in one buffer: cheap to copy, cheap to search, 4 bytes beyond the keys themselves.

/// Sorted keys, one after the other in one buffer.
#[derive(Debug, Default)]
pub(crate) struct PackedKeys {
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`.
    ends: Vec<u32>,
}

impl PackedKeys {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn get(&self, i: usize) -> &[u8] {
        &self.bytes[self.start(i)..self.ends[i] as usize]
    }

    /// Where the key is, or where it would be inserted.
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// A copy with room for one key of `spare` bytes more; 0 makes an exact copy.
    pub(crate) fn copy(&self, spare: usize) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.len() + spare);
        bytes.extend_from_slice(&self.bytes);
        let mut ends = Vec::with_capacity(self.ends.len() + usize::from(spare > 0));
        ends.extend_from_slice(&self.ends);
        Self { bytes, ends }
    }

    pub(crate) fn insert(&mut self, i: usize, key: &[u8]) {
        let start = self.start(i);
        let len = u32::try_from(key.len()).expect("keys are shorter than a request, below 2 GiB");
        // A little room, not twice as much: the index lives of being small.
        reserve(&mut self.bytes, key.len(), 4 * key.len());
        reserve(&mut self.ends, 1, 4);
        self.bytes.extend_from_slice(key);
        self.bytes[start..].rotate_right(key.len());
        self.ends.insert(i, start as u32);
        for end in &mut self.ends[i..] {
            *end = end
                .checked_add(len)
                .expect("a node splits long before 4 GiB of keys");
        }
    }

    pub(crate) fn push(&mut self, key: &[u8]) {
        self.insert(self.len(), key);
    }

    /// Keeps the first `at` keys and returns the others.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let start = self.start(at);
        let bytes = self.bytes.split_off(start);
        let ends = self
            .ends
            .split_off(at)
            .iter()
            .map(|end| end - start as u32)
            .collect();
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        Self { bytes, ends }
    }

    /// Adds keys that sort behind the present ones.
    pub(crate) fn append(&mut self, other: &Self) {
        let base = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| end + base));
    }

    /// Removes one key.
    pub(crate) fn remove(&mut self, i: usize) {
        let (start, end) = (self.start(i), self.ends[i] as usize);
        self.bytes.drain(start..end);
        self.ends.remove(i);
        for later in &mut self.ends[i..] {
            *later -= (end - start) as u32;
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.ends[i - 1] as usize }
    }
}

/// Makes room for `needed` more elements, and when that means to allocate, for `spare` more.
pub(crate) fn reserve<T>(vec: &mut Vec<T>, needed: usize, spare: usize) {
    if vec.capacity() - vec.len() < needed {
        vec.reserve_exact(needed.max(spare));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(keys: &PackedKeys) -> Vec<&[u8]> {
        (0..keys.len()).map(|i| keys.get(i)).collect()
    }

    #[test]
    fn keys_stay_sorted_and_whole() {
        let mut keys = PackedKeys::default();
        for key in [&b"m"[..], b"", b"zz", b"mm", b"a"] {
            let i = keys.search(key).unwrap_err();
            keys.insert(i, key);
        }
        assert_eq!(all(&keys), [&b""[..], b"a", b"m", b"mm", b"zz"]);
        assert_eq!((keys.search(b"mm"), keys.search(b"n")), (Ok(3), Err(4)));

        let mut right = keys.split_off(2);
        assert_eq!(
            (all(&keys), all(&right)),
            (vec![&b""[..], b"a"], vec![&b"m"[..], b"mm", b"zz"])
        );
        right.remove(1);
        keys.append(&right.copy(9));
        assert_eq!(all(&keys), [&b""[..], b"a", b"m", b"zz"]);
        assert_eq!(keys.byte_len(), 4);
    }
}
