//! A member that began its log by itself is one that lives for the first time, or has lost everything: it says so to the
//! others until they have believed it. See `peer/newcomer.rs`.
//!
//! A file beside its log says that they have not, from before the log is begun.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::Error;
use crate::engine::Engine;
use crate::note_file::sync as sync_dir;
use crate::peer::Newcomer;

const FILE: &str = "newcomer";
/// Between two looks at who has believed it.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Notes, durably, that the log in this member's directory is going to be begun by itself.
///
/// # Errors
/// If the disk refuses.
pub(super) fn note(dir: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    options.open(dir.join(FILE))?.sync_all()?;
    sync_dir(dir)
}

/// Whether nobody has believed the member yet.
///
/// # Errors
/// If the disk does not tell.
pub(super) fn is_noted(dir: &Path) -> io::Result<bool> {
    fs::exists(dir.join(FILE))
}

/// Waits until so many others take this member for a newcomer that they are a majority with it. Whoever knows better stops
/// it.
///
/// # Errors
/// If the disk refuses to forget it.
pub(super) async fn introduce(
    engine: &Engine,
    newcomer: &Newcomer,
    dir: &Path,
) -> Result<(), Error> {
    if !newcomer.is_newcomer() {
        return Ok(());
    }
    while !is_believed(engine, newcomer) {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    let forgotten = fs::remove_file(dir.join(FILE)).and_then(|()| sync_dir(dir));
    forgotten
        .map_err(|source| Error::system(format!("remove {}", dir.join(FILE).display()), source))?;
    newcomer.settle();
    Ok(())
}

fn is_believed(engine: &Engine, newcomer: &Newcomer) -> bool {
    let members = &engine.cluster.load().members.present;
    let voters = members.values().filter(|member| !member.is_learner).count();
    // Before its log is applied, it does not know of any.
    members.contains_key(&engine.member.0) && newcomer.believers() + 1 > voters / 2
}
