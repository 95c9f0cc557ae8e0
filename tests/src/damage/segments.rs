//! Whole segments of the log that are gone, or are where others should be.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::ward::{Ward, swap, used_segments};

/// Segments that a log has when something happens to one of them: it is neither the first nor the last.
const SEGMENTS: usize = 3;

/// covers: D-05, P-KV-03, P-M-05
pub(super) fn lost_and_exchanged(binary: &Path, folder: &Path) -> Result<()> {
    let mut ward = Ward::begin(binary, folder)?;
    ward.keep_logs()?;
    let lose = |segments: &[PathBuf]| Ok(std::fs::remove_file(&segments[1])?);
    strike(&mut ward, lose, "is missing")?;
    let exchange = |segments: &[PathBuf]| swap(&segments[0], &segments[1]);
    strike(&mut ward, exchange, "holds segment")?;
    ward.end()
}

/// Something happens to the segments of whoever leads, which heals.
fn strike(ward: &mut Ward, happen: impl Fn(&[PathBuf]) -> Result<()>, says: &str) -> Result<()> {
    let patient = ward.fill_segments(SEGMENTS)?;
    ward.kill(patient)?;
    happen(&used_segments(&ward.dir(patient).join("wal"))?)?;
    ward.work_a_while()?;
    ward.start(patient)?;
    ensure!(
        ward.log(patient)?.contains(says),
        "it does not say that something {says}"
    );
    Ok(())
}
