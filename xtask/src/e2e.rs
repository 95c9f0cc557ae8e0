//! `cargo xtask e2e`: builds the programs under test once and runs suites of the `e2e` program of `tests/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::install::{self, Tool};
use crate::shell;

/// Passes `args` on to the suites; without any runs them all.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let mut build = shell::cargo(root);
    build.args(["build", "--quiet", "--package=ferrod-tests", "--bin=e2e"]);
    shell::run(&mut build)?;
    let mut build = shell::cargo(root);
    build.args([
        "build",
        "--release",
        "--quiet",
        "--package=ferrod",
        "--package=ferroctl",
    ]);
    shell::run(&mut build)?;
    let failpoints = build_failpoints(root)?;
    // A tool that cannot be had here is reported by the suite that needs it, loudly.
    for tool in [
        Tool::Etcd,
        Tool::Python,
        Tool::Node,
        Tool::Go,
        Tool::Judge,
        Tool::EtcdClient,
    ] {
        if let Err(error) = install::ensure(root, tool) {
            eprintln!("warning: {error:#}");
        }
    }
    let target = shell::target(root);
    let mut e2e = Command::new(target.join("debug/e2e"));
    for (variable, program) in [("FERROD_BIN", "ferrod"), ("FERROCTL_BIN", "ferroctl")] {
        if std::env::var_os(variable).is_none() {
            e2e.env(variable, target.join("release").join(program));
        }
    }
    e2e.env("FERROD_FAILPOINTS_BIN", failpoints);
    if args.is_empty() {
        e2e.arg("all");
    }
    shell::run(e2e.args(args))
}

/// Builds the server with failpoints and keeps it apart from the one without.
fn build_failpoints(root: &Path) -> Result<PathBuf> {
    let mut build = shell::cargo(root);
    build.args([
        "build",
        "--quiet",
        "--package=ferrod",
        "--features=failpoints",
    ]);
    shell::run(&mut build)?;
    let target = shell::target(root);
    let kept = target.join("failpoints");
    std::fs::create_dir_all(&kept)?;
    std::fs::copy(target.join("debug/ferrod"), kept.join("ferrod"))?;
    Ok(kept.join("ferrod"))
}
