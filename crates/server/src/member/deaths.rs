//! Starts that did not end in good order, and what they say about the disk.
//!
//! LMDB maps its file: a page that the disk cannot read, or one that leads astray, ends in a signal that nobody may go on
//! from, and the next start may run into the same. So each start leaves its time in a file, and an end in good order
//! removes the file. Who finds two deaths within ten minutes has its backend judged page by page before LMDB maps it. That
//! reads the whole file once more, which a member that is killed again and again by something else can afford.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FILE: &str = "deaths";
const WITHIN: Duration = Duration::from_secs(600);
/// So many are remembered.
const KEPT: usize = 8;

/// Notes that a member starts; returns how many earlier starts within ten minutes did not end in good order.
///
/// # Errors
/// If the note cannot be read or written.
pub(super) fn note_start(dir: &Path, now: SystemTime) -> io::Result<usize> {
    let path = dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // What is no text tells of no deaths.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidData
            ) =>
        {
            String::new()
        }
        Err(error) => return Err(error),
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let recent = |then: &u64| now.abs_diff(*then) <= WITHIN.as_secs();
    let earlier = text
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(recent);
    let mut starts: Vec<u64> = earlier.collect();
    let deaths = starts.len();
    starts.push(now);
    let kept = starts.iter().rev().take(KEPT).rev();
    // Not synced: who dies by a signal leaves the page cache behind, and a loss of power is no such death.
    fs::write(
        &path,
        kept.map(|start| format!("{start}\n")).collect::<String>(),
    )?;
    Ok(deaths)
}

/// Notes that a member ends in good order.
pub(super) fn note_end(dir: &Path) {
    // If it stays, a later start is more careful than it has to be.
    let _stays = fs::remove_file(dir.join(FILE));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: D-08
    #[test]
    fn deaths_are_counted_for_ten_minutes_and_until_a_good_end() {
        let dir = tempfile::tempdir().unwrap();
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        let start = |seconds: u64| note_start(dir.path(), at(seconds)).unwrap();
        assert_eq!(start(0), 0);
        assert_eq!(start(100), 1);
        assert_eq!(start(200), 2);
        assert_eq!(start(650), 2);
        note_end(dir.path());
        assert_eq!(start(660), 0);
        for second in 0..50 {
            start(661 + second);
        }
        assert_eq!(start(720), KEPT);
        fs::write(dir.path().join(FILE), [0xff, 0xfe]).unwrap();
        assert_eq!(start(721), 0);
    }
}
