//! Damaged disks: a member of three whose files are not what it wrote heals from the others, without an operator, under the
//! same identity, and nothing that was acknowledged is lost; so do two of five at the same time, and one whose files are an older
//! copy of what it wrote. One that has lost everything is not taken back. A commit to the backend that a loss of power has torn
//! is made good from the member's own log.
//!
//! Whole processes on loopback. Clients write through all members while one is down, its files are damaged, and it
//! comes back; at the end all members must hold every acknowledged write, and the same hash.

mod put_back;
mod segments;
mod torn;
pub(crate) mod ward;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use ward::{Ward, block_on, files, flip_in_the_middle, flip_values, rot, used_segments};

/// What to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// The server under test; ferrod if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
    /// Only stories whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
}

/// What a member says that heals while others cannot help it.
const WAITED: &str = "others are damaged too and wait";

type Story = (&'static str, fn(&Path, &Path) -> Result<()>);

const STORIES: &[Story] = &[
    ("a flipped bit in the log", flipped_log),
    ("rot in a log that is written", rot_while_running),
    ("segments lost and exchanged", segments::lost_and_exchanged),
    ("two of five logs", two_of_five),
    ("a flipped bit in the backend", flipped_backend),
    ("damage that is read while running", read_damage),
    ("damage and nobody to heal from", nobody_answers),
    ("damage again while healing", killed_while_healing),
    ("a wiped directory", wiped),
    ("a wiped directory and nobody to tell", wiped_unseen),
    ("an older copy", put_back::after_another_start),
    ("an older copy of the same start", put_back::within_a_start),
    ("an older copy of one of two", put_back::of_two),
    ("a torn commit", torn::commit),
];

/// Tells all chosen stories, each on a cluster of its own.
///
/// # Errors
/// When one found a fault; its data are kept.
pub fn run(options: &Options) -> Result<()> {
    let binary = match &options.subject {
        Some(path) => path.clone(),
        None => crate::binaries::ferrod()?,
    };
    for (name, story) in STORIES {
        if !options.only.is_empty() && !options.only.iter().any(|word| name.contains(word)) {
            continue;
        }
        let folder = tempfile::tempdir()?;
        if let Err(error) = story(&binary, folder.path()) {
            let kept = folder.keep();
            return Err(error).context(format!("{name}; data kept in {}", kept.display()));
        }
        println!("damage: {name}: ok");
    }
    Ok(())
}

/// covers: D-02, D-03, P-KV-03, P-KV-06, P-M-05
fn flipped_log(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    // The leader, whose acknowledgements counted most.
    let patient = block_on(ward.leader())?;
    ward.kill(patient)?;
    let segment = files(&ward.dir(patient).join("wal"), "")?.swap_remove(0);
    flip_in_the_middle(&segment)?;
    ward.work_a_while()?;
    ward.start(patient)?;
    found_and_kept(&ward, patient)?;
    ward.end()
}

/// A member has said that its log is damaged, and has put it aside.
fn found_and_kept(ward: &Ward, patient: usize) -> Result<()> {
    ensure!(
        ward.log(patient)?.contains("corrupt data in segment"),
        "it does not say what it found"
    );
    ensure!(
        ward.dir(patient).join("wal.damaged-1").exists(),
        "the damaged log was not kept"
    );
    Ok(())
}

/// A disk that rots under a running member, which does not look at what it wrote; its next start does.
///
/// covers: D-02, P-KV-03, P-M-05
fn rot_while_running(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.leader())?;
    let segment = used_segments(&ward.dir(patient).join("wal"))?.swap_remove(0);
    rot(&segment)?;
    ward.work_a_while()?;
    ward.kill(patient)?;
    ward.work_a_while()?;
    ward.start(patient)?;
    found_and_kept(&ward, patient)?;
    ward.end()
}

/// Each of two needs the answers of all others, and the other one has none: it says that it waits, too.
///
/// covers: D-02, P-KV-03, P-M-02, P-M-05
fn two_of_five(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::of(5, binary, folder)?;
    let leader = block_on(ward.leader())?;
    let patients = [leader, (leader + 1) % 5];
    for patient in patients {
        ward.kill(patient)?;
        let segment = files(&ward.dir(patient).join("wal"), "")?.swap_remove(0);
        flip_in_the_middle(&segment)?;
    }
    ward.work_a_while()?;
    let launched = patients.map(|patient| ward.launch(patient));
    for (patient, launched) in patients.into_iter().zip(launched) {
        ward.join(patient, launched?)?;
        found_and_kept(&ward, patient)?;
    }
    let logs = patients.map(|patient| ward.log(patient));
    let waited = |log: &Result<String>| log.as_ref().is_ok_and(|log| log.contains(WAITED));
    ensure!(logs.iter().any(waited), "none has healed beside the other");
    ward.end()
}

