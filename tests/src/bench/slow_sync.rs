//! The disk that takes its time: see `tests/native/slow_sync.c`.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Builds the program at `path` and returns how to launch another by it, whose syncs then begin `delay_ms` late.
pub(crate) fn launcher(path: &Path, delay_ms: u32) -> Result<Vec<OsString>> {
    let source = crate::binaries::workspace().join("tests/native/slow_sync.c");
    let built = Command::new("cc")
        .args(["-O2", "-Wall", "-o"])
        .arg(path)
        .arg(&source)
        .status()
        .context("run cc, the C compiler")?;
    ensure!(built.success(), "building {} failed", source.display());
    Ok(vec![path.into(), delay_ms.to_string().into()])
}
