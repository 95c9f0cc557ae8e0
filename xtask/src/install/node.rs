//! The JavaScript client, in a folder of its own.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// Name and version of the package.
pub(super) const PACKAGE: &str = "etcd3@1.1.2";

/// Installs the package.
pub(super) fn install(folder: &Path) -> Result<()> {
    shell::run(
        Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder)
            .arg(PACKAGE),
    )
}
