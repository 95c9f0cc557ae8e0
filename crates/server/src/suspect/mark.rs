//! The mark of a suspect member: a small file beside its log and its backend.
//!
//! The file is there from the moment damage is found until the member is healed, so it survives every restart. One that
//! does not check out says nothing but that the member is suspect, which is enough: forgetting the rest only means that the
//! peers are asked again.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::note_file::{Found, NoteFile};

const FILE: NoteFile = NoteFile::named("suspect");

/// What is known of a suspect member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// What was found, for a person.
    pub(crate) reason: String,
    /// How the peers said it can heal, once they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Plan>,
}

/// How a suspect member heals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Whose log the new one is.
    pub(crate) cluster: u64,
    pub(crate) member: u64,
    /// No term that this member may have promised anything in is above this one.
    pub(crate) term: u64,
    /// No entry that this member may have acknowledged, and that is committed, is above this index.
    pub(crate) until: u64,
    /// Of the directories in which the damaged files are kept.
    pub(crate) number: u32,
    /// They are there: what is now in their place is new.
    pub(crate) aside: bool,
}

impl Mark {
    /// The mark in a member's directory, if it is suspect.
    ///
    /// # Errors
    /// If nobody can tell.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Mark>> {
        Ok(match FILE.read(dir)? {
            Found::Whole(mark) => Some(mark),
            Found::Damaged => Some(Mark {
                reason: "the mark of a suspect member is damaged itself".to_owned(),
                plan: None,
            }),
            Found::Nothing => None,
        })
    }

    /// Makes the mark durable, in place of an earlier one.
    ///
    /// # Errors
    /// If the disk refuses; the earlier one is still there then, or this one is.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        FILE.write(dir, self)
    }

    /// Removes the mark, durably: the member is healed.
    ///
    /// # Errors
    /// If the disk refuses; the member is suspect at its next start then, and heals again.
    pub(crate) fn clear(dir: &Path) -> io::Result<()> {
        FILE.remove(dir)
    }
}

/// Where the mark of the member in this directory is, or would be.
pub(crate) fn path(dir: &Path) -> PathBuf {
    FILE.path(dir)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mark() -> Mark {
        Mark {
            reason: "corrupt data in segment 1 at byte 4711".to_owned(),
            plan: Some(Plan {
                cluster: u64::MAX,
                member: 2,
                term: 3,
                until: 4,
                number: 1,
                aside: true,
            }),
        }
    }

    /// covers: D-02, P-M-05
    #[test]
    fn it_stays_until_it_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Mark::read(dir.path()).unwrap(), None);
        mark().write(dir.path()).unwrap();
        assert_eq!(Mark::read(dir.path()).unwrap(), Some(mark()));
        let later = Mark {
            plan: None,
            ..mark()
        };
        later.write(dir.path()).unwrap();
        assert_eq!(Mark::read(dir.path()).unwrap(), Some(later));
        Mark::clear(dir.path()).unwrap();
        assert_eq!(Mark::read(dir.path()).unwrap(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// Whatever happens to the file, it does not turn the member into a trusted one, nor send it after a wrong plan.
    ///
    /// covers: P-M-05
    #[test]
    fn a_damaged_mark_is_still_a_mark() {
        let dir = tempfile::tempdir().unwrap();
        mark().write(dir.path()).unwrap();
        let whole = fs::read(path(dir.path())).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x04;
            fs::write(path(dir.path()), &bytes).unwrap();
            let read = Mark::read(dir.path()).unwrap().expect("still suspect");
            assert_eq!(read.plan, None, "byte {at}");
            fs::write(path(dir.path()), &whole[..at]).unwrap();
            let read = Mark::read(dir.path()).unwrap().expect("still suspect");
            assert_eq!(read.plan, None, "cut at {at}");
        }
    }
}
