//! `cargo xtask sim`: builds the simulated clusters for speed and runs seeds.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// Seeds that continuous integration runs.
const CI_SEEDS: &str = "--seeds=0..200";

/// Passes `args` on to the simulator.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let mut build = shell::cargo(root);
    build.args(["build", "--profile=sim", "--quiet"]);
    build.args(["--package=ferrod-tests", "--bin=sim"]);
    if args.iter().any(|arg| arg.starts_with("--planted")) {
        build.arg("--features=planted");
    }
    shell::run(&mut build)?;
    let sim = shell::target(root).join("sim/sim");
    shell::run(Command::new(sim).args(args))
}

/// What continuous integration runs.
pub(crate) fn ci(root: &Path) -> Result<()> {
    run(root, &[CI_SEEDS.to_owned()])
}
