//! Where the programs under test are: ferrod is built when needed, etcd comes from `cargo xtask install`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The workspace this crate was built in.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests lies in the workspace")
}

/// The folder `target` of this build.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// The server: `FERROD_BIN` if set, else built by cargo in the profile of this crate.
///
/// # Errors
/// When the build fails.
pub fn ferrod() -> Result<PathBuf> {
    named("FERROD_BIN", "ferrod")
}

/// The server with failpoints: `FERROD_FAILPOINTS_BIN`.
///
/// # Errors
/// When the variable is not set.
pub fn ferrod_with_failpoints() -> Result<PathBuf> {
    let path = std::env::var_os("FERROD_FAILPOINTS_BIN");
    path.map(PathBuf::from).context(
        "FERROD_FAILPOINTS_BIN must name a server built with `--features failpoints`; `cargo xtask e2e` builds one",
    )
}

/// The command line client: `FERROCTL_BIN` if set, else built by cargo in the profile of this crate.
///
/// # Errors
/// When the build fails.
pub fn ferroctl() -> Result<PathBuf> {
    named("FERROCTL_BIN", "ferroctl")
}

fn named(variable: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace())
        .args(["build", "--quiet", "--package", package]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().context("run cargo")?;
    ensure!(status.success(), "building {package} failed: {status}");
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    Ok(target_dir().join(profile).join(package))
}

/// A program of the real etcd: `etcd`, `etcdctl` or `etcdutl`.
///
/// # Errors
/// When `cargo xtask install` has not been run here.
pub fn etcd(program: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("REAL_ETCD_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => target_dir().join("tools/etcd"),
    };
    let path = folder.join(program);
    if !path.is_file() {
        bail!(
            "{} is missing: run `cargo xtask install etcd`",
            path.display()
        );
    }
    Ok(path)
}
