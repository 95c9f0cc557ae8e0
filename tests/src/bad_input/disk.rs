//! What is wrong on the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::operator::{ends, refuses, text};
use super::{Ended, Ground, block_on, check_kept, put};
use crate::damage::ward::{add_absent_learner, put_bulk, swap, used_segments};
use crate::member::{Member, Setup};
use crate::wire::Wire;

/// Keys that are there before something breaks.
const KEYS: usize = 200;

pub(super) fn foreign_directory(ground: &Ground) -> Result<Ended> {
    let Ok(etcd) = crate::binaries::etcd("etcd") else {
        return Ok(Ended::Skipped(
            "no etcd here: run `cargo xtask install etcd`".to_owned(),
        ));
    };
    let theirs = Setup::new(&etcd, &ground.path().join("member"))?;
    let member = theirs.start()?;
    fill(&member, 3)?;
    member.stop()?;
    let before = contents(&theirs.data_dir())?;
    let output = ends(&mut ground.setup()?.command())?;
    refuses(&output, &["etcd", "foreign", "not a ferrod", "unknown"])?;
    ensure!(
        before == contents(&theirs.data_dir())?,
        "the files of the other program were touched"
    );
    Ok(Ended::Passed)
}

pub(super) fn directory_is_a_file(ground: &Ground) -> Result<Ended> {
    let setup = ground.setup()?;
    std::fs::write(setup.data_dir(), "a file")?;
    let output = ends(&mut setup.command())?;
    refuses(&output, &["directory", "file exists"])?;
    ensure!(
        std::fs::read_to_string(setup.data_dir())? == "a file",
        "the file was touched"
    );
    Ok(Ended::Passed)
}

/// Damage in the middle of what was synced is reported with its place, and the file stays as it is.
pub(super) fn flipped_bit(ground: &Ground) -> Result<Ended> {
    let setup = ground.setup()?;
    let segment = stopped_with_log(&setup)?;
    let mut bytes = std::fs::read(&segment)?;
    let used = bytes
        .iter()
        .rposition(|b| *b != 0)
        .context("the log is not empty")?;
    bytes[used / 2] ^= 0x10;
    std::fs::write(&segment, &bytes)?;
    let output = ends(&mut setup.command())?;
    let name = segment.file_name().unwrap_or_default().to_string_lossy();
    refuses(&output, &["corrupt", "checksum", "damage", "crc"])?;
    for word in [&*name, "at byte"] {
        ensure!(
            text(&output).contains(word),
            "{word:?} is not named: {}",
            text(&output)
        );
    }
    ensure!(
        std::fs::read(&segment)? == bytes,
        "the damaged file was touched"
    );
    Ok(Ended::Passed)
}

/// Of a sole voter nobody can tell what was in a segment that is gone, or which of two is which.
///
/// covers: D-05
pub(super) fn lost_segment(ground: &Ground) -> Result<Ended> {
    let setup = ground.setup()?;
    let wal = setup.data_dir().join("member/wal");
    let member = setup.start()?;
    fill(&member, KEYS)?;
    block_on(add_absent_learner(&setup))?;
    while used_segments(&wal)?.len() < 3 {
        block_on(put_bulk(&setup))?;
    }
    member.kill()?;
    let segments = used_segments(&wal)?;
    let aside = ground.path().join("aside");
    std::fs::rename(&segments[1], &aside)?;
    refuses_as_it_is(&setup, &["missing"])?;
    std::fs::rename(&aside, &segments[1])?;
    swap(&segments[1], &segments[2])?;
    refuses_as_it_is(&setup, &["holds segment"])?;
    swap(&segments[1], &segments[2])?;
    let mut member = setup.start()?;
    block_on(check_kept(&mut member, KEYS))?;
    Ok(Ended::Passed)
}

/// A start fails for a reason with one of these words, and leaves the log alone.
fn refuses_as_it_is(setup: &Setup, words: &[&str]) -> Result<()> {
    let wal = setup.data_dir().join("member/wal");
    let before = contents(&wal)?;
    refuses(&ends(&mut setup.command())?, words)?;
    ensure!(before == contents(&wal)?, "the damaged log was touched");
    Ok(())
}

