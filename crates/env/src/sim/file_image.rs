//! A file as readers see it, and as it is on the platter.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::Loss;

/// What a device writes as a whole, if nothing tears it.
const SECTOR_BYTES: usize = 512;

/// How many states between two syncs a sector remembers; older ones are forgotten first.
const STATES_MAX: usize = 4;

type Sector = [u8; SECTOR_BYTES];

/// A file's two images and what differs.
#[derive(Debug, Clone, Default)]
pub(super) struct FileImage {
    /// What readers see.
    pub(super) bytes: Vec<u8>,
    /// What survives.
    durable: Vec<u8>,
    /// Sectors written since the last sync, with each state they went through.
    dirty: BTreeMap<usize, Vec<Sector>>,
}

impl FileImage {
    pub(super) fn write(&mut self, buf: &[u8], offset: usize) {
        let end = offset + buf.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(buf);
        for number in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let state = sector(&self.bytes, number);
            let states = self.dirty.entry(number).or_default();
            if states.len() == STATES_MAX {
                states.remove(0);
            }
            states.push(state);
        }
    }

    /// Extends with zeros. A sector of zeros that is lost with the length kept reads as zeros too.
    pub(super) fn extend(&mut self, len: usize) {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.bytes.len(), 0);
        for &number in self.dirty.keys() {
            put(&mut self.durable, number, &sector(&self.bytes, number));
        }
        self.dirty.clear();
    }

    /// A sync that fails: some of it is done, the rest is forgotten, and the cache looks right.
    pub(super) fn sync_badly(&mut self, rng: &mut Rng) {
        let seen = self.bytes.clone();
        self.lose(Loss::Subset, rng);
        self.bytes = seen;
    }

    /// Reads come from the device again, but for what is still to be written.
    pub(super) fn drop_cache(&mut self) {
        let len = self.bytes.len();
        self.bytes.clone_from(&self.durable);
        self.bytes.resize(len, 0);
        for (&number, states) in &self.dirty {
            put(&mut self.bytes, number, &states[states.len() - 1]);
        }
    }

    /// Power is lost.
    pub(super) fn lose(&mut self, loss: Loss, rng: &mut Rng) {
        match loss {
            Loss::Process => return,
            Loss::Keep => self.sync(),
            Loss::Drop => {}
            Loss::Subset | Loss::Torn => self.keep_some(loss == Loss::Torn, rng),
        }
        self.dirty.clear();
        self.bytes.clone_from(&self.durable);
    }

    /// Damages one bit wherever it is.
    pub(super) fn flip(&mut self, offset: usize, bit: u8) {
        self.bytes[offset] ^= 1 << bit;
        if let Some(byte) = self.durable.get_mut(offset) {
            *byte ^= 1 << bit;
        }
        for state in self
            .dirty
            .get_mut(&(offset / SECTOR_BYTES))
            .into_iter()
            .flatten()
        {
            state[offset % SECTOR_BYTES] ^= 1 << bit;
        }
    }

    /// Cuts both images.
    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.durable.truncate(len);
        self.dirty.clear();
    }

    fn keep_some(&mut self, torn: bool, rng: &mut Rng) {
        let (low, high) = (self.durable.len(), self.bytes.len());
        let len = match rng.u8(0..4) {
            0 => low,
            1 => rng.usize(low.min(high)..=low.max(high)),
            _ => high,
        };
        self.durable.resize(len.max(low), 0);
        for (&number, states) in &self.dirty {
            let mut history = vec![sector(&self.durable, number)];
            history.extend_from_slice(states);
            let kept = rng.usize(0..history.len());
            let mut state = history[kept];
            if torn && rng.bool() && kept > 0 {
                tear(&mut state, &history[kept - 1], rng);
            }
            put(&mut self.durable, number, &state);
        }
    }
}

/// Makes the first or the last bytes of a sector those of its earlier state.
fn tear(state: &mut Sector, before: &Sector, rng: &mut Rng) {
    let at = rng.usize(0..SECTOR_BYTES);
    let old = if rng.bool() { 0..at } else { at..SECTOR_BYTES };
    state[old.clone()].copy_from_slice(&before[old]);
}

fn sector(image: &[u8], number: usize) -> Sector {
    let mut out = [0; SECTOR_BYTES];
    let start = number * SECTOR_BYTES;
    if start < image.len() {
        let end = image.len().min(start + SECTOR_BYTES);
        out[..end - start].copy_from_slice(&image[start..end]);
    }
    out
}

fn put(image: &mut [u8], number: usize, state: &Sector) {
    let start = number * SECTOR_BYTES;
    if start < image.len() {
        let end = image.len().min(start + SECTOR_BYTES);
        image[start..end].copy_from_slice(&state[..end - start]);
    }
}
