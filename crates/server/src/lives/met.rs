//! The latest start of each other member that this one has met.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ferrod_node::MemberId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{BOOT_LEAP_MAX, Life, PutBack, Start};
use crate::note_file::{Found, NoteFile};

const FILE: NoteFile = NoteFile::named("met");

/// The latest start of each other member that this one has met.
#[derive(Debug)]
pub(crate) struct Met {
    dir: PathBuf,
    known: Mutex<Known>,
    /// Held while the file is written. Not needed to judge somebody who was met before.
    writing: Mutex<()>,
}

/// What is in the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    members: BTreeMap<u64, Start>,
}

/// What is to be thought of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// It was met in this start.
    Again,
    /// This is a later start.
    Later,
    /// It has forgotten one.
    PutBack(PutBack),
    /// No member has been started so often.
    Absurd,
}

impl Met {
    /// Whom the member in this directory has met. A damaged file is as none: whoever comes is met for the first time.
    ///
    /// # Errors
    /// If the disk does not tell.
    pub(crate) fn read(dir: &Path) -> io::Result<Met> {
        let known = match FILE.read(dir)? {
            Found::Whole(known) => known,
            Found::Nothing => Known::default(),
            Found::Damaged => {
                let path = FILE.path(dir);
                tracing::warn!(path = %path.display(), "what is known of the other members' starts is damaged; it begins anew");
                Known::default()
            }
        };
        Ok(Met {
            dir: dir.to_owned(),
            known: Mutex::new(known),
            writing: Mutex::new(()),
        })
    }

    /// Judges what a member tells of itself. Never waits.
    pub(crate) fn judge(&self, member: MemberId, life: &Life) -> Meeting {
        self.known.lock().judge(member, life)
    }

    /// Judges a member, and remembers it, durably, if this is a later start. Forgets whoever was `removed`: it never comes
    /// back.
    ///
    /// Waits for the disk.
    ///
    /// # Errors
    /// If the disk refuses, other than because it is full.
    pub(crate) fn remember(
        &self,
        member: MemberId,
        life: &Life,
        removed: impl Fn(MemberId) -> bool,
    ) -> io::Result<Meeting> {
        let _writing = self.writing.lock();
        let mut known = self.known.lock().clone();
        let meeting = known.judge(member, life);
        if let (Meeting::Later, Some(start)) = (meeting, life.start()) {
            known.members.insert(member.0, start);
            known.members.retain(|id, _| !removed(MemberId(*id)));
            match FILE.write(&self.dir, &known) {
                Ok(()) => {}
                // What is on disk is as before. A member must not be lost to the others for that, so it is known at least until this
                // one ends.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    tracing::warn!(%member, %error, "the start of another member is not remembered");
                }
                Err(error) => return Err(error),
            }
            *self.known.lock() = known;
        }
        Ok(meeting)
    }
}

impl Known {
    fn judge(&self, member: MemberId, life: &Life) -> Meeting {
        let met = self.members.get(&member.0).copied();
        let boot = met.map_or(0, |met| met.boot);
        match met {
            Some(met) if life.has_forgotten(met) => Meeting::PutBack(PutBack {
                told: life.boot,
                met: boot,
            }),
            Some(_) if life.boot == boot => Meeting::Again,
            _ if life.boot - boot > BOOT_LEAP_MAX => Meeting::Absurd,
            _ => Meeting::Later,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const B: MemberId = MemberId(2);
    const C: MemberId = MemberId(u64::MAX);

    fn meet(met: &Met, member: MemberId, life: &Life) -> Meeting {
        let meeting = met.remember(member, life, |_| false).unwrap();
        let again = met.judge(member, life);
        match meeting {
            Meeting::Later => assert_eq!(again, Meeting::Again),
            _ => assert_eq!(again, meeting),
        }
        meeting
    }

    /// covers: D-17, P-M-02
    #[test]
    fn the_latest_start_is_remembered_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let met = Met::read(dir.path()).unwrap();
        let first = Life::at(1, 11);
        let second = first.next(12);
        let forgotten = Meeting::PutBack(PutBack { told: 1, met: 2 });
        assert_eq!(meet(&met, B, &first), Meeting::Later);
        assert_eq!(meet(&met, B, &second), Meeting::Later);
        assert_eq!(meet(&met, B, &second), Meeting::Again);
        assert_eq!(meet(&met, B, &first), forgotten);
        assert_eq!(meet(&met, C, &first), Meeting::Later);
        let met = Met::read(dir.path()).unwrap();
        assert_eq!(meet(&met, B, &first), forgotten);
        assert_eq!(meet(&met, B, &second), Meeting::Again);
        assert_eq!(meet(&met, C, &first), Meeting::Again);
        // Another process with the same count, in either order.
        let other = Meeting::PutBack(PutBack { told: 2, met: 2 });
        assert_eq!(meet(&met, B, &first.next(99)), other);
    }

    /// covers: D-17
    #[test]
    fn who_was_removed_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let met = Met::read(dir.path()).unwrap();
        meet(&met, B, &Life::at(5, 1));
        met.remember(C, &Life::at(5, 1), |member| member == B)
            .unwrap();
        let met = Met::read(dir.path()).unwrap();
        assert_eq!(met.judge(B, &Life::at(1, 1)), Meeting::Later);
        assert_eq!(met.judge(C, &Life::at(5, 1)), Meeting::Again);
    }

    /// covers: D-17, S-04
    #[test]
    fn one_lie_does_not_use_up_all_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let met = Met::read(dir.path()).unwrap();
        meet(&met, B, &Life::at(5, 1));
        let lie = Life::at(6 + BOOT_LEAP_MAX, 1);
        assert_eq!(meet(&met, B, &lie), Meeting::Absurd);
        assert_eq!(meet(&met, B, &Life::at(6, 2)), Meeting::Later);
    }

    /// covers: D-17
    #[test]
    fn a_damaged_memory_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let met = Met::read(dir.path()).unwrap();
        meet(&met, B, &Life::at(5, 1));
        fs::write(FILE.path(dir.path()), "ferrod met 1 ").unwrap();
        let met = Met::read(dir.path()).unwrap();
        assert_eq!(met.judge(B, &Life::at(1, 1)), Meeting::Later);
    }
}
