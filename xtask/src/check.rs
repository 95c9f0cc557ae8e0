//! `cargo xtask check`: the fast loop.

use std::path::Path;

use anyhow::Result;

use crate::{codegen, deps, shell, tidy};

/// Format, generated code, lints, arrows, leftovers, unit tests.
pub(crate) fn run(root: &Path) -> Result<()> {
    lint(root)?;
    shell::run(shell::cargo(root).args(["test", "--quiet", "--workspace", "--lib", "--bins"]))
}

/// Everything that runs no test.
pub(crate) fn lint(root: &Path) -> Result<()> {
    shell::run(shell::cargo(root).args(["fmt", "--all", "--check"]))?;
    codegen::run(root, true)?;
    deps::run(root, false)?;
    tidy::run(root)?;
    shell::run(shell::cargo(root).args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}
