//! What another judge says: etcd's own, from its robustness tests, built by `cargo xtask install judge`.
//!
//! Ours knows all requests and is fast; this one was written by others, searches for an order instead of trusting the
//! revisions, and knows the promises from etcd's side. Where it is missing the suite says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::check::Timeline;
use crate::check::history::Operation;
use crate::check::report;
use crate::check::watch::Subscription;

/// The judge, and what it has been asked so far.
pub(super) struct Foreign {
    program: PathBuf,
    /// Whether it has found a mistake that was made on purpose.
    pub(super) proved: bool,
    pub(super) judged: usize,
}

impl Foreign {
    /// The judge, if it is installed.
    pub(super) fn find() -> Option<Foreign> {
        let program = crate::binaries::target_dir().join("tools/judge/judge");
        program.exists().then_some(Foreign {
            program,
            proved: false,
            judged: 0,
        })
    }

    /// Has a report judged; the first one once more, with a mistake in it that must be found.
    ///
    /// covers: C-01, C-12
    pub(super) fn judge(&mut self, report: &Path) -> Result<()> {
        println!("{}", self.ask(report, false)?);
        self.judged += 1;
        if !self.proved {
            let spoilt = tempfile::tempdir()?;
            spoil(report, spoilt.path())?;
            let verdict = self.ask(spoilt.path(), true)?;
            println!("{verdict} (one event was taken away)");
            self.proved = true;
        }
        Ok(())
    }

    fn ask(&self, report: &Path, guilty: bool) -> Result<String> {
        let mut ask = Command::new(&self.program);
        if guilty {
            ask.arg("-guilty");
        }
        let output = ask.arg(report).output().context("ask etcd's judge")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let said = said.lines().last().unwrap_or_default().to_owned();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("{said} {}: {}", output.status, complaint.trim());
        }
        Ok(format!("         {said}"))
    }
}

/// Writes a report to an empty folder, in place of what may be there.
pub(super) fn write(
    folder: &Path,
    operations: &[Operation],
    subscriptions: &[Subscription],
    timeline: &Timeline,
) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    report::write(folder, operations, subscriptions, timeline)
        .with_context(|| format!("write the report {}", folder.display()))
}

/// Copies a report without one event in the middle of a watch.
fn spoil(report: &Path, to: &Path) -> Result<()> {
    let mut spoilt = false;
    for entry in std::fs::read_dir(report)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
            continue;
        }
        let folder = to.join(entry.file_name());
        std::fs::create_dir_all(&folder)?;
        for file in std::fs::read_dir(entry.path())? {
            let file = file?;
            let mut text = std::fs::read_to_string(file.path())?;
            if file.file_name() == "watch.json" && !spoilt {
                let watches: Result<Vec<Value>, _> =
                    text.lines().map(serde_json::from_str).collect();
                let mut watches = watches?;
                spoilt = watches.iter_mut().any(take_event_away);
                let lines = watches.iter().map(|watch| format!("{watch}\n"));
                text = lines.collect();
            }
            std::fs::write(folder.join(file.file_name()), text)?;
        }
    }
    ensure!(spoilt, "no watch heard of three changes");
    Ok(())
}

/// Takes the second of three responses with events away.
fn take_event_away(watch: &mut Value) -> bool {
    let Some(responses) = watch["Responses"].as_array_mut() else {
        return false;
    };
    let with_events: Vec<usize> = (0..responses.len())
        .filter(|n| responses[*n]["Events"].is_array())
        .collect();
    match with_events[..] {
        [_, second, _, ..] => {
            responses.remove(second);
            true
        }
        _ => false,
    }
}
