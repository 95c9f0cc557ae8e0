//! Which file systems LMDB can live on.

use std::path::Path;

use super::directory::at;
use crate::Error;

/// Types of file systems whose files are on another machine, by their numbers in `statfs(2)`.
///
/// There a map is not kept in step with other writers, a lost server is a signal in the middle of a read, and locks may be
/// worth nothing.
const REMOTE: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
];

/// Refuses a directory on another machine.
pub(super) fn check_is_local(directory: &Path) -> Result<(), Error> {
    let statistics = rustix::fs::statfs(directory).map_err(at("ask for file system", directory))?;
    match remote_name(statistics.f_type as u32) {
        Some(name) => {
            let reason = format!("{name} is a remote file system, which LMDB does not support");
            Err(at("open store", directory)(reason))
        }
        None => Ok(()),
    }
}

/// Whether so many bytes can be written, with some to spare for others.
pub(super) fn has_room(directory: &Path, bytes: u64) -> Result<bool, Error> {
    let room = rustix::fs::statvfs(directory).map_err(at("ask for free space", directory))?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize) > bytes.saturating_add(SPARE_BYTES))
}

/// Room that a commit leaves free: other writers are between the question and the write.
const SPARE_BYTES: u64 = 16 << 20;

/// What a failed write says when its file system has no room: LMDB answers a write that was cut short with a plain
/// input/output error.
pub(super) fn name_full_disk(directory: &Path, error: heed::Error) -> BoxError {
    let is_full = rustix::fs::statvfs(directory)
        .is_ok_and(|room| room.f_bavail.saturating_mul(room.f_frsize) < FULL_BELOW_BYTES);
    if is_full {
        format!("no space left on device ({error})").into()
    } else {
        error.into()
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A write that found less room than this was cut short for want of it.
const FULL_BELOW_BYTES: u64 = 1 << 20;

/// All numbers have 32 bits, in a field whose width and sign depend on the machine.
fn remote_name(number: u32) -> Option<&'static str> {
    REMOTE
        .iter()
        .find(|(remote, _)| *remote == number)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: L-17
    #[test]
    fn remote_file_systems_are_known_by_number() {
        assert_eq!(remote_name(0x6969), Some("NFS"));
        assert_eq!(
            remote_name(i64::from(0xff53_4d42_u32 as i32) as u32),
            Some("CIFS")
        );
        assert_eq!(remote_name(0xef53), None, "ext4");
        check_is_local(&std::env::temp_dir()).unwrap();
        assert!(check_is_local(Path::new("/not/there")).is_err());
    }

    // covers: D-11
    #[test]
    fn room_is_asked_for_with_some_to_spare() {
        let here = std::env::temp_dir();
        assert!(!has_room(&here, u64::MAX).unwrap());
        assert!(!has_room(&here, 1 << 60).unwrap());
        assert!(has_room(Path::new("/not/there"), 0).is_err());
    }
}
