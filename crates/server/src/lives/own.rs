//! This member's own starts.

use std::io;
use std::path::{Path, PathBuf};

use ferrod_env::{Random, RealRandom};
use parking_lot::Mutex;

use super::{BOOT_MAX, Life};
use crate::note_file::{Found, NoteFile};

const FILE: NoteFile = NoteFile::named("boots");

/// This member's own starts.
#[derive(Debug)]
pub(crate) struct OwnLife {
    dir: PathBuf,
    random: RealRandom,
    life: Mutex<Life>,
}

impl OwnLife {
    /// Counts another start of the member in this directory, durably. Nobody must have heard of it yet.
    ///
    /// A directory without the file is one of a member that did not count so far, or a new one. One whose file is damaged begins
    /// anew too: if it has met anybody, it will be told.
    ///
    /// # Errors
    /// If the disk refuses, or there is no randomness.
    pub(crate) fn begin(dir: &Path) -> io::Result<OwnLife> {
        let random = RealRandom::new()?;
        let nonce = random.next_u64();
        let life = match FILE.read::<Life>(dir)? {
            Found::Whole(past) if past.is_sound() => past.next(nonce),
            Found::Nothing => Life::at(1, nonce),
            Found::Whole(_) | Found::Damaged => {
                let path = FILE.path(dir);
                tracing::warn!(path = %path.display(), "the count of this member's starts is damaged; it begins anew");
                Life::at(1, nonce)
            }
        };
        FILE.write(dir, &life)?;
        Ok(OwnLife {
            dir: dir.to_owned(),
            random,
            life: Mutex::new(life),
        })
    }

    /// What others are told.
    pub(crate) fn current(&self) -> Life {
        self.life.lock().clone()
    }

    /// Which start this is.
    pub(crate) fn boot(&self) -> u64 {
        self.life.lock().boot
    }

    /// A suspect member takes its place, durably, behind a start that others have met. Nothing happens if it is told by now
    /// of a later one than `told`.
    ///
    /// Waits for the disk.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn rise(&self, told: u64, met: u64) -> io::Result<()> {
        let mut life = self.life.lock();
        let boot = told.max(met).saturating_add(1);
        if life.boot != told || boot >= BOOT_MAX {
            return Ok(());
        }
        let risen = Life::at(boot, self.random.next_u64());
        FILE.write(&self.dir, &risen)?;
        *life = risen;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// covers: D-17
    #[test]
    fn each_start_counts_and_none_is_like_another() {
        let dir = tempfile::tempdir().unwrap();
        let first = OwnLife::begin(dir.path()).unwrap().current();
        let second = OwnLife::begin(dir.path()).unwrap().current();
        assert_eq!((first.boot, second.boot), (1, 2));
        assert!(!second.has_forgotten(first.start().unwrap()));
        assert!(first.has_forgotten(second.start().unwrap()));
        // The first again, from a copy.
        FILE.write(dir.path(), &first).unwrap();
        let other = OwnLife::begin(dir.path()).unwrap().current();
        assert_eq!(other.boot, 2);
        assert!(other.has_forgotten(second.start().unwrap()));
    }

    /// covers: D-17
    #[test]
    fn it_rises_above_what_others_have_met_once() {
        let dir = tempfile::tempdir().unwrap();
        let own = OwnLife::begin(dir.path()).unwrap();
        let before = own.current();
        own.rise(1, 9).unwrap();
        assert_eq!(own.boot(), 10);
        // A refusal of what was told before the first one.
        own.rise(1, 20).unwrap();
        assert_eq!(own.boot(), 10);
        // Numbers that no member reaches.
        own.rise(10, u64::MAX).unwrap();
        assert_eq!(own.boot(), 10);
        assert!(!own.current().has_forgotten(before.start().unwrap()));
        let next = OwnLife::begin(dir.path()).unwrap().current();
        assert_eq!(next.boot, 11);
        assert!(!next.has_forgotten(own.current().start().unwrap()));
    }

    /// covers: D-17, P-M-05
    #[test]
    fn a_damaged_count_is_a_low_one() {
        let dir = tempfile::tempdir().unwrap();
        OwnLife::begin(dir.path()).unwrap();
        OwnLife::begin(dir.path()).unwrap();
        let path = FILE.path(dir.path());
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x04;
            fs::write(&path, bytes).unwrap();
            assert_eq!(OwnLife::begin(dir.path()).unwrap().boot(), 1, "byte {at}");
        }
    }
}
