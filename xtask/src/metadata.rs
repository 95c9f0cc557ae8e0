//! What cargo knows about the workspace and everything that it depends on.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell;

/// The parts of `cargo metadata` that are looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    /// Absent for members of the workspace.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: String,
}

/// One line of a manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Absent for ordinary dependencies, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Only there if a feature asks for it.
    #[serde(default)]
    pub(crate) optional: bool,
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut cargo = shell::cargo(root);
        cargo.args(["metadata", "--format-version=1", "--all-features"]);
        serde_json::from_str(&shell::output(&mut cargo)?).context("read cargo metadata")
    }

    /// Members of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|p| p.source.is_none())
    }

    /// Everything that comes from elsewhere.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|p| p.source.is_some())
    }
}
