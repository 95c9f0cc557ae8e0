//! Which errors tell of damage.
//!
//! A disk that is full, a file that may not be read, a version that is not known: with these nothing is wrong with the
//! data. Whoever heals from others must not do so for these.

use std::error::Error;
use std::io::{self, ErrorKind};

use heed::MdbError;

use super::pages::Damage;

/// Whether this link of a chain of errors says that a file is not what was written.
pub(super) fn is_told_by(link: &(dyn Error + 'static)) -> bool {
    if let Some(damage) = link.downcast_ref::<Damage>() {
        return match damage {
            Damage::Io(error) => is_lost(error),
            Damage::NotLmdb | Damage::Page { .. } | Damage::Tree { .. } | Damage::Row(_) => true,
        };
    }
    match link.downcast_ref::<heed::Error>() {
        Some(heed::Error::Mdb(error)) => is_broken(error),
        Some(heed::Error::Io(error)) => is_lost(error),
        Some(_) => false,
        None => link.downcast_ref::<io::Error>().is_some_and(is_lost),
    }
}

/// What LMDB finds in its file, other than what it was asked to do wrongly.
fn is_broken(error: &MdbError) -> bool {
    matches!(
        error,
        MdbError::Corrupted
            | MdbError::PageNotFound
            | MdbError::Invalid
            | MdbError::NotFound
            | MdbError::Panic
            | MdbError::CursorFull
    )
}

/// A file is gone or too short, or the disk cannot read it.
fn is_lost(error: &io::Error) -> bool {
    const EIO: i32 = rustix::io::Errno::IO.raw_os_error();
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidData
    ) || error.raw_os_error() == Some(EIO)
}