/// A log that is cut in its middle has lost synced records: nothing may be served in their place.
pub(super) fn cut_log(ground: &Ground) -> Result<Ended> {
    let setup = ground.setup()?;
    let segment = stopped_with_log(&setup)?;
    let bytes = std::fs::read(&segment)?;
    let used = bytes
        .iter()
        .rposition(|b| *b != 0)
        .context("the log is not empty")?;
    std::fs::OpenOptions::new()
        .write(true)
        .open(&segment)?
        .set_len(used as u64 / 2)?;
    let output = ends(&mut setup.command())?;
    refuses(
        &output,
        &[
            "corrupt",
            "missing",
            "short",
            "damage",
            "cut",
            "truncated",
            "end of",
        ],
    )?;
    Ok(Ended::Passed)
}

/// Fills a small disk until the member refuses, then makes room and counts what was acknowledged.
pub(super) fn full_disk(ground: &Ground) -> Result<Ended> {
    let folder = ground.path().join("member");
    std::fs::create_dir_all(&folder)?;
    let disk = match SmallDisk::mount(&folder, "160m") {
        Ok(disk) => disk,
        Err(reason) => {
            return Ok(Ended::Skipped(format!(
                "no small disk can be mounted: {reason:#}"
            )));
        }
    };
    let setup = ground.setup()?;
    let mut member = setup.start()?;
    let acknowledged = block_on(fill_up(&member))?;
    ensure!(acknowledged > 0, "nothing fits on the disk");
    let mut member = if member.is_running() {
        // It refuses what needs room, and goes on by itself once there is some.
        disk.grow("600m")?;
        block_on(takes_puts_again(&member))?;
        member
    } else {
        let log = setup.log_tail(10);
        ensure!(
            log.to_lowercase().contains("no space"),
            "the reason is not in its log: {log}"
        );
        disk.grow("600m")?;
        setup.start().context("start with room again")?
    };
    block_on(check_kept(&mut member, acknowledged))?;
    member.stop()?;
    drop(disk);
    Ok(Ended::Passed)
}

/// Puts until the member refuses or is gone; the number of acknowledged keys.
async fn fill_up(member: &Member) -> Result<usize> {
    const ENOUGH: usize = 100_000;
    let wire = Wire::connect(&member.setup().endpoint()).await?;
    for number in 0..ENOUGH {
        let limit = std::time::Duration::from_secs(20);
        match tokio::time::timeout(limit, put(&wire, number)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(number),
        }
    }
    anyhow::bail!("{ENOUGH} puts fit on the small disk")
}

/// Waits until the member has noticed that there is room.
async fn takes_puts_again(member: &Member) -> Result<()> {
    let limit = std::time::Duration::from_secs(30);
    let wire = Wire::connect(&member.setup().endpoint()).await?;
    crate::clock::poll(limit, async || put(&wire, 0).await.ok())
        .await
        .context("it refuses puts although there is room again")
}

/// A stopped member with keys, and the last segment of its log.
fn stopped_with_log(setup: &Setup) -> Result<PathBuf> {
    let member = setup.start()?;
    fill(&member, KEYS)?;
    // Killed, so that nothing is tidied away.
    member.kill()?;
    let folder = setup.data_dir().join("member/wal");
    let mut segments: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(|| format!("read {}", folder.display()))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()?;
    segments.sort();
    let holds_data = |path: &PathBuf| std::fs::read(path).is_ok_and(|b| b.iter().any(|b| *b != 0));
    segments
        .into_iter()
        .rfind(holds_data)
        .context("the log has a segment with data")
}

fn fill(member: &Member, keys: usize) -> Result<()> {
    block_on(async {
        let wire = Wire::connect(&member.setup().endpoint()).await?;
        for number in 0..keys {
            put(&wire, number).await?;
        }
        Ok(())
    })
}

/// All files under a folder.
fn contents(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(contents(&path)?);
        } else {
            all.insert(path.clone(), std::fs::read(&path)?);
        }
    }
    Ok(all)
}

/// A file system in memory, unmounted when dropped.
#[derive(Debug)]
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Result<Self> {
        mount(
            &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"],
            folder,
        )?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn grow(&self, size: &str) -> Result<()> {
        mount(&["-o", &format!("remount,size={size}")], &self.folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that still ends must not keep the test from ending.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

fn mount(args: &[&str], folder: &Path) -> Result<()> {
    let output = Command::new("mount").args(args).arg(folder).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
