//! What is built in Go, with the modules that each `go.sum` pins: a small test program around the Go client in
//! `tests/go`, and etcd's own judge of histories in `tests/go/judge`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// Builds the test program into `folder`.
pub(super) fn install(root: &Path, folder: &Path) -> Result<()> {
    build(&root.join("tests/go"), &folder.join("client"))
}

/// Builds the judge into `folder`.
pub(super) fn install_judge(root: &Path, folder: &Path) -> Result<()> {
    build(&root.join("tests/go/judge"), &folder.join("judge"))
}

fn build(source: &Path, program: &Path) -> Result<()> {
    shell::run(
        Command::new("go")
            .current_dir(source)
            .args(["build", "-mod=readonly", "-o"])
            .arg(program)
            .arg("."),
    )
}
