//! The Go client: a small test program in `tests/go`, built with the modules that its `go.sum` pins.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// Builds the test program into `folder`.
pub(super) fn install(root: &Path, folder: &Path) -> Result<()> {
    shell::run(
        Command::new("go")
            .current_dir(root.join("tests/go"))
            .args(["build", "-mod=readonly", "-o"])
            .arg(folder.join("client"))
            .arg("."),
    )
}
