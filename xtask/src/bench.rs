//! `cargo xtask bench`: builds the server and the load generator for speed and runs them.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::install::{self, Tool};
use crate::shell;

/// Passes `args` on to the benchmark.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let mut build = shell::cargo(root);
    build.args([
        "build",
        "--release",
        "--quiet",
        "--package=ferrod-tests",
        "--bin=bench",
    ]);
    build.arg("--package=ferrod").arg("--bin=ferrod");
    shell::run(&mut build)?;
    let needs_etcd = !args
        .iter()
        .any(|a| a.starts_with("--peer") || a == "--help" || a == "--list");
    if needs_etcd {
        install::ensure(root, Tool::Etcd)?;
    }
    let release = shell::target(root).join("release");
    shell::run(Command::new(release.join("bench")).args(args).env(
        "FERROD_BIN",
        std::env::var_os("FERROD_BIN").unwrap_or(release.join("ferrod").into()),
    ))
}
