//! `cargo xtask ci`: everything that continuous integration does, cheapest first.

use std::path::Path;

use anyhow::Result;

use crate::{check, e2e, shell, sim};

/// Runs all of it and stops at the first failure.
pub(crate) fn run(root: &Path) -> Result<()> {
    check::lint(root)?;
    // The same command that the README tells a newcomer.
    shell::run(shell::cargo(root).args(["test", "--workspace"]))?;
    sim::ci(root)?;
    e2e::run(root, &[])
}
