//! The Python client, in a virtual environment of its own.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// The client is from 2020: its generated code needs protobuf 3, while it takes any later gRPC.
pub(super) const PACKAGES: &str = "etcd3==0.12.0 protobuf==3.20.3 grpcio==1.85.3";

/// Makes the environment and installs into it.
pub(super) fn install(folder: &Path) -> Result<()> {
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    shell::run(
        Command::new(folder.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            // Building gRPC takes half an hour: a machine without a wheel says so at once.
            .arg("--only-binary=grpcio,protobuf")
            .args(PACKAGES.split(' ')),
    )
}
