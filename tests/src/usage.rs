//! What a process has used so far, read from `/proc`.

use std::path::Path;

use anyhow::{Context, Result};

/// Resources of one process at one moment; differences of two give the use of a window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time of all threads, in microseconds.
    pub cpu_us: u64,
    /// Bytes that the process caused to be written to storage.
    pub written: u64,
}

/// Reads the counters of `pid`.
///
/// # Errors
/// When the process is gone or `/proc` is not mounted.
pub fn usage(pid: u32) -> Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("read stat")?;
    // The command name is in parentheses and may contain spaces: fields are counted behind it.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .context("stat has a command")?
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let written = std::fs::read_to_string(format!("/proc/{pid}/io"))
        .ok()
        .and_then(|io| field(&io, "write_bytes:"))
        .unwrap_or(0);
    Ok(Usage {
        cpu_us: ticks * 1_000_000 / rustix::param::clock_ticks_per_second(),
        written,
    })
}

/// The sum of the counters of `pids`.
///
/// # Errors
/// Like [`usage`].
pub fn usage_of_all(pids: &[u32]) -> Result<Usage> {
    let mut sum = Usage::default();
    for pid in pids {
        let one = usage(*pid)?;
        sum.cpu_us += one.cpu_us;
        sum.written += one.written;
    }
    Ok(sum)
}

/// Anonymous resident memory of `pid` in bytes: heap and stacks, without mapped files.
///
/// # Errors
/// When the process is gone or the kernel does not tell.
pub fn anonymous_memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("read status")?;
    let kib = field(&status, "RssAnon:").context("the kernel reports RssAnon")?;
    Ok(kib * 1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line[name.len()..].split_whitespace().next()?.parse().ok()
}

/// Disk space taken by the files under `dir`, in bytes, leaving out folders called `skip`.
///
/// # Errors
/// When a folder cannot be read.
pub fn disk_use(dir: &Path, skip: &str) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let entry = entry?;
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            if entry.file_name() != skip {
                total += disk_use(&entry.path(), skip)?;
            }
        } else {
            total += meta.blocks() * 512;
        }
    }
    Ok(total)
}
