//! The Rust client etcd-client: its published package contains its tests, which are run as they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Version of the package.
pub(super) const VERSION: &str = "0.21.1";

/// A package that makes cargo fetch the client, and a protoc, which its build wants.
const FETCH: &str = r#"[package]
name = "fetch"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
[dependencies]
etcd-client = "=0.21.1"
protoc-bin-vendored = "=3.3.0"
[workspace]
"#;

/// The name under which the tests look for the server.
const ENDPOINT: &str = r#""localhost:2379""#;
/// What it becomes: `cargo xtask e2e` chooses a free port.
const CHOSEN: &str = r#"env!("ETCD_ENDPOINT")"#;

/// Copies the package to `folder/source` and protoc to `folder/protoc/bin`.
pub(super) fn install(root: &Path, folder: &Path) -> Result<()> {
    let fetch = folder.join("fetch");
    std::fs::create_dir_all(&fetch)?;
    std::fs::write(fetch.join("Cargo.toml"), FETCH)?;
    std::fs::write(fetch.join("lib.rs"), "")?;
    let mut metadata = shell::cargo(root);
    metadata
        .current_dir(&fetch)
        .args(["metadata", "--format-version=1", "--quiet"]);
    let metadata: serde_json::Value = serde_json::from_str(&shell::output(&mut metadata)?)?;

    let source = folder.join("source");
    copy(&package(&metadata, "etcd-client")?, &source)?;
    let testing = source.join("tests/testing.rs");
    let text = std::fs::read_to_string(&testing)?;
    anyhow::ensure!(
        text.contains(ENDPOINT),
        "the tests no longer name {ENDPOINT}"
    );
    std::fs::write(&testing, text.replace(ENDPOINT, CHOSEN))?;
    // The copy lies inside our workspace and is not a part of it.
    let manifest = source.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest)?;
    std::fs::write(&manifest, format!("{text}\n[workspace]\n"))?;

    let host = format!("protoc-bin-vendored-{}", protoc_platform());
    // It looks for the standard files in a folder beside its own.
    copy(&package(&metadata, &host)?, &folder.join("protoc"))
}

fn protoc_platform() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "macos-aarch_64",
        ("macos", _) => "macos-x86_64",
        (_, "aarch64") => "linux-aarch_64",
        _ => "linux-x86_64",
    }
}

/// Folder of a fetched package.
fn package(metadata: &serde_json::Value, name: &str) -> Result<PathBuf> {
    metadata["packages"]
        .as_array()
        .and_then(|all| all.iter().find(|p| p["name"] == name))
        .and_then(|p| p["manifest_path"].as_str())
        .and_then(|path| Path::new(path).parent())
        .map(Path::to_owned)
        .with_context(|| format!("cargo did not fetch {name}"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    shell::run(Command::new("cp").arg("-R").arg(from).arg(to))
}
