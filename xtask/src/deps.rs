//! `cargo xtask deps`: who may depend on whom, under which licences, in how many versions.

mod arrows;
mod deny;

use std::path::Path;

use anyhow::{Result, ensure};

use crate::metadata::Metadata;
use crate::shell;

/// Checks the manifests; with `full` also that each crate builds alone.
pub(crate) fn run(root: &Path, full: bool) -> Result<()> {
    let metadata = Metadata::read(root)?;
    let mut faults = arrows::faults(&metadata);
    faults.extend(deny::faults(root, &metadata)?);
    for fault in &faults {
        eprintln!("deps: {fault}");
    }
    ensure!(
        faults.is_empty(),
        "{} faults in the manifests",
        faults.len()
    );
    if full {
        build_alone(root, &metadata)?;
    }
    Ok(())
}

fn build_alone(root: &Path, metadata: &Metadata) -> Result<()> {
    for package in metadata
        .members()
        .filter(|p| p.manifest_path.contains("/crates/"))
    {
        for features in [&[][..], &["--no-default-features"][..]] {
            let mut check = shell::cargo(root);
            check
                .args(["check", "--quiet", "--package", &package.name])
                .args(features);
            shell::run(&mut check)?;
        }
    }
    Ok(())
}
