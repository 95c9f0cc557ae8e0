//! What the index knows of one change of a key.

use crate::{RecordKey, Revision};

/// One change of a key, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) main: i64,
    /// Main revision that began the generation; 0 for a tombstone.
    pub(crate) create: i64,
    /// 0 for a tombstone.
    pub(crate) version: i64,
    pub(crate) sub: u32,
}

impl Record {
    /// A put that follows `newest`, the key's newest record.
    pub(crate) fn put(revision: Revision, newest: Option<&Record>) -> Self {
        let Revision { main, sub } = revision;
        match newest.filter(|record| !record.is_tombstone()) {
            Some(alive) => Self {
                main,
                sub,
                create: alive.create,
                version: alive.version + 1,
            },
            None => Self {
                main,
                sub,
                create: main,
                version: 1,
            },
        }
    }

    pub(crate) fn tombstone(revision: Revision) -> Self {
        Self {
            main: revision.main,
            sub: revision.sub,
            create: 0,
            version: 0,
        }
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    /// The key of the record's row.
    pub(crate) fn key(&self) -> RecordKey {
        RecordKey {
            revision: self.revision(),
            tombstone: self.is_tombstone(),
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision {
            main: self.main,
            sub: self.sub,
        }
    }
}