/// covers: D-06, P-KV-03, P-M-05
fn flipped_backend(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.follower())?;
    ward.stop(patient)?;
    flip_values(&ward.data_file(patient)?)?;
    ward.work_a_while()?;
    ward.start(patient)?;
    ensure!(
        ward.log(patient)?.contains("corrupt row"),
        "it does not say what it found"
    );
    ward.end()
}

/// A row that is damaged under a running member is not served: the member stops, and heals at its next start.
///
/// covers: D-06, P-KV-06, P-M-05
fn read_damage(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.follower())?;
    ward.quiet()?;
    ward.restart(patient)?;
    flip_values(&ward.data_file(patient)?)?;
    block_on(ward.read_until_refused(patient))?;
    ward.ends(patient)?;
    ensure!(
        ward.dir(patient).join("suspect").exists(),
        "it is not marked"
    );
    ward.start(patient)?;
    ward.end()
}

/// A damaged member changes nothing on its disk, and serves nobody, before the others can tell it how to heal.
///
/// covers: D-02, P-M-02, P-KV-06
fn nobody_answers(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.follower())?;
    ward.quiet()?;
    ward.kill_all()?;
    let segment = files(&ward.dir(patient).join("wal"), "")?.swap_remove(0);
    flip_in_the_middle(&segment)?;
    let before = std::fs::read(&segment)?;
    let mut launched = ward.launch(patient)?;
    ward.wait_for_line(patient, "cannot heal yet")?;
    let health = ward.health(patient)?;
    ensure!(health.contains("SUSPECT"), "its health is {health}");
    // With one more there is a majority, but not without the damaged one.
    let other = (patient + 1) % 3;
    let second = ward.launch(other)?;
    ward.wait_for_line(patient, "there is no leader that a majority confirms")?;
    ensure!(launched.is_running(), "it gave up");
    ensure!(
        std::fs::read(&segment)? == before,
        "the damaged file was touched"
    );
    ward.start((patient + 2) % 3)?;
    ward.join(other, second)?;
    ward.join(patient, launched)?;
    ward.end()
}

/// A member that dies while it heals goes on at its next start.
///
/// covers: D-02, P-M-05
fn killed_while_healing(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.follower())?;
    ward.kill(patient)?;
    let segment = files(&ward.dir(patient).join("wal"), "")?.swap_remove(0);
    flip_in_the_middle(&segment)?;
    for line in [
        "this member is suspect",
        "put damaged data aside",
        "restarting local member",
    ] {
        let launched = ward.launch(patient)?;
        ward.wait_for_line(patient, line)?;
        drop(launched);
    }
    ward.start(patient)?;
    ensure!(
        !ward.dir(patient).join("wal.damaged-2").exists(),
        "what was new was taken for damaged"
    );
    ward.end()
}

/// Who has lost everything may have promised anything, and knows of nothing: it is not taken back, whatever its flags say.
///
/// covers: D-18, P-M-02
fn wiped(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.follower())?;
    ward.kill(patient)?;
    for state in ["new", "existing"] {
        std::fs::remove_dir_all(ward.data_dir(patient))?;
        let text = ward.refuses(patient, &format!("--initial-cluster-state={state}"))?;
        ensure!(
            text.contains("has already been bootstrapped"),
            "{state}: {text}"
        );
        ensure!(
            !ward.dir(patient).join("wal").exists(),
            "{state}: a log was begun"
        );
        std::fs::create_dir_all(ward.data_dir(patient))?;
    }
    ward.end()
}

/// It starts while nobody is there who could tell, and takes itself for the member of a new cluster. The first who knows better
/// stops it, before anybody has heard its vote.
///
/// covers: D-18, P-M-02
fn wiped_unseen(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    let patient = block_on(ward.follower())?;
    ward.quiet()?;
    ward.kill_all()?;
    std::fs::remove_dir_all(ward.data_dir(patient))?;
    let first = ward.launch(patient)?;
    ward.wait_for_log(patient)?;
    drop(first);
    // What it takes itself for, it does not forget with its life.
    let again = ward.launch(patient)?;
    let others = [(patient + 1) % 3, (patient + 2) % 3];
    let launched = others.map(|other| ward.launch(other));
    for (other, launched) in others.into_iter().zip(launched) {
        ward.join(other, launched?)?;
    }
    let ended = again.wait();
    ensure!(ended.is_err(), "it was taken back");
    ward.wait_for_line(patient, "has already been bootstrapped")?;
    ward.end()
}
